import type { Code } from "@push/client/protocol";
import type { Cancel, Clock } from "../clock.ts";
import type { Flushed, Turn } from "../turn.ts";
import type { Connection } from "./connection.ts";

/** What the pollers of one gateway share. */
export interface PollTerms {
  readonly clock: Clock;
  readonly turn: Turn;
  /** Most messages of one answer. */
  readonly maxBatchSize: number;
}

interface Waiting {
  readonly resolve: (frames: string[]) => void;
  readonly cancel: Cancel;
}

/** Notices (presence, gaps) kept for a poller between two polls; the oldest go first. */
const MAX_NOTICES = 1000;

/**
 * The way out to one long-poller: it takes messages only while a poll waits, and answers that poll
 * at the end of the turn in which something came.
 */
export class LongPollConnection implements Connection, Flushed {
  /** See {@linkcode Connection.transport}. */
  readonly transport = "longpoll";
  readonly #terms: PollTerms;
  readonly #onClose: (code: Code | "normal") => void;
  #waiting: Waiting | undefined;
  #frames: string[] = [];
  #messages = 0;
  #closed = false;

  /** @param onClose called when this side has closed the connection */
  constructor(terms: PollTerms, onClose: (code: Code | "normal") => void) {
    this.#terms = terms;
    this.#onClose = onClose;
  }

  /** See {@linkcode Connection.capacity}. */
  get capacity(): number {
    if (this.#waiting === undefined || this.#closed) return 0;
    return this.#terms.maxBatchSize - this.#messages;
  }

  /** Whether a poll waits for an answer. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /**
   * Waits for frames: their texts, none after `timeout` milliseconds, or at once if another poll
   * comes, the connection is closed, or the signal says that the client has gone. The caller pumps
   * the session once this was called.
   */
  poll(timeout: number, signal: AbortSignal): Promise<string[]> {
    // What gathered for an earlier poll goes to this one: the earlier one's client may be gone.
    this.#release();
    if (this.#closed || signal.aborted) return Promise.resolve([]);
    return new Promise((resolve) => {
      const gone = () => this.#release();
      const cancelTimeout = this.#terms.clock.schedule(timeout, () => this.#answer());
      const cancel = () => {
        cancelTimeout();
        signal.removeEventListener("abort", gone);
      };
      signal.addEventListener("abort", gone);
      this.#waiting = { resolve, cancel };
      if (this.#frames.length > 0) this.#terms.turn.flush(this);
    });
  }

  /** See {@linkcode Connection.send}. */
  send(text: string, count: number): void {
    if (this.#closed) return;
    if (count === 0 && this.#frames.length >= MAX_NOTICES) this.#frames.shift();
    this.#frames.push(count > 1 ? text.slice(1, -1) : text);
    this.#messages += count;
    if (this.#waiting !== undefined) this.#terms.turn.flush(this);
  }

  /** Answers the waiting poll with what gathered. */
  flush(): void {
    if (this.#frames.length > 0) this.#answer();
  }

  /** See {@linkcode Connection.close}. */
  close(code: Code | "normal"): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#answer();
    this.#onClose(code);
  }

  #answer(): void {
    if (this.#waiting === undefined) return;
    const frames = this.#frames;
    this.#frames = [];
    this.#messages = 0;
    this.#release(frames);
  }

  #release(frames: string[] = []): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.cancel();
    waiting?.resolve(frames);
  }
}
