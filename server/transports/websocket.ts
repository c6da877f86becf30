import { type Code, CODES } from "@push/client/protocol";
import type { Cancel, Clock } from "../clock.ts";
import type { Buffering, Buffers } from "../limits/buffers.ts";
import type { Metrics } from "../metrics.ts";
import type { Flushed, Turn } from "../turn.ts";
import type { Connection } from "./connection.ts";
import type { Gathered, Gathering } from "./gathered.ts";
import { mayBeLost } from "./may_be_lost.ts";

/** The part of a WebSocket that the transport uses. */
export interface Socket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  /** Whether what leaves in one write counts as waiting until all of it has left. */
  readonly writesWhole?: boolean;
  send(text: string): void;
  /**
   * Sends what has gathered in one write, where that is possible.
   *
   * @param asOne whether as one message; otherwise each text is one
   */
  sendAll?(gathered: Gathered, asOne: boolean): void;
  close(code?: number, reason?: string): void;
  /** Cuts the connection without a word, where that is possible. */
  terminate?(): void;
  /** Reads nothing any more, where that is possible. */
  pause?(): void;
  /** Reads again. */
  resume?(): void;
}

/** What the sockets of one gateway share. */
export interface SocketTerms {
  readonly clock: Clock;
  readonly turn: Turn;
  readonly metrics: Metrics;
  /** What gathers for those that get one message for each text… */
  readonly texts: Gathering;
  /** …and for those that get one of them all. */
  readonly batches: Gathering;
  /** Bytes in one socket's buffer above which its client is a slow consumer. */
  readonly maxBufferedBytes: number;
  /** Counts what waits in all connections. */
  readonly buffers: Buffers;
}

/** Who owns a {@linkcode WebSocketConnection}. */
export interface SocketOwner {
  /** How much that the client has sent waits for its turn, in texts. */
  readonly behind: number;
  /** It takes messages again that it did not take before. */
  drained(): void;
  /** This side has closed it. */
  shut(code: Code | "normal"): void;
}

const OPEN = 1;
/** A reason travels in a control frame of at most 125 bytes (RFC 6455 section 5.5). */
const MAX_REASON = 120;
/** Most bytes that a UTF-16 unit takes in UTF-8. */
const UNIT_BYTES = 3;
/** Bytes that wait in a socket above which it takes no messages: they wait better in the log. */
const MAX_AHEAD = 65_536;
/**
 * Messages that a client that gets each in a frame of its own takes before others have their turn: it
 * answers each of them.
 */
const SHARE = 48;
/** Those that it takes for a slice of what it has sent, while more of that waits. */
const SLICE_SHARE = 16;
/** Milliseconds until a parked socket is looked at, doubling… */
const FIRST_CHECK = 5;
/** …up to this. */
const CHECK_INTERVAL = 50;
const STUCK_AFTER = 30_000;
/** Bytes for which a reader has that time, where nothing shows how far it is with a write. */
const STUCK_BYTES = 262_144;

/** A socket whose buffer is filling. */
interface Parked {
  /** Milliseconds for which its buffer has not shrunk. */
  stuckFor: number;
  /** Bytes in its buffer when it was looked at. */
  at: number;
  delay: number;
  cancel: Cancel;
}

/**
 * The way out over one WebSocket.
 *
 * The standard interface has no event for a buffer that drained, so a socket whose buffer is filling
 * is parked: it takes no messages, and is looked at from time to time. One that stays full, or whose
 * buffer passes the limit, is closed as a slow consumer; since closing waits for the peer, whoever
 * owns the connection is told at once and forgets it.
 */
export class WebSocketConnection implements Connection, Flushed, Buffering {
  /** See {@linkcode Connection.transport}. */
  readonly transport = "websocket";
  readonly #socket: Socket;
  readonly #terms: SocketTerms;
  readonly #owner: SocketOwner;
  #batching = false;
  /** Nothing is sent any more. */
  #closed = false;
  /** This side has closed it. */
  #isOver = false;
  /**
   * Characters that may be sent before its buffer is looked at again, which costs a call into the
   * runtime: at most so much more is in it than was seen. Below 0, what messages took beyond, or one
   * answer: one batch of them may be more than all that may wait, and no client is slow for that.
   */
  #room = 0;
  /** What is to leave at the end of this turn. */
  #gathered: Gathered | undefined;
  /** Whether its bytes count among those of all. */
  #isNoted = false;
  #parked: Parked | undefined;
  /** Messages that it may take in the pass in which it was asked last. */
  #share = 0;
  #pass = -1;
  /** Whether it takes more once a slice of what its client has sent was handled. */
  #isHeld = false;

