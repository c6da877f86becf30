import type { Code, GatewayFrame, JsonObject } from "@push/client/protocol";
import type { Connection } from "../transports/connection.ts";

/** Any frame that a gateway may send, by its type. */
export type FrameOf<T extends GatewayFrame["type"]> = Extract<GatewayFrame, { type: T }>;

/** How a connection was ended. */
export interface Closed {
  /** Code of the table, or `normal`. */
  readonly code: Code | "normal";
  /** What exactly, where that was said. */
  readonly detail: string | undefined;
}

/** Options of {@linkcode MemoryConnection}. */
export interface MemoryConnectionOptions {
  /** Messages that the connection takes at first. Default `Infinity`. */
  readonly capacity?: number;
  /** Name of the transport. Default `memory`. */
  readonly transport?: string;
}

interface Waiting {
  readonly type: string;
  readonly resolve: (frame: GatewayFrame) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A connection that ends in the test: what the gateway sends is parsed and kept, in order.
 *
 * It is strict about the contract. A frame that is not what {@linkcode Connection.send} promises
 * throws into whoever sent it; messages beyond the capacity and frames after the close are counted.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryConnection } from "@push/gateway/testing";
 *
 * const connection = new MemoryConnection();
 * const pong = connection.next("pong");
 * connection.send('{"type":"pong","request_id":1}', 0);
 * assertEquals(await pong, { type: "pong", request_id: 1 });
 * ```
 */
export class MemoryConnection implements Connection {
  /** Name of the transport. */
  readonly transport: string;
  /** Every frame received, in order. */
  readonly frames: GatewayFrame[] = [];
  /** Text of every call of `send`, in order. */
  readonly texts: string[] = [];
  /**
   * Messages that the connection takes now. A test sets it; each message received lowers it, unless
   * it is `Infinity`.
   */
  capacity: number;
  #closed: Closed | undefined;
  #unread: GatewayFrame[] = [];
  #waiting: Waiting[] = [];
  #beyondCapacity = 0;
  #afterClose = 0;

  /**
   * Makes an open connection.
   *
   * @param options capacity and name
   */
  constructor({ capacity = Infinity, transport = "memory" }: MemoryConnectionOptions = {}) {
    this.capacity = capacity;
    this.transport = transport;
  }

  /** How the connection was ended; `undefined` while it is open. */
  get closed(): Closed | undefined {
    return this.#closed;
  }
  /** Messages that were sent though the capacity did not allow them. Must stay 0. */
  get beyondCapacity(): number {
    return this.#beyondCapacity;
  }
  /** Calls of `send` after the close. Must stay 0. */
  get afterClose(): number {
    return this.#afterClose;
  }

  /** Receives frames (see {@linkcode Connection.send}). */
  send(text: string, count: number): void {
    const value: GatewayFrame | GatewayFrame[] = JSON.parse(text);
    const frames = Array.isArray(value) ? value : [value];
    if (Array.isArray(value) !== (count > 1) || frames.length < count) {
      throw new TypeError(`Cannot send as the text holds ${frames.length} frames, not ${count}`);
    }
    if (this.#closed !== undefined) {
      this.#afterClose++;
      return;
    }
    this.#beyondCapacity += Math.max(count - Math.max(this.capacity, 0), 0);
    this.capacity -= count;
    this.texts.push(text);
    for (const frame of frames) this.#receive(frame);
  }

  /** Ends the connection (see {@linkcode Connection.close}). */
  close(code: Code | "normal", detail?: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = { code, detail };
    for (const { type, reject } of this.#waiting) reject(this.#noMore(type));
    this.#waiting = [];
  }

  /**
   * The first frame of this type that was not handed out yet; waits for it if need be.
   *
   * @throws {Error} if the connection is closed without one
   */
  next<T extends GatewayFrame["type"]>(type: T): Promise<FrameOf<T>> {
    const index = this.#unread.findIndex((frame) => frame.type === type);
    if (index >= 0) return Promise.resolve(this.#unread.splice(index, 1)[0] as FrameOf<T>);
    if (this.#closed !== undefined) return Promise.reject(this.#noMore(type));
    return new Promise<GatewayFrame>((resolve, reject) => {
      this.#waiting.push({ type, resolve, reject });
    }) as Promise<FrameOf<T>>;
  }

  /** The frames of this type that were not handed out yet, without waiting. */
  take<T extends GatewayFrame["type"]>(type: T): FrameOf<T>[] {
    const taken = this.#unread.filter((frame) => frame.type === type);
    this.#unread = this.#unread.filter((frame) => frame.type !== type);
    return taken as FrameOf<T>[];
  }

  #receive(frame: GatewayFrame): void {
    this.frames.push(frame);
    const index = this.#waiting.findIndex(({ type }) => type === frame.type);
    if (index < 0) this.#unread.push(frame);
    else this.#waiting.splice(index, 1)[0].resolve(frame);
  }

  #noMore(type: string): Error {
    const { code, detail } = this.#closed!;
    const why = detail === undefined ? code : `${code} (${detail})`;
    return new Error(`Cannot receive '${type}' as the connection was closed: ${why}`);
  }
}

/**
 * Both ends of a conversation in memory: the gateway's is a {@linkcode Connection}, the other one is
 * the test, which says frames as a client would.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryPair } from "@push/gateway/testing";
 *
 * // Stands in for what the gateway does with a connection.
 * const pair = new MemoryPair((text) => {
 *   if (JSON.parse(text).type === "ping") pair.connection.send('{"type":"pong"}', 0);
 * });
 * pair.say({ type: "ping" });
 * assertEquals(await pair.connection.next("pong"), { type: "pong" });
 * ```
 */
export class MemoryPair {
  /** The gateway's end. */
  readonly connection: MemoryConnection;
  readonly #hear: (text: string) => void;

  /**
   * Makes both ends.
   *
   * @param hear takes what the client says: the text of one WebSocket frame
   * @param options capacity and name of the connection
   */
  constructor(hear: (text: string) => void, options: MemoryConnectionOptions = {}) {
    this.connection = new MemoryConnection(options);
    this.#hear = hear;
  }

  /** Says frames as the client: one alone, or several as a batch. */
  say(...frames: (JsonObject | { readonly type: string })[]): void {
    this.sayText(JSON.stringify(frames.length === 1 ? frames[0] : frames));
  }

  /** Says any text as the client. */
  sayText(text: string): void {
    this.#hear(text);
  }
}
