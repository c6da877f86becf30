import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket as Connection } from "node:net";
import type { Duplex } from "node:stream";
import type { Arrived } from "../http/head.ts";
import { fail } from "../http/respond.ts";
import type { SocketEvents, Upgrader, UpgradeTerms } from "../http/upgrader.ts";
import type { Gathered } from "../transports/gathered.ts";
import type { Socket } from "../transports/websocket.ts";
import type { Timed, TimingWheel } from "../wheel.ts";
import { asciiFrame, type FrameReader, PING, readWhole, textFrames } from "./ws_frames.ts";

/** Leads from a socket of the library, and from the connection under it, to the gateway's. */
const OWNER = Symbol("owner");

/** What is used of a WebSocket of `npm:ws`. */
export interface WsWebSocket {
  [OWNER]?: WsSocket;
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly isPaused: boolean;
  /** Begins to read and write an upgraded connection. @param head what came behind the request */
  setSocket(connection: Duplex, head: Uint8Array, options: WsOptions): void;
  ping(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  /** Tells whoever listens; returns whether somebody does. */
  emit(event: string | symbol, first?: unknown, second?: unknown): boolean;
}

/** The class of a WebSocket of `npm:ws`. */
export type WsClass = new (address: null, protocols: undefined, options: WsOptions) => WsWebSocket;

/** What a server of `npm:ws` makes its WebSockets with, as far as it is read here. */
export interface WsOptions {
  /** Bytes of a message, all fragments together. */
  readonly maxPayload: number;
}

/** What upgraded connections share. */
export interface WsTerms {
  /** Made by {@linkcode owned}. */
  readonly WebSocket: WsClass;
  readonly options: WsOptions;
}

/**
 * A class of sockets that tell their owner what happens, without listeners: five of them would be a
 * table for each socket.
 *
 * They let leave what has gathered before they say that they close, also where the library closes them
 * by itself: it answers a close that was read in one piece with what came before.
 */
export function owned(base: WsClass): WsClass {
  return class extends base {
    override [OWNER]?: WsSocket = undefined;

    override close(code?: number, reason?: string): void {
      this[OWNER]?.closing();
      super.close(code, reason);
    }

    override emit(event: string | symbol, first?: unknown, second?: unknown): boolean {
      const owner = this[OWNER];
      if (owner === undefined) return super.emit(event, first, second);
      if (event === "message") owner.message(first as Buffer, second as boolean);
      else if (event === "ping" || event === "pong") owner.heard();
      else if (event === "error") owner.lost();
      else if (event === "close") owner.closed(first as number);
      else return super.emit(event, first, second);
      return true;
    }
  };
}

/** Bytes of a write that may take as long as a peer may be silent. */
const LONG_WRITE = 65_536;
/** Bytes for each further time that a peer is excused which may not have read the ping behind them yet. */
const EXCUSED_BYTES = 262_144;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** What is hashed with a key to accept it (RFC 6455 section 1.3). */
const ACCEPTS = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NOTHING = Buffer.alloc(0);

/** The answer of an upgrade that was written to the connection already. */
class Switched extends Response {
  override get status(): number {
    return 101;
  }
}

const SWITCHED = new Switched();

/** Upgrades one connection of `node:http`. */
export class WsUpgrader implements Upgrader {
  readonly #terms: WsTerms;
  readonly #incoming: IncomingMessage;
  readonly #connection: Connection;
  readonly #head: Buffer;
  #isDone = false;

  /** @param head what came behind the request */
  constructor(terms: WsTerms, incoming: IncomingMessage, connection: Duplex, head: Buffer) {
    this.#terms = terms;
    this.#incoming = incoming;
    this.#connection = connection as Connection;
    this.#head = head;
  }