  /** @param owner hears of it; not before this has returned */
  constructor(socket: Socket, terms: SocketTerms, owner: SocketOwner) {
    this.#socket = socket;
    this.#terms = terms;
    this.#owner = owner;
  }

  /** See {@linkcode Connection.capacity}. */
  get capacity(): number {
    if (this.#closed || this.#parked !== undefined) return 0;
    const mayGather = this.#room > 0 || this.#gathered === undefined;
    if (this.#terms.turn.isFull || !mayGather) {
      this.#owner.drained();
      return 0;
    }
    if (!this.#batching && !this.#hasShare()) return 0;
    if (this.#room <= 0) {
      const { bufferedAmount } = this.#socket;
      if (bufferedAmount > this.#mostAhead) {
        this.#park(bufferedAmount);
        return 0;
      }
      this.#room = this.#mostAhead;
    }
    return this.#batching ? Infinity : this.#share;
  }

  /** A slice of what the client has sent was handled. */
  handled(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#share = SLICE_SHARE;
    this.#owner.drained();
  }

  /** From now on everything of a turn leaves in one frame. */
  batch(): void {
    // What came before must not be in an array.
    this.flush();
    this.#batching = true;
  }

  /** See {@linkcode Connection.send}. */
  send(text: string, count: number): void {
    if (this.#closed || (mayBeLost(text, count) && this.#leavesOut(text))) return;
    const { turn, texts, batches, maxBufferedBytes } = this.#terms;
    const before = this.#gathered;
    if (count > 0) {
      this.#room -= text.length;
      this.#share -= count;
      turn.sends(before === undefined ? 1 : 0, text.length);
    } else {
      // What was beyond has left.
      if (this.#room < 0 && this.#isEmpty) this.#room = 0;
      if (this.#room >= 0) {
        const isLarge = text.length > maxBufferedBytes / (2 * UNIT_BYTES);
        this.#room = isLarge ? -text.length : Math.max(this.#room - text.length, 0);
      }
    }
    if (!this.#batching && this.#socket.sendAll === undefined) {
      return this.#write(text);
    }
    if (before !== undefined) this.#gathered = before.and(text, count);
    else {
      turn.flush(this);
      this.#gathered = (this.#batching ? batches : texts).begin(text, count);
    }
    if (this.#gathered.length > maxBufferedBytes + this.#excess) this.close("slow_consumer");
  }

  /** See {@linkcode Buffering.waiting}. */
  get waiting(): number {
    return this.#closed ? 0 : this.#socket.bufferedAmount;
  }

  /** See {@linkcode Buffering.overflow}. */
  overflow(detail: string): void {
    this.#isNoted = false;
    this.close("slow_consumer", detail);
  }

  /** Sends what has gathered. */
  flush(): void {
    const gathered = this.#gathered;
    if (gathered === undefined || this.#closed) return;
    this.#gathered = undefined;
    this.#write(gathered);
  }

  /** See {@linkcode Connection.close}. */
  close(code: Code | "normal", detail?: string): void {
    if (this.#closed) return this.#giveUp(code);
    this.flush();
    // The flush may have shown that the client is a slow consumer, and closed it as one.
    if (this.#closed) return;
    this.#isOver = true;
    this.#gone();
    const { metrics } = this.#terms;
    metrics.count(metrics.closed, code);
    const number = code === "normal" ? 1000 : CODES[code].close ?? CODES.internal.close!;
    const reason = code === "normal" ? "" : `${code}: ${detail ?? CODES[code].text}`;
    try {
      // Whoever does not read would not read the close either.
      if (code === "slow_consumer" && this.#socket.terminate !== undefined) {
        this.#socket.terminate();
      } else {
        this.#socket.close(number, asciiReason(reason));
      }
    } catch {
      // It was closing already.
    }
    // Whoever sends too much goes on with it until the close has reached them.
    if (code === "too_many_frames") this.#socket.pause?.();
    this.#owner.shut(code);
  }

  /** The socket is closed, whoever closed it. */
  gone(): void {
    this.#gone();
  }

  /** What the peer sent before it closed may wait still: it is not done any more. */
  #giveUp(code: Code | "normal"): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.shut(code);
  }

  #gone(): void {
    this.#closed = true;
    this.#gathered = undefined;
    if (this.#isNoted) this.#note(0);
    this.#parked?.cancel();
    this.#parked = undefined;
  }

  /** Whether it may take messages in this pass: as fast as its answers to them are handled. */
  #hasShare(): boolean {
    const { turn: { pass } } = this.#terms;
    const isBehind = this.#owner.behind >= SHARE;
    if (this.#pass !== pass && !isBehind) {
      this.#pass = pass;
      this.#share = SHARE;
    }
    if (this.#share > 0) return true;
    if (isBehind) this.#isHeld = true;
    else this.#owner.drained();
    return false;
  }

  /** Whether there is no room for what may be lost: half of all that may wait is for the rest. */
  #leavesOut(text: string): boolean {
    if (text.length <= this.#room) return false;
    const { bufferedAmount } = this.#socket;
    const gathered = this.#gathered?.length ?? 0;
    // One may be larger than all that may wait.
    if (bufferedAmount + gathered === 0) return false;
    const parked = this.#parked;
    // Messages wait for it to drain, and would for ever.
    if (parked !== undefined && parked.delay >= CHECK_INTERVAL) return true;
    const bytes = bufferedAmount + UNIT_BYTES * (gathered + text.length);
    if (bytes <= this.#terms.maxBufferedBytes / 2) return false;
    // Where nothing else comes, only so is a reader found out that has stopped.
    if (parked === undefined && bufferedAmount > this.#mostAhead) this.#park(bufferedAmount);
    return true;
  }

  /** Whether nothing waits. */
  get #isEmpty(): boolean {
    return this.#gathered === undefined && this.#socket.bufferedAmount === 0;
  }

  /** Characters that it was sent beyond its room. */
  get #excess(): number {
    return Math.max(-this.#room, 0);
  }

  get #mostAhead(): number {
    return Math.min(this.#terms.maxBufferedBytes / 4, MAX_AHEAD);
  }

  #write(what: string | Gathered): void {
    const socket = this.#socket;
    if (socket.readyState !== OPEN) return;
    try {
      if (typeof what === "string") socket.send(what);
      else if (socket.sendAll === undefined) socket.send(what.joined);
      else socket.sendAll(what, this.#batching);
    } catch {
      // It closed in this very moment; its close event follows.
      return;
    }
    if (this.#room > 0) return;
    const { bufferedAmount } = socket;
    const most = this.#terms.maxBufferedBytes + UNIT_BYTES * this.#excess;
    if (bufferedAmount > most) this.close("slow_consumer");
    else this.#note(bufferedAmount);
  }

  /** Milliseconds for which a buffer of so many bytes may stand still. */
  #patience(bytes: number): number {
    return this.#socket.writesWhole ? STUCK_AFTER * Math.max(bytes / STUCK_BYTES, 1) : STUCK_AFTER;
  }

  #note(bytes: number): void {
    // Where all have too many this one may go, and counts no more.
    const isNoted = this.#terms.buffers.note(this, bytes, this.#isNoted);
    this.#isNoted = isNoted && !this.#closed;
  }

  #park(bytes: number): void {
    this.#note(bytes);
    // One of too many that all have too much.
    if (this.#closed) return;
    const delay = FIRST_CHECK;
    this.#parked = { stuckFor: 0, at: bytes, delay, cancel: this.#schedule(delay) };
  }

  #schedule(delay: number): Cancel {
    return this.#terms.clock.schedule(delay, () => this.#look(this.#parked!));
  }

  #look(parked: Parked): void {
    const { bufferedAmount } = this.#socket;
    this.#note(bufferedAmount);
    if (this.#closed) return;
    if (bufferedAmount <= this.#mostAhead / 2) {
      this.#parked = undefined;
      return this.#owner.drained();
    }
    parked.stuckFor = bufferedAmount < parked.at ? 0 : parked.stuckFor + parked.delay;
    parked.at = bufferedAmount;
    const left = this.#patience(bufferedAmount) - parked.stuckFor;
    if (left <= 0) return this.close("slow_consumer");
    parked.delay = Math.min(parked.delay * 2, CHECK_INTERVAL, left);
    parked.cancel = this.#schedule(parked.delay);
  }
}

function asciiReason(reason: string): string {
  return reason.replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_REASON);
}
