import type { Code } from "@push/client/protocol";
import type { Cancel, Clock } from "../clock.ts";
import type { Flushed, Turn } from "../turn.ts";
import type { Connection } from "./connection.ts";
import { type EventStream, onOneLine, type StreamOwner } from "./event_stream.ts";

/** What the pollers of one gateway share. */
export interface PollTerms {
  readonly clock: Clock;
  readonly turn: Turn;
  /** Most messages of one answer. */
  readonly maxBatchSize: number;
}

/** Where a poller's stream comes from. */
export interface StreamSource {
  /**
   * Opens a stream.
   *
   * @throws {PushError} `too_many_connections`
   */
  open(owner: StreamOwner, keepalive: string): EventStream;
}

interface Waiting {
  readonly resolve: (frames: string[]) => void;
  readonly cancel: Cancel;
}

interface Streaming {
  readonly stream: EventStream;
  readonly onDrain: () => void;
}

/** Notices (presence, gaps) kept for a poller between two polls; the oldest go first. */
const MAX_NOTICES = 1000;

/**
 * The way out to one long-poller: it takes messages only while a poll waits, and answers that poll
 * at the end of the turn in which something came. Or it has an event stream instead: then everything
 * of a turn leaves as one event, an array.
 */
export class LongPollConnection implements Connection, Flushed, StreamOwner {
  /** See {@linkcode Connection.transport}. */
  readonly transport = "longpoll";
  readonly #terms: PollTerms;
  readonly #onClose: (code: Code | "normal") => void;
  readonly #onBarred: (() => void) | undefined;
  #waiting: Waiting | undefined;
  #streaming: Streaming | undefined;
  #frames: string[] = [];
  #messages = 0;
  /** Length of the texts that gathered. */
  #length = 0;
  #closed = false;

  /**
   * @param onClose called when this side has closed the connection
   * @param onBarred called when a channel was taken from its session
   */
  constructor(
    terms: PollTerms,
    onClose: (code: Code | "normal") => void,
    onBarred?: () => void,
  ) {
    this.#terms = terms;
    this.#onClose = onClose;
    this.#onBarred = onBarred;
  }

  /** See {@linkcode Connection.capacity}. */
  get capacity(): number {
    if (this.#closed) return 0;
    if (this.#streaming !== undefined) {
      return this.#streaming.stream.takes(this.#length) ? Infinity : 0;
    }
    return this.#waiting === undefined ? 0 : this.#terms.maxBatchSize - this.#messages;
  }

  /** Whether a poll waits for an answer. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** Whether it has a stream that is read. */
  get isStreaming(): boolean {
    return this.#streaming !== undefined;
  }

  /**
   * Waits for frames: their texts, none after `timeout` milliseconds, or at once if another poll or a
   * stream comes, the connection is closed, or the signal says that the client has gone. The caller
   * pumps the session once this was called.
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

  /**
   * Opens a stream: a poll that waits is answered empty, and an earlier stream ends. The first event
   * is there at once, so that the client sees whether something between holds it back. The caller
   * pumps the session once this was called.
   *
   * @param onDrain called when a stream that was full takes messages again
   * @throws {PushError} `too_many_connections`
   */
  stream(source: StreamSource, onDrain: () => void): EventStream {
    const stream = source.open(this, eventOf([]));
    this.#release();
    if (this.#closed) {
      stream.end();
      return stream;
    }
    this.#streaming = { stream, onDrain };
    stream.write(eventOf(this.#take()));
    return stream;
  }

  /** Ends the stream, if there is one; the poller goes on. */
  endStream(): void {
    this.#streaming?.stream.end();
    this.#streaming = undefined;
  }

  /** See {@linkcode Connection.send}. */
  send(text: string, count: number): void {
    if (this.#closed) return;
    const isLate = this.#streaming === undefined && this.#frames.length >= MAX_NOTICES;
    if (count === 0 && isLate) this.#length -= this.#frames.shift()!.length;
    const frames = count > 1 ? text.slice(1, -1) : text;
    this.#frames.push(frames);
    this.#length += frames.length;
    this.#messages += count;
    if (this.#waiting !== undefined || this.#streaming !== undefined) this.#terms.turn.flush(this);
  }

  /** Sends what gathered: answers the waiting poll, or writes one event. */
  flush(): void {
    if (this.#frames.length === 0) return;
    if (this.#streaming === undefined) this.#answer();
    else this.#streaming.stream.write(eventOf(this.#take()));
  }

  /** See {@linkcode Connection.barred}. */
  barred(): void {
    this.#onBarred?.();
  }

  /** See {@linkcode Connection.close}. */
  close(code: Code | "normal"): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.#release();
    this.#onClose(code);
  }

  /** See {@linkcode StreamOwner.drained}. */
  drained(stream: EventStream): void {
    if (this.#streaming?.stream === stream) this.#streaming.onDrain();
  }

  /** See {@linkcode StreamOwner.lives}: whoever has the poller looks by itself. */
  lives(): void {}

  /** See {@linkcode StreamOwner.gone}. */
  gone(stream: EventStream): void {
    if (this.#streaming?.stream === stream) this.#streaming = undefined;
  }

  /** See {@linkcode StreamOwner.stuck}: the client opens another one, and says what it has. */
  stuck(stream: EventStream): void {
    this.gone(stream);
    stream.drop();
  }

  #answer(): void {
    if (this.#waiting !== undefined) this.#release(this.#take());
  }

  #take(): string[] {
    const frames = this.#frames;
    this.#frames = [];
    this.#messages = 0;
    this.#length = 0;
    return frames;
  }

  #release(frames: string[] = []): void {
    const waiting = this.#waiting;
    const streaming = this.#streaming;
    this.#waiting = undefined;
    this.#streaming = undefined;
    waiting?.cancel();
    waiting?.resolve(frames);
    streaming?.stream.end();
  }
}

/** Frames as one event. */
function eventOf(frames: readonly string[]): string {
  return `data: [${onOneLine(frames.join(","))}]\n\n`;
}
