import { ask, PollClient } from "../support/http_client.ts";
import type { Frame } from "../support/wire_client.ts";
import { within } from "../support/within.ts";
import { Inbox, type Line, type Transport } from "./line.ts";
import { Positions } from "./positions.ts";
import { EventReader } from "../support/event_reader.ts";

/** Server-sent events: a poller that has a stream open instead of a poll. */
export const sse: Transport = {
  name: "server-sent events",
  transport: "longpoll",
  async open(gateway, connect) {
    const [client, { connected }] = await PollClient.open(gateway.http, { connect });
    const line = new SseLine(`${gateway.http}/api/push/sse`, client, connected);
    await within(line.opened, "the first event");
    return line;
  },
};

class SseLine implements Line {
  readonly connected: Frame;
  readonly ended: Promise<string>;
  readonly opened: Promise<void>;
  readonly #url: string;
  readonly #client: PollClient;
  readonly #inbox = new Inbox();
  readonly #positions = new Positions();
  readonly #streaming: Promise<void>;
  readonly #end: (code: string) => void;
  readonly #begin: () => void;
  #reader: EventReader | undefined;
  #severed = false;

  constructor(url: string, client: PollClient, connected: Frame) {
    this.#url = url;
    this.#client = client;
    this.connected = connected;
    const ended = Promise.withResolvers<string>();
    const opened = Promise.withResolvers<void>();
    this.ended = ended.promise;
    this.#end = ended.resolve;
    this.opened = opened.promise;
    this.#begin = opened.resolve;
    this.#streaming = this.#stream();
  }

  get unread(): readonly Frame[] {
    return this.#inbox.unread;
  }

  async send(...frames: Frame[]): Promise<Frame[]> {
    this.#positions.sent(frames);
    const { status, body } = await this.#client.post("send", { frames });
    if (status !== 200) throw new Error(`Cannot send: ${JSON.stringify(body)}`);
    return body.frames;
  }

  next(): Promise<Frame> {
    return within(this.#inbox.next(), "a frame");
  }

  async sever(): Promise<void> {
    this.#severed = true;
    await this.#reader?.close();
    await this.#streaming;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sever();
  }

  async #stream(): Promise<void> {
    while (!this.#severed) {
      const body = { poll_token: this.#client.pollToken, positions: this.#positions.list() };
      try {
        this.#reader = await EventReader.open(this.#url, { body });
      } catch {
        const refused = await ask(this.#url, { body }).catch(() => undefined);
        return this.#end(refused?.body.code ?? "unreachable");
      }
      if (this.#severed) await this.#reader.close();
      for await (const event of this.#reader) {
        this.#begin();
        for (const frame of JSON.parse(event.data!)) this.#receive(frame);
      }
    }
  }

  #receive(frame: Frame): void {
    this.#positions.received(frame);
    this.#inbox.add(frame);
  }
}
