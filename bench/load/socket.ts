/**
 * A WebSocket over a bare TCP connection: a read takes all frames that are there, and a payload is
 * looked at where it lies. So many more messages can be read than by the `WebSocket` class.
 */
import { CLOSE, decodeFrames, encodeFrame, PING, PONG, TEXT } from "./frames.ts";

const BUFFER = 16_384;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** What one hears of a connection. */
export interface SocketHandler {
  /** A text came: `bytes` from `start` to before `end`, and not kept. */
  text(bytes: Uint8Array, start: number, end: number): void;
  /** It ended; not told after `close()`. */
  ended(why: string): void;
}

/** One connection. */
export class RawSocket {
  readonly #conn: Deno.TcpConn;
  readonly #handler: SocketHandler;
  #bytes = new Uint8Array(BUFFER);
  #end = 0;
  #waiting: Uint8Array<ArrayBuffer>[] = [];
  #isWriting = false;
  #isClosed = false;

  private constructor(conn: Deno.TcpConn, handler: SocketHandler) {
    this.#conn = conn;
    this.#handler = handler;
  }

  /**
   * Connects and upgrades.
   *
   * @param port of 127.0.0.1
   * @param path with its query
   * @throws {Error} if the server refuses
   */
  static async open(port: number, path: string, handler: SocketHandler): Promise<RawSocket> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    const socket = new RawSocket(conn, handler);
    await socket.#upgrade(port, path);
    void socket.#read();
    return socket;
  }

  /** Sends a text. */
  send(text: string): void {
    this.sendFrame(encodeFrame(ENCODER.encode(text)));
  }

  /** Sends a frame that was made before. It must stay as it is until the next turn of the loop. */
  sendFrame(frame: Uint8Array<ArrayBuffer>): void {
    this.#waiting.push(frame);
    if (!this.#isWriting) void this.#write();
  }

  /** Drops the connection without a word, as a network does. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  async #upgrade(port: number, path: string): Promise<void> {
    await this.#conn.write(ENCODER.encode(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\n` +
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ));
    while (true) {
      const read = await this.#conn.read(this.#bytes.subarray(this.#end));
      if (read === null) throw new Error("The server ended the connection before the upgrade.");
      this.#end += read;
      const head = DECODER.decode(this.#bytes.subarray(0, this.#end));
      const length = head.indexOf("\r\n\r\n") + 4;
      if (length < 4) continue;
      if (!head.startsWith("HTTP/1.1 101")) throw new Error(head);
      // Heads are ASCII here, so characters are bytes.
      this.#bytes.copyWithin(0, length, this.#end);
      this.#end -= length;
      return;
    }
  }

  async #read(): Promise<void> {
    try {
      // What came with the answer to the upgrade.
      this.#take();
      while (true) {
        const read = await this.#conn.read(this.#bytes.subarray(this.#end));
        if (read === null) return this.#over("The server ended the connection.");
        this.#end += read;
        this.#take();
      }
    } catch (error) {
      this.#over(String(error));
    }
  }

  #take(): void {
    const at = decodeFrames(this.#bytes, 0, this.#end, this.#handle);
    if (at > 0) {
      this.#bytes.copyWithin(0, at, this.#end);
      this.#end -= at;
    }
    if (this.#end === this.#bytes.length) {
      const more = new Uint8Array(2 * this.#bytes.length);
      more.set(this.#bytes);
      this.#bytes = more;
    }
  }

  readonly #handle = (opcode: number, bytes: Uint8Array, start: number, end: number): void => {
    if (opcode === TEXT || opcode === 2) return this.#handler.text(bytes, start, end);
    if (opcode === PING) this.sendFrame(encodeFrame(bytes.subarray(start, end), PONG));
    if (opcode === CLOSE) {
      const code = end - start < 2 ? 1005 : bytes[start] << 8 | bytes[start + 1];
      this.#over(`${code} ${DECODER.decode(bytes.subarray(start + 2, end))}`);
    }
  };

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#waiting.length > 0) {
        const frames = this.#waiting;
        this.#waiting = [];
        let bytes = frames.length === 1 ? frames[0] : joined(frames);
        while (bytes.length > 0) bytes = bytes.subarray(await this.#conn.write(bytes));
      }
    } catch (error) {
      this.#over(String(error));
    }
    this.#isWriting = false;
  }

  #over(why: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#handler.ended(why);
  }
}

function joined(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const frame of frames) {
    all.set(frame, at);
    at += frame.length;
  }
  return all;
}
