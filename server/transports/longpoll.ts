import type { Code } from "@push/client/protocol";
import type { Cancel, Clock } from "../clock.ts";
import type { Flushed, Turn } from "../turn.ts";
import type { Connection } from "./connection.ts";
import { type EventStream, onOneLine, type StreamOwner } from "./event_stream.ts";
import { mayBeLost } from "./may_be_lost.ts";
import { SharedText } from "./shared_text.ts";

/** What the pollers of one gateway share. */
export interface PollTerms {
  readonly clock: Clock;
  readonly turn: Turn;
  /** Most messages of one answer. */
  readonly maxBatchSize: number;
  /** Characters of one answer above which it takes no more messages, and loses presence events. */
  readonly mostCharacters: number;
  /** Notices kept between two polls above which a poller is closed. */
  readonly mostNotices: number;
  /** Makes the text of an answer to a poll… */
  readonly answers: SharedText;
  /** …and that of an event. */
  readonly events: SharedText;
}

/**
 * The terms of pollers, with what makes their texts.
 *
 * @param given what they are held to; `maxChannels` is how many one may be subscribed to, and
 *   `maxBufferedBytes` what may wait for one
 */
export function pollTerms(
  { clock, turn, maxBatchSize, maxChannels, maxBufferedBytes }:
    & Pick<PollTerms, "clock" | "turn" | "maxBatchSize">
    & { readonly maxChannels: number; readonly maxBufferedBytes: number },
): PollTerms {
  return {
    clock,
    turn,
    maxBatchSize,
    mostCharacters: maxBufferedBytes / 4,
    // A store that is lost has to be told of each channel.
    mostNotices: Math.max(MOST_NOTICES, 2 * maxChannels),
    answers: new SharedText((array) => `{"messages":${array},"poll_interval_hint":0}`),
    events: new SharedText((array) => `data: ${onOneLine(array)}\n\n`),
  };
}

/** A request whose signal says that its client has gone. It is read only where somebody waits. */
export interface Asking {
  readonly signal: AbortSignal;
}

/** What is being read for a poll whose time has run out, or that has notices. */
export interface Reading {
  /** Milliseconds that are waited for it beyond the time of the poll. */
  readonly patience: number;
  /** Whether something is. */
  goesOn(): boolean;
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

/** A poll that is not answered. */
class Waiting {
  /** The answer, if it came before anything was waited for. */
  answer: string | undefined;
  #resolve: ((answer: string) => void) | undefined;
  #cancel: Cancel | undefined;

  /** Whether the answer is waited for. */
  get isHeld(): boolean {
    return this.#resolve !== undefined;
  }

