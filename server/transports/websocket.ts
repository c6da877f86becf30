import { type Code, CODES } from "@push/client/protocol";
import type { Cancel, Clock } from "../clock.ts";
import type { Buffering, Buffers } from "../limits/buffers.ts";
import type { Metrics } from "../metrics.ts";
import type { Flushed, Turn } from "../turn.ts";
import type { Connection } from "./connection.ts";

/** The part of a WebSocket that the transport uses. */
export interface Socket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(text: string): void;
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
  /** Bytes in one socket's buffer above which its client is a slow consumer. */
  readonly maxBufferedBytes: number;
  /** Counts what waits in all connections. */
  readonly buffers: Buffers;
}

const OPEN = 1;
/** A reason travels in a control frame of at most 125 bytes (RFC 6455 section 5.5). */
const MAX_REASON = 120;
const CHECK_INTERVAL = 50;
const STUCK_AFTER = 30_000;

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
  readonly #onDrain: () => void;
  readonly #onClose: (code: Code | "normal") => void;
  #batching = false;
  /** Nothing is sent any more. */
  #closed = false;
  /** This side has closed it. */
  #isOver = false;
  /** Frames of this turn: texts of one object, or of an array of them. */
  #outbox: { readonly text: string; readonly count: number }[] = [];
  #outboxLength = 0;
  /** Whether its bytes count among those of all. */
  #isNoted = false;
  #check: Cancel | undefined;
  #parkedFor = 0;
  #parkedAt = 0;

  /**
   * @param onDrain called when a parked socket takes messages again
   * @param onClose called when this side has closed the connection
   */
  constructor(
    socket: Socket,
    terms: SocketTerms,
    onDrain: () => void,
    onClose: (code: Code | "normal") => void,
  ) {
    this.#socket = socket;
    this.#terms = terms;
    this.#onDrain = onDrain;
    this.#onClose = onClose;
  }

  /** See {@linkcode Connection.capacity}. */
  get capacity(): number {
    if (this.#closed || this.#check !== undefined) return 0;
    if (this.#socket.bufferedAmount + this.#outboxLength <= this.#terms.maxBufferedBytes / 4) {
      return Infinity;
    }
    this.#park();
    return 0;
  }

  /** From now on everything of a turn leaves in one frame. */
  batch(): void {
    this.#batching = true;
  }

  /** See {@linkcode Connection.send}. */
  send(text: string, count: number): void {
    if (this.#closed) return;
    if (!this.#batching) return this.#sendNow(text);
    if (this.#outbox.length === 0) this.#terms.turn.flush(this);
    this.#outbox.push({ text, count });
    this.#outboxLength += text.length;
    if (this.#outboxLength > this.#terms.maxBufferedBytes) this.close("slow_consumer");
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

  /** Sends what gathered in this turn. */
  flush(): void {
    const outbox = this.#outbox;
    if (outbox.length === 0 || this.#closed) return;
    this.#outbox = [];
    this.#outboxLength = 0;
    if (outbox.length === 1) return this.#sendNow(outbox[0].text);
    const parts = outbox.map(({ text, count }) => count > 1 ? text.slice(1, -1) : text);
    this.#sendNow(`[${parts.join(",")}]`);
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
    this.#onClose(code);
  }

  /** The socket is closed, whoever closed it. */
  gone(): void {
    this.#gone();
  }

  /** What the peer sent before it closed may wait still: it is not done any more. */
  #giveUp(code: Code | "normal"): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onClose(code);
  }

  #gone(): void {
    this.#closed = true;
    this.#outbox = [];
    if (this.#isNoted) this.#note(0);
    this.#check?.();
    this.#check = undefined;
  }

  #sendNow(text: string): void {
    const socket = this.#socket;
    if (socket.readyState !== OPEN) return;
    try {
      socket.send(text);
    } catch {
      // It closed in this very moment; its close event follows.
      return;
    }
    const { bufferedAmount } = socket;
    if (bufferedAmount > this.#terms.maxBufferedBytes) this.close("slow_consumer");
    else this.#note(bufferedAmount);
  }

  #note(bytes: number): void {
    // Where all have too many this one may go, and counts no more.
    const isNoted = this.#terms.buffers.note(this, bytes, this.#isNoted);
    this.#isNoted = isNoted && !this.#closed;
  }

  #park(): void {
    this.#parkedFor = 0;
    this.#parkedAt = this.#socket.bufferedAmount;
    this.#schedule();
  }

  #schedule(): void {
    this.#check = this.#terms.clock.schedule(CHECK_INTERVAL, () => {
      this.#check = undefined;
      const { bufferedAmount } = this.#socket;
      this.#note(bufferedAmount);
      if (this.#closed) return;
      if (bufferedAmount <= this.#terms.maxBufferedBytes / 8) return this.#onDrain();
      this.#parkedFor = bufferedAmount < this.#parkedAt ? 0 : this.#parkedFor + CHECK_INTERVAL;
      this.#parkedAt = bufferedAmount;
      if (this.#parkedFor >= STUCK_AFTER) this.close("slow_consumer");
      else this.#schedule();
    });
  }
}

function asciiReason(reason: string): string {
  return reason.replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_REASON);
}
