import type { Buffering, Buffers } from "../limits/buffers.ts";
import type { Metrics } from "../metrics.ts";
import type { Timed, TimingWheel } from "../wheel.ts";

/** Who writes an event stream. */
export interface StreamOwner {
  /** A stream that was full takes text again. */
  drained(stream: EventStream): void;
  /** The stream is being read, as far as anybody can tell; called from time to time. */
  lives(stream: EventStream): void;
  /** The reader has gone. */
  gone(stream: EventStream): void;
  /** The reader reads too slowly, or not at all. The owner drops the stream. */
  stuck(stream: EventStream): void;
}

/** What the event streams of one gateway share. */
export interface StreamTerms {
  readonly wheel: TimingWheel;
  readonly metrics: Metrics;
  readonly encoder: EventEncoder;
  /** Bytes that wait for one reader above which it counts as stuck. */
  readonly maxBufferedBytes: number;
  /** Counts what waits in all connections. */
  readonly buffers: Buffers;
  /** Called once nothing of a stream is held any more. */
  settled(stream: EventStream): void;
  /** Called for each that is closed as its reader is stuck. */
  readonly slow?: () => void;
}

/** Milliseconds after which something is written where there is nothing to say. */
const KEEPALIVE = 4_000;
const STUCK_AFTER = 30_000;
/** Bytes up to which what waits is handed over at once. */
const JOINED = 65_536;
const LINE_BREAK = /[\r\n]/g;

/**
 * Writes text as bytes. Subscribers of one channel are written the same text, one after the other:
 * the last one is kept, and its bytes are shared.
 */
export class EventEncoder {
  readonly #encoder = new TextEncoder();
  #text = "";
  #bytes = new Uint8Array();

  /** The bytes of a text. */
  encode(text: string): Uint8Array {
    if (text !== this.#text) {
      this.#bytes = this.#encoder.encode(text);
      this.#text = text;
    }
    return this.#bytes;
  }
}

/**
 * The body of an answer that goes on: server-sent events (HTML standard, section 9.2). The reader
 * asks for each piece, so what a slow one leaves waits here, counted.
 *
 * Nobody can cut the connection of a reader that is stuck. It is forgotten at once, but for the one
 * piece that it was given; {@linkcode StreamTerms.settled} says when that is gone, too.
 */
export class EventStream implements Timed, Buffering {
  /** See {@linkcode Timed.slot}. */
  slot = 0;
  /** What is sent. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #terms: StreamTerms;
  readonly #owner: StreamOwner;
  readonly #keepalive: string;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  /** Whether its bytes count among those of all. */
  #isNoted = false;
  /** Whether the reader waits for the next piece. */
  #wanted = false;
  #parked = false;
  #ended = false;
  #wroteAt: number;
  /** Since when the first piece of the queue waits. */
  #waitsSince = 0;