  /** Waits for the answer. @param cancel called once it is there */
  hold(cancel: Cancel): Promise<string> {
    this.#cancel = cancel;
    return new Promise((resolve) => this.#resolve = resolve);
  }

  /** Here is the answer. */
  end(answer: string): void {
    this.#cancel?.();
    if (this.#resolve === undefined) this.answer = answer;
    else this.#resolve(answer);
  }
}

interface Streaming {
  readonly stream: EventStream;
  readonly onDrain: () => void;
}

/** Notices kept for a poller between two polls, above which those of presence go, the oldest first… */
const MAX_NOTICES = 1000;
/**
 * …and above which it is closed, where it may have no more channels than half of that: the others must not
 * be lost, and who comes back hears them again.
 */
const MOST_NOTICES = 2000;
/** Milliseconds after which it is asked again whether something is being read. */
const READING_CHECK = 50;
/** How a notice begins that is told again for as long as the client does not seem to have heard it. */
const BARRED = '{"type":"error","code":"forbidden"';

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
  /** Presence events among them. */
  #presence = 0;
  /** Those among them that are told again, if there are any. */
  #barred: Set<string> | undefined;
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
    const { maxBatchSize, mostCharacters } = this.#terms;
    if (this.#waiting === undefined) return 0;
    // Notices alone hold no message back.
    if (this.#messages > 0 && this.#length >= mostCharacters) return 0;
    return maxBatchSize - this.#messages;
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
   * Takes a poll: its answer is what `fill` brings, or what comes within `timeout` milliseconds. It is
   * empty then, or at once if another poll or a stream comes, the connection is closed, or the client
   * has gone.
   *
   * @param fill pumps the session; at once if the answer is about to leave
   * @param reading what is waited for a little longer
   */
  poll(
    timeout: number,
    asking: Asking,
    fill: (atOnce: boolean) => void,
    reading: Reading,
  ): string | Promise<string> {
    const { clock, answers } = this.#terms;
    // What gathered for an earlier poll goes to this one: the earlier one's client may be gone.
    this.#release();
    if (this.#closed) return answers.of([]);
    const waiting = new Waiting();
    this.#waiting = waiting;
    // Where some notice has come between any two polls, messages would wait for ever.
    fill(this.#frames.length > 0);
    if (this.#waiting !== waiting) return waiting.answer ?? answers.of([]);
    const hasNotices = this.#frames.length > 0;
    if (hasNotices && (this.#messages > 0 || !reading.goesOn())) {
      this.#waiting = undefined;
      return answers.of(this.#take());
    }
    const { signal } = asking;
    if (signal.aborted) {
      this.#waiting = undefined;
      return answers.of([]);
    }
    const gone = () => this.#release();
    const late = (patience: number) => {
      if (patience <= 0 || !reading.goesOn()) return this.#release(this.#take());
      cancelTimeout = clock.schedule(READING_CHECK, () => late(patience - READING_CHECK));
    };
    // Notices wait for nothing but that.
    const first = hasNotices ? Math.min(timeout, READING_CHECK) : timeout;
    let cancelTimeout = clock.schedule(first, () => late(reading.patience + timeout - first));
    signal.addEventListener("abort", gone);
    return waiting.hold(() => {
      cancelTimeout();
      signal.removeEventListener("abort", gone);
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
    const { events } = this.#terms;
    const stream = source.open(this, events.of([]));
    this.#release();
    if (this.#closed) {
      stream.end();
      return stream;
    }
    this.#streaming = { stream, onDrain };
    stream.write(events.of(this.#take()));
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
    if (count === 0 && text.startsWith(BARRED)) {
      const barred = this.#barred ??= new Set();
      // It has not left yet.
      if (barred.has(text)) return;
      barred.add(text);
    }
    const isPresence = mayBeLost(text, count);
    if (this.#streaming !== undefined) {
      if (isPresence && !this.#streaming.stream.takes(this.#length)) return;
    } else if (count === 0 && !this.#makeRoom(text)) return this.close("slow_consumer");
    const isFirst = this.#messages === 0;
    this.#frames.push(text);
    this.#length += text.length;
    this.#messages += count;
    if (isPresence) this.#presence++;
    // What comes while a poll is taken is its answer, without a turn between.
    if (!this.#waiting?.isHeld && this.#streaming === undefined) return;
    const { turn } = this.#terms;
    if (count > 0) turn.sends(isFirst ? 1 : 0, text.length);
    turn.flush(this);
  }

  /** Sends what gathered: answers the waiting poll, or writes one event. */
  flush(): void {
    if (this.#frames.length === 0) return;
    if (this.#streaming === undefined) this.#answer();
    else this.#streaming.stream.write(this.#terms.events.of(this.#take()));
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

  /** Makes room for one notice more; returns whether there is any. */
  #makeRoom({ length }: string): boolean {
    const { mostNotices, mostCharacters } = this.#terms;
    while (this.#presence > 0) {
      const isFull = this.#notices >= MAX_NOTICES || this.#length + length > mostCharacters;
      if (!isFull) break;
      const at = this.#frames.findIndex((frame) => mayBeLost(frame, 0));
      this.#length -= this.#frames.splice(at, 1)[0].length;
      this.#presence--;
    }
    return this.#notices < mostNotices;
  }

  get #notices(): number {
    return this.#frames.length - this.#messages;
  }

  #take(): string[] {
    const frames = this.#frames;
    this.#frames = [];
    this.#barred = undefined;
    this.#messages = this.#presence = 0;
    this.#length = 0;
    return frames;
  }

  #release(frames: readonly string[] = []): void {
    const waiting = this.#waiting;
    const streaming = this.#streaming;
    this.#waiting = undefined;
    this.#streaming = undefined;
    waiting?.end(this.#terms.answers.of(frames));
    streaming?.stream.end();
  }
}
