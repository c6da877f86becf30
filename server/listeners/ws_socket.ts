import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Arrived } from "../http/head.ts";
import { fail } from "../http/respond.ts";
import type { SocketEvents, Upgrader, UpgradeTerms } from "../http/upgrader.ts";
import type { Gathered } from "../transports/gathered.ts";
import type { Socket } from "../transports/websocket.ts";
import type { Timed, TimingWheel } from "../wheel.ts";
import { asciiFrame, textFrames } from "./ws_frames.ts";

/** Leads from a socket of the library to the gateway's. */
const OWNER = Symbol("owner");

/** What is used of a WebSocket of `npm:ws`. */
export interface WsWebSocket {
  [OWNER]?: WsSocket;
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly isPaused: boolean;
  send(text: string): void;
  ping(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  /** Tells whoever listens; returns whether somebody does. */
  emit(event: string | symbol, first?: unknown, second?: unknown): boolean;
}

/** What is used of a server of `npm:ws` that has no port of its own. */
export interface WsServer {
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    done: (socket: WsWebSocket) => void,
  ): void;
}

/** The class of a WebSocket of `npm:ws`. */
export type WsClass = new (...args: never[]) => WsWebSocket;

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

const OPEN = 1;
/** Bytes of a write that may take as long as a peer may be silent. */
const LONG_WRITE = 65_536;
/** Bytes for each further time that a peer is excused which may not have read the ping behind them yet. */
const EXCUSED_BYTES = 262_144;

/** The answer of an upgrade that was written to the connection already. */
class Switched extends Response {
  override get status(): number {
    return 101;
  }
}

/** Upgrades one connection by `npm:ws`. */
export class WsUpgrader implements Upgrader {
  readonly #server: WsServer;
  readonly #incoming: IncomingMessage;
  readonly #socket: Duplex;
  readonly #head: Uint8Array;
  #isDone = false;

  /** @param head what came behind the request */
  constructor(server: WsServer, incoming: IncomingMessage, socket: Duplex, head: Uint8Array) {
    this.#server = server;
    this.#incoming = incoming;
    this.#socket = socket;
    this.#head = head;
  }

  /** Whether the connection is a WebSocket, or being refused to be one by the library. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** See {@linkcode Upgrader.upgrade}. */
  upgrade(
    _request: Arrived,
    terms: UpgradeTerms,
    accept: (socket: Socket) => SocketEvents,
  ): Response {
    // RFC 6455 section 4.2.1.
    if (this.#incoming.httpVersion === "1.0") {
      return fail("bad_request", "A WebSocket needs HTTP/1.1.");
    }
    // The gateway speaks no subprotocol, and `ws` would choose the first.
    delete this.#incoming.headers["sec-websocket-protocol"];
    this.#isDone = true;
    this.#server.handleUpgrade(this.#incoming, this.#socket, this.#head, (socket) => {
      new WsSocket(socket, this.#socket, terms).begin(accept);
    });
    return new Switched();
  }
}

/**
 * A WebSocket of `npm:ws` as the gateway uses it. The library limits a message over all its
 * fragments, refuses what RFC 6455 forbids with the code that it names, and can cut a connection.
 */
class WsSocket implements Socket, Timed {
  /** See {@linkcode Timed.slot}. */
  slot = 0;
  readonly #socket: WsWebSocket;
  /**
   * What is under it. The library writes whole frames, each in the moment that it is told to, as long as
   * it neither compresses nor sends blobs: so whole frames of ours may stand between them.
   */
  readonly #connection: Duplex;
  readonly #wheel: TimingWheel;
  readonly #idleTimeout: number;
  #events: SocketEvents | undefined;
  #heardAt: number;
  /** How often its silence was excused since it was heard. */
  #excuses = 0;

  constructor(socket: WsWebSocket, connection: Duplex, { wheel, limits }: UpgradeTerms) {
    this.#socket = socket;
    this.#connection = connection;
    this.#wheel = wheel;
    this.#idleTimeout = limits.idleTimeout;
    this.#heardAt = wheel.time;
  }

  get readyState(): number {
    return this.#socket.readyState;
  }

  /** See {@linkcode Socket.writesWhole}. */
  get writesWhole(): boolean {
    return true;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(text: string): void {
    this.#socket.send(text);
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
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  begin(accept: (socket: Socket) => SocketEvents): void {
    this.#events = accept(this);
    this.#socket[OWNER] = this;
    if (this.#idleTimeout > 0) this.#wheel.schedule(this, this.#heardAt + this.#idleTimeout / 2);
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
    if (this.#socket.isPaused) this.heard();
    else if (this.#isExcused) {
      this.#heardAt = this.#wheel.time;
      this.#excuses++;
    }
    const silence = this.#wheel.time - this.#heardAt;
    if (silence >= this.#idleTimeout) {
      this.#events!.lost();
      this.#socket.terminate();
      return;
    }
    const isHalf = silence >= this.#idleTimeout / 2;
    if (isHalf && this.#socket.readyState === OPEN) this.#socket.ping();
    this.#wheel.schedule(this, this.#heardAt + this.#idleTimeout / (isHalf ? 1 : 2));
  }

  /** Whether it may be reading still what was written before it was asked. */
  get #isExcused(): boolean {
    const { bufferedAmount } = this.#socket;
    return bufferedAmount >= LONG_WRITE && this.#excuses <= bufferedAmount / EXCUSED_BYTES;
  }
}
