import type { JsonObject } from "../../client/protocol/mod.ts";
import { within } from "./within.ts";

/** A frame as it came: a JSON object of unknown members. */
// deno-lint-ignore no-explicit-any
export type Frame = { [key: string]: any };

/** How a WebSocket ended. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/**
 * A WebSocket that speaks the wire raw: what arrives waits in a queue, exactly as it came.
 * It knows nothing of `@push/client`.
 */
export class WireClient implements AsyncDisposable {
  /** Every text that arrived, as it was written. */
  readonly texts: string[] = [];
  /** How the socket ended. */
  readonly closed: Promise<Ending>;
  readonly #socket: WebSocket;
  readonly #unread: Frame[] = [];
  #ending: Ending | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.closed = promise;
    socket.onmessage = ({ data }) => {
      this.texts.push(data);
      const value = JSON.parse(data);
      for (const frame of Array.isArray(value) ? value : [value]) this.#unread.push(frame);
      this.#wake?.();
    };
    socket.onclose = ({ code, reason }) => {
      this.#ending = { code, reason };
      resolve(this.#ending);
      this.#wake?.();
    };
  }

  /** Opens a socket; rejects if the upgrade was refused. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<WireClient> {
    const socket = new WebSocket(url, { headers });
    const client = new WireClient(socket);
    const opened = new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => {
        reject(new Error(`Cannot connect to ${url}: ${(event as ErrorEvent).message}`));
      };
    });
    try {
      await within(opened, "a WebSocket to open");
    } catch (error) {
      await client.closed;
      throw error;
    }
    return client;
  }

  /** Opens a socket and speaks the extended wire: sends a `connect` frame and takes the answer. */
  static async connect(url: string, connect: JsonObject = {}): Promise<[WireClient, Frame]> {
    const client = await WireClient.open(url);
    const frame = { type: "connect", version: 1, instance: crypto.randomUUID(), attempt: 1 };
    client.send({ ...frame, ...connect });
    return [client, await client.next()];
  }

  /** Whether the socket is open. */
  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }
  /** What arrived and was not asked for with {@linkcode next}. */
  get unread(): readonly Frame[] {
    return this.#unread;
  }

  /** Sends a frame, or any text or bytes. */
  send(frame: Frame | string | Uint8Array<ArrayBuffer>): void {
    const raw = typeof frame === "string" || frame instanceof Uint8Array;
    this.#socket.send(raw ? frame : JSON.stringify(frame));
  }

  /** The next frame; with a type, the next of that type, which leaves the others in the queue. */
  async next(type?: string): Promise<Frame> {
    while (true) {
      const index = type === undefined ? 0 : this.#unread.findIndex((it) => it.type === type);
      if (index >= 0 && index < this.#unread.length) return this.#unread.splice(index, 1)[0];
      if (this.#ending !== undefined) {
        const { code, reason } = this.#ending;
        throw new Error(`The socket closed (${code} ${reason}) before ${type ?? "a frame"} came`);
      }
      const more = new Promise<void>((resolve) => this.#wake = resolve);
      await within(more, () => `${type ?? "a frame"}; unread: ${JSON.stringify(this.#unread)}`);
    }
  }

  /** The next `count` frames, with a type only those of that type. */
  async take(count: number, type?: string): Promise<Frame[]> {
    const frames: Frame[] = [];
    while (frames.length < count) frames.push(await this.next(type));
    return frames;
  }

  /** Sends a frame and resolves to the next one that comes. */
  async ask(frame: Frame | string): Promise<Frame> {
    this.send(frame);
    return await this.next();
  }

  /** Subscribes, and takes the answer. */
  async subscribe(channel: string, more: JsonObject = {}): Promise<Frame> {
    this.send({ type: "channel.subscribe", channel, ...more });
    return await this.next("channel.subscribed");
  }

  /** Publishes, and takes the answer. */
  async publish(channel: string, data: unknown, more: JsonObject = {}): Promise<Frame> {
    this.send({ type: "channel.publish", channel, data, ...more });
    return await this.next("channel.published");
  }

  /** Everything that had been sent to this client when it asked has arrived; returns what waits. */
  async settled(): Promise<readonly Frame[]> {
    this.send({ type: "ping" });
    await this.next("pong");
    return this.#unread;
  }

  /** Closes the socket and waits until it is closed. */
  async close(code = 1000): Promise<Ending> {
    this.#socket.close(code);
    return await within(this.closed, "a WebSocket to close");
  }

  /** Closes the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ending === undefined) await this.close();
  }
}