  /** Whether the connection is a WebSocket, or cut because its peer had gone. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** See {@linkcode Upgrader.upgrade}. */
  upgrade(
    { headers }: Arrived,
    terms: UpgradeTerms,
    accept: (socket: Socket) => SocketEvents,
  ): Response {
    // RFC 6455 section 4.2.1.
    if (this.#incoming.httpVersion === "1.0") {
      return fail("bad_request", "A WebSocket needs HTTP/1.1.");
    }
    this.#isDone = true;
    const connection = this.#connection;
    if (!connection.readable || !connection.writable) {
      connection.on("error", nothing);
      connection.destroy();
      return SWITCHED;
    }
    const key = headers.get("sec-websocket-key");
    const accepted = createHash("sha1").update(key + ACCEPTS).digest("base64");
    // No subprotocol and no extension is spoken.
    connection.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${accepted}\r\n\r\n`,
      "latin1",
    );
    new WsSocket(connection, this.#terms, terms).begin(accept, this.#head);
    return SWITCHED;
  }
}

/** A connection that is read here. */
type Read = Connection & { [OWNER]?: WsSocket };

/**
 * A WebSocket as the gateway uses it.
 *
 * Whole texts are read and written here. Whatever else a peer sends or this side wants, a close, a ping
 * of the peer, fragments, half a frame, mistakes, belongs to `npm:ws`, which takes the connection
 * over then and keeps it: it limits a message over all its fragments and refuses what RFC 6455
 * forbids with the code that it names. Most connections never need it, and its parts take more memory
 * than all of a session.
 */
class WsSocket implements Socket, Timed, FrameReader {
  /** See {@linkcode Timed.slot}. */
  slot = 0;
  /**
   * The library writes whole frames, each in the moment that it is told to, as long as it neither
   * compresses nor sends blobs: so whole frames of ours may stand between them.
   */
  readonly #connection: Read;
  readonly #terms: WsTerms;
  readonly #wheel: TimingWheel;
  readonly #idleTimeout: number;
  /** Has taken the connection over. */
  #library: WsWebSocket | undefined;
  #state = OPEN;
  #events: SocketEvents | undefined;
  #heardAt: number;
  /** How often its silence was excused since it was heard. */
  #excuses = 0;

  constructor(connection: Read, terms: WsTerms, { wheel, limits }: UpgradeTerms) {
    this.#connection = connection;
    this.#terms = terms;
    this.#wheel = wheel;
    this.#idleTimeout = limits.idleTimeout;
    this.#heardAt = wheel.time;
  }

  get readyState(): number {
    return this.#library === undefined ? this.#state : this.#library.readyState;
  }

  /** See {@linkcode Socket.writesWhole}. */
  get writesWhole(): boolean {
    return true;
  }

  get bufferedAmount(): number {
    return this.#library === undefined
      ? this.#connection.writableLength
      : this.#library.bufferedAmount;
  }

  send(text: string): void {
    this.#connection.write(textFrames([text]));
  }

  sendAll(gathered: Gathered, asOne: boolean): void {
    if (gathered.isAlone) {
      const frame = asciiFrame(gathered.joined);
      if (frame !== undefined) return void this.#connection.write(frame, "latin1");
    }
    gathered.made ??= textFrames(asOne ? [gathered.joined] : gathered.texts);
    this.#connection.write(gathered.made as Buffer);
  }

  close(code?: number, reason?: string): void {
    this.#whole()?.close(code, reason);
  }

  terminate(): void {
    if (this.#library !== undefined) return this.#library.terminate();
    this.#state = CLOSING;
    this.#connection.destroy();
  }

  pause(): void {
    this.#whole()?.pause();
  }

  resume(): void {
    this.#library?.resume();
  }

  begin(accept: (socket: Socket) => SocketEvents, head: Buffer): void {
    const connection = this.#connection;
    connection[OWNER] = this;
    // An earlier request may have left a limit.
    if (connection.timeout) connection.setTimeout(0);
    connection.setNoDelay();
    if (head.length > 0) connection.unshift(head);
    connection.on("close", onClose);
    connection.on("data", onData);
    connection.on("end", onEnd);
    connection.on("error", onError);
    this.#events = accept(this);
    if (this.#idleTimeout > 0) this.#wheel.schedule(this, this.#heardAt + this.#idleTimeout / 2);
  }

  /** The library, which reads from now on; `undefined` if the connection has ended. */
  #whole(): WsWebSocket | undefined {
    if (this.#library !== undefined || this.#state !== OPEN) return this.#library;
    const connection = this.#connection;
    connection.off("close", onClose);
    connection.off("data", onData);
    connection.off("end", onEnd);
    const { WebSocket, options } = this.#terms;
    const library = this.#library = new WebSocket(null, undefined, options);
    library[OWNER] = this;
    library.setSocket(connection, NOTHING, options);
    // Not before there is another: an error that nobody hears ends the process.
    connection.off("error", onError);
    return library;
  }

  /** Something came. */
  read(chunk: Buffer): void {
    const rest = readWhole(chunk, this.#terms.options.maxPayload, this);
    if (rest === chunk.length || this.#whole() === undefined) return;
    // Whoever listens now is the library.
    this.#connection.emit("data", chunk.subarray(rest));
  }

  /** See {@linkcode FrameReader.isReading}. */
  get isReading(): boolean {
    return this.#library === undefined && this.#state === OPEN;
  }

  /** See {@linkcode FrameReader.text}. */
  text(text: string): void {
    this.heard();
    this.#events!.text(text);
  }

  /** The peer sends no more, and has not said why. */
  ended(): void {
    this.#state = CLOSING;
    this.#connection.end();
  }

  /** It broke. */
  broke(): void {
    this.#state = CLOSING;
    this.#connection.destroy();
  }

  /** It is closed, without a word of the peer. */
  cut(): void {
    this.#state = CLOSED;
    this.closed(1006);
  }

  message(data: Buffer, isBinary: boolean): void {
    this.heard();
    if (isBinary) this.#events!.binary();
    else this.#events!.text(data.toString());
  }

  heard(): void {
    this.#heardAt = this.#wheel.time;
    this.#excuses = 0;
  }

  lost(): void {
    this.#events!.lost();
  }

  closing(): void {
    this.#events!.closing();
  }

  closed(code: number): void {
    this.#wheel.cancel(this);
    this.#events!.closed(code);
  }

  /** Asks a silent peer whether it lives, and cuts one that does not answer. */
  onTime(): void {
    // What a peer says that is not read is no silence.
    if (this.#library?.isPaused) this.heard();
    else if (this.#isExcused) {
      this.#heardAt = this.#wheel.time;
      this.#excuses++;
    }
    const silence = this.#wheel.time - this.#heardAt;
    if (silence >= this.#idleTimeout) {
      this.#events!.lost();
      this.terminate();
      return;
    }
    const isHalf = silence >= this.#idleTimeout / 2;
    if (isHalf && this.readyState === OPEN) this.#ping();
    this.#wheel.schedule(this, this.#heardAt + this.#idleTimeout / (isHalf ? 1 : 2));
  }

  /** Whether it may be reading still what was written before it was asked. */
  get #isExcused(): boolean {
    const { bufferedAmount } = this;
    return bufferedAmount >= LONG_WRITE && this.#excuses <= bufferedAmount / EXCUSED_BYTES;
  }

  #ping(): void {
    if (this.#library !== undefined) this.#library.ping();
    else this.#connection.write(PING, "latin1");
  }
}

// One for all connections each: an idle one costs no closures.

function onData(this: Read, chunk: Buffer): void {
  this[OWNER]!.read(chunk);
}

function onEnd(this: Read): void {
  this[OWNER]!.ended();
}

function onError(this: Read): void {
  this[OWNER]!.broke();
}

function onClose(this: Read): void {
  this[OWNER]!.cut();
}

function nothing(): void {}
