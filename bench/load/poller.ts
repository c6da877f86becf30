/** One long-poller: it asks, takes what there is, and asks for what comes after it. */
import { type StampHandler, Stamps } from "./stamp.ts";

const BUFFER = 65_536;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** How a poller is made, and who hears of it. */
export interface PollerOptions {
  /** Port of 127.0.0.1. */
  readonly port: number;
  /** What it listens to. */
  readonly channel: string;
  /** Unique in a run. */
  readonly name: string;
  /** Hears each message that comes. */
  readonly onStamp: StampHandler;
  /** Hears what should not be. */
  readonly onTrouble: (what: string) => void;
}

/** Requests over one connection that stays, one after the other. */
export class Poller {
  readonly #options: PollerOptions;
  readonly #conn: Deno.TcpConn;
  readonly #stamps = new Stamps();
  #bytes = new Uint8Array(BUFFER);
  #token = "";
  #epoch = "";
  #seq = 0;
  #isClosed = false;
  /** Answers with messages that came. */
  frames = 0;

  private constructor(options: PollerOptions, conn: Deno.TcpConn) {
    this.#options = options;
    this.#conn = conn;
  }

  /** Registers one, which polls from then on. @throws {Error} if the gateway refuses */
  static async open(options: PollerOptions): Promise<Poller> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: options.port });
    conn.setNoDelay(true);
    const poller = new Poller(options, conn);
    await poller.#register();
    void poller.#poll();
    return poller;
  }

  /** Ends it. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  async #register(): Promise<void> {
    const { name, channel } = this.#options;
    const connect = {
      type: "connect",
      version: 1,
      instance: name,
      attempt: 1,
      subscriptions: [{ channel }],
    };
    const body = await this.#ask("register", JSON.stringify({ connect }));
    const answer = JSON.parse(DECODER.decode(body));
    const { epoch, seq } = answer.connected.subscriptions[0];
    [this.#token, this.#epoch, this.#seq] = [answer.poll_token, epoch, seq];
  }

  async #poll(): Promise<void> {
    const { channel, onStamp, onTrouble } = this.#options;
    try {
      while (true) {
        const body = await this.#ask(
          "messages",
          `{"poll_token":"${this.#token}","positions":[{"channel":"${channel}",` +
            `"epoch":"${this.#epoch}","seq":${this.#seq}}]}`,
        );
        const count = this.#stamps.read(body, 0, body.length, onStamp);
        this.#seq += count;
        if (count > 0) {
          this.frames++;
        } else {
          const text = DECODER.decode(body);
          if (text.includes('"error"') || text.includes('"channel.gap"')) onTrouble(text);
        }
      }
    } catch (error) {
      if (!this.#isClosed) onTrouble(String(error));
    }
  }

  /** The body of the answer, which is not kept. */
  async #ask(route: string, body: string): Promise<Uint8Array> {
    const head = `POST /api/push/poll/${route} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    let request = ENCODER.encode(head + body);
    while (request.length > 0) request = request.subarray(await this.#conn.write(request));
    let [end, start, length] = [0, 0, 0];
    while (start === 0 || end < start + length) {
      if (end === this.#bytes.length) {
        const more = new Uint8Array(2 * end);
        more.set(this.#bytes);
        this.#bytes = more;
      }
      const read = await this.#conn.read(this.#bytes.subarray(end));
      if (read === null) throw new Error("The gateway ended the connection.");
      end += read;
      if (start > 0) continue;
      // Answers are long, heads are not.
      const text = DECODER.decode(this.#bytes.subarray(0, Math.min(end, 1024)));
      const blank = text.indexOf("\r\n\r\n");
      if (blank < 0) continue;
      const size = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, blank))?.[1];
      if (!text.startsWith("HTTP/1.1 200") || size === undefined) throw new Error(text);
      [start, length] = [blank + 4, Number(size)];
    }
    return this.#bytes.subarray(start, start + length);
  }
}
