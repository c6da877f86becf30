import type { Cancel, Clock } from "./clock.ts";

/**
 * Texts of all sockets that are handled in a turn of the event loop. Deno hands over at most 128 in one,
 * those first that came last: where as many are answered, and answered again, it reads no others.
 */
const AT_ONCE = 64;
/** Texts from which on it is asked when the turn ends. */
const MANY = 32;
/** Units of work that one socket may cause without waiting for a turn. */
const FIRST = 32;
/** Milliseconds without more than that after which a socket may cause as many again. */
export const SPAN = 20;
/** Units of work in a slice, and milliseconds that it may take. */
const SLICE = 128;
const SLICE_TIME = 1;
/** Units after which it is asked how long a slice has taken. */
const LOOK = 16;
/** Slices that all waiting sockets together get in a turn, and milliseconds for them. */
const TURN = 8;
const TURN_TIME = 3;
/** Characters that count as one unit more. */
const UNIT = 4096;

/** Units of work that a text is, beside the frames in it. */
export function workOf(text: string): number {
  return Math.floor(text.length / UNIT);
}

/** A socket that has sent something that waits. */
export interface Sliced {
  /** Does the next slice. @returns whether there is more to do */
  resume(): boolean;
}

/**
 * Sockets whose frames wait for a turn. A runtime hands over all that it has read from a socket
 * without a turn of the event loop between: so without slices one socket that sends thousands of
 * frames at once keeps all others waiting until the last of them is handled. And where many sockets
 * send as soon as they are answered, those that had none yet stand in line: the runtime would go on to
 * read those that it has just read.
 *
 * Under a clock that knows nothing of sockets nobody waits.
 */
export class Slices {
  readonly #clock: Clock;
  readonly #waiting = new Set<Sliced>();
  /** What is to go on with those who wait. */
  #next: Cancel | undefined;
  /** Sockets that have sent little, in the order in which they did. */
  readonly #line = new Set<Sliced>();
  /** Texts that were handled since a turn has ended that was waited for. */
  #handled = 0;
  /** What is to count anew. */
  #counting: Cancel | undefined;
  #isStopped = false;
  /** When the slice that has begun has taken its time, and after how many units to ask. */
  #endsAt = 0;
  #lookAt = 0;

  /** @param clock source of time */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Units of work that a socket may cause within a {@linkcode SPAN} without waiting. */
  get first(): number {
    return this.#clock.afterIo === undefined ? Infinity : FIRST;
  }

  /** Sockets that wait. */
  get size(): number {
    return this.#waiting.size + this.#line.size;
  }

  /** Whether a text that has come may be handled at once. Otherwise its socket has to stand in line. */
  admits(): boolean {
    if (this.#clock.afterIo === undefined) return true;
    if (++this.#handled >= MANY) this.#count();
    return this.#handled <= AT_ONCE && this.#line.size === 0;
  }

  /** Lets a socket go on that {@linkcode Slices.admits} has not let, behind those that came before. */
  standInLine(who: Sliced): void {
    this.#line.add(who);
    this.#count();
  }

  /** Lets a socket go on in the next turn, or when those that wait longer have had theirs. */
  wait(who: Sliced): void {
    this.#waiting.add(who);
    if (this.#isStopped) return;
    this.#next ??= this.#clock.afterIo?.(() => this.#run());
  }

  /** Nobody goes on any more. */
  stop(): void {
    this.#isStopped = true;
    this.#next?.();
    this.#counting?.();
  }

  /** A slice begins. */
  begin(): void {
    this.#endsAt = this.#elapsed() + SLICE_TIME;
    this.#lookAt = LOOK;
  }

  /** Whether the slice that has begun is over, with so many units done. */
  isOver(done: number): boolean {
    if (done < this.#lookAt || this.#clock.afterIo === undefined) return false;
    this.#lookAt = done + LOOK;
    return done >= SLICE || this.#elapsed() >= this.#endsAt;
  }

  #run(): void {
    this.#next = undefined;
    const endsAt = this.#elapsed() + TURN_TIME;
    // One that goes on waiting stands at the end, and gets what nobody else takes of the turn.
    let slices = TURN;
    try {
      for (const who of this.#waiting) {
        this.#waiting.delete(who);
        if (who.resume()) this.#waiting.add(who);
        if (--slices === 0 || this.#elapsed() >= endsAt) break;
      }
    } finally {
      // Whatever becomes of one, the others go on.
      const [next] = this.#waiting;
      if (next !== undefined) this.wait(next);
    }
  }

  /** Counts anew from the next turn on. */
  #count(isLate = false): void {
    if (this.#isStopped || this.#counting !== undefined) return;
    const run = () => this.#runLine();
    this.#counting = isLate ? this.#clock.afterIo?.(run) : this.#clock.schedule(0, run);
  }

  #runLine(): void {
    this.#counting = undefined;
    this.#handled = 0;
    const endsAt = this.#elapsed() + TURN_TIME;
    let isLate = false;
    try {
      for (const who of this.#line) {
        this.#line.delete(who);
        this.#handled++;
        if (who.resume()) this.wait(who);
        isLate = this.#elapsed() >= endsAt;
        if (isLate || this.#handled >= AT_ONCE) break;
      }
    } finally {
      // With few answers a turn the runtime would not read what came: it has to be waited for.
      if (this.#line.size > 0) this.#count(isLate);
    }
  }

  #elapsed(): number {
    return this.#clock.elapsed?.() ?? 0;
  }
}