  /** @param keepalive text that says nothing */
  constructor(terms: StreamTerms, owner: StreamOwner, keepalive: string) {
    this.#terms = terms;
    this.#owner = owner;
    this.#keepalive = keepalive;
    this.#wroteAt = terms.wheel.time;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#pull(),
      cancel: () => this.#cancelled(),
    }, { highWaterMark: 0 });
    terms.wheel.schedule(this, this.#wroteAt + KEEPALIVE);
  }

  /**
   * Whether it takes so many bytes more; if not, the owner is told when it does.
   *
   * @param gathered bytes that will be written with the end of this turn
   */
  takes(gathered: number): boolean {
    if (this.#queued + gathered <= this.#terms.maxBufferedBytes / 4) return true;
    this.#parked = true;
    return false;
  }

  /** Writes whole events. */
  write(text: string): void {
    if (this.#ended) return;
    const { wheel, encoder, maxBufferedBytes } = this.#terms;
    const bytes = encoder.encode(text);
    this.#wroteAt = wheel.time;
    if (this.#wanted) {
      this.#wanted = false;
      this.#controller!.enqueue(bytes);
      return this.#unpark();
    }
    if (this.#queue.length === 0) this.#waitsSince = this.#wroteAt;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (this.#queued > maxBufferedBytes && this.#queued - this.#longest > maxBufferedBytes) {
      this.#stuck();
    } else this.#note();
  }

  /** See {@linkcode Buffering.waiting}. */
  get waiting(): number {
    return this.#queued;
  }

  /** See {@linkcode Buffering.overflow}. */
  overflow(): void {
    this.#isNoted = false;
    if (this.#ended) this.drop();
    else this.#stuck();
  }

  /** Ends it behind what was written. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    // What waits is not kept for ever.
    if (this.#queue.length === 0) this.#terms.wheel.cancel(this);
    if (this.#wanted) this.#finish();
  }

  /** Ends it, without what waits. */
  drop(): void {
    this.#queue = [];
    this.#queued = 0;
    this.#note();
    this.#terms.wheel.cancel(this);
    this.end();
  }

  /** Ends it at once: nobody will ever read it. */
  abandon(): void {
    this.drop();
    this.#terms.settled(this);
  }

  /** Called by the timing wheel. */
  onTime(): void {
    const { wheel: { time } } = this.#terms;
    const waits = this.#queue.length > 0;
    const isStuck = waits && time - this.#waitsSince >= STUCK_AFTER;
    if (this.#ended) {
      if (isStuck) this.drop();
      else if (waits) this.#terms.wheel.schedule(this, time + KEEPALIVE);
      return;
    }
    if (isStuck) return this.#stuck();
    this.#owner.lives(this);
    if (!waits && time - this.#wroteAt >= KEEPALIVE) this.write(this.#keepalive);
    if (!this.#ended) this.#terms.wheel.schedule(this, time + KEEPALIVE);
  }

  /** Bytes of the longest piece that waits: one may be longer than all that may, and counts for nothing. */
  get #longest(): number {
    return this.#queue.reduce((longest, { length }) => Math.max(longest, length), 0);
  }

  #note(): void {
    this.#isNoted = this.#terms.buffers.note(this, this.#queued, this.#isNoted) && this.#queued > 0;
  }

  #stuck(): void {
    const { metrics, slow } = this.#terms;
    metrics.count(metrics.closed, "slow_consumer");
    slow?.();
    this.#owner.stuck(this);
  }

  #pull(): void {
    if (this.#queue.length > 0) {
      this.#waitsSince = this.#terms.wheel.time;
      this.#controller!.enqueue(this.#take());
      this.#unpark();
    } else if (this.#ended) {
      this.#finish();
    } else {
      this.#wanted = true;
      this.#unpark();
    }
  }

  /** The first piece that waits, with those behind it if they are small. */
  #take(): Uint8Array {
    let count = 0;
    let size = 0;
    while (count < this.#queue.length && (count === 0 || size < JOINED)) {
      size += this.#queue[count++].length;
    }
    const pieces = this.#queue.splice(0, count);
    this.#queued -= size;
    this.#note();
    if (count === 1) return pieces[0];
    const joined = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
      joined.set(piece, at);
      at += piece.length;
    }
    return joined;
  }

  #unpark(): void {
    if (!this.#parked || this.#ended || this.#queued > this.#terms.maxBufferedBytes / 8) return;
    this.#parked = false;
    this.#owner.drained(this);
  }

  #cancelled(): void {
    const wasOpen = !this.#ended;
    // It closes itself.
    this.#wanted = false;
    this.drop();
    this.#terms.settled(this);
    if (wasOpen) this.#owner.gone(this);
  }

  #finish(): void {
    this.#terms.wheel.cancel(this);
    this.#controller!.close();
    this.#terms.settled(this);
  }
}

/**
 * JSON on one line: a line break ends a field of an event, and in JSON it is never more than a space
 * between two tokens.
 */
export function onOneLine(json: string): string {
  return json.includes("\n") || json.includes("\r") ? json.replace(LINE_BREAK, " ") : json;
}
