import type { Socket } from "node:net";
import { replyEnd } from "./resp.ts";

/** What is done to the bytes of one direction. All may be set together. */
export interface Toxics {
  /** Milliseconds that bytes are late. @default {0} */
  readonly latency?: number;
  /** Milliseconds that are added to that at most, by chance; bytes stay in order. @default {0} */
  readonly jitter?: number;
  /** Bytes a second. No limit by default. */
  readonly bandwidth?: number;
  /** Bytes that are written at once. No limit by default. */
  readonly slice?: number;
  /** Nothing arrives, and nobody is told; what waits arrives once this is over. @default {false} */
  readonly blackhole?: boolean;
  /** Messages of Redis channels are dropped; all else arrives. @default {false} */
  readonly deaf?: boolean;
}

/** What a lane needs beside its two sockets. */
export interface LaneParts {
  /** What is done to the bytes now. */
  readonly toxics: () => Toxics;
  /** A number from 0 up to, and without, 1. */
  readonly random: () => number;
  /** Whether bytes are looked at as whole commands and replies of Redis, else as they come. */
  readonly redis: boolean;
  /** Looks at each piece. After `cut` the connection is reset, once what came before has passed. */
  readonly sieve: (piece: Uint8Array) => "pass" | "drop" | "cut";
  /** Resets both sides of the connection. */
  readonly reset: () => void;
}

/** Bytes that wait at most; the sender waits, too, then. */
const MOST_WAITING = 1 << 20;

type Item = Uint8Array | "end" | "reset";

/** One direction of a connection. */
export class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #parts: LaneParts;
  readonly #queue: { item: Item; readonly due: number }[] = [];
  #partial = new Uint8Array();
  #waiting = 0;
  #lastDue = 0;
  #running = false;
  #closed = false;
  #isCut = false;
  #wake: (() => void) | undefined;

  constructor(from: Socket, to: Socket, parts: LaneParts) {
    this.#from = from;
    this.#to = to;
    this.#parts = parts;
    from.on("data", (bytes: Uint8Array) => this.#take(bytes));
    from.on("end", () => this.#push("end"));
    from.on("close", (failed: boolean) => failed && this.#push("reset"));
    to.on("close", () => this.close());
  }

  /** Looks at the toxics again. */
  wake(): void {
    this.#wake?.();
  }

  /** Passes nothing on any more. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.wake();
  }

  #take(bytes: Uint8Array): void {
    const { redis, sieve } = this.#parts;
    const kept: Uint8Array[] = [];
    const isCut = this.#isCut;
    for (const piece of redis ? this.#frames(bytes) : [bytes]) {
      if (this.#isCut) break;
      const what = sieve(piece);
      if (what === "pass") kept.push(piece);
      if (what === "cut") this.#isCut = true;
    }
    if (kept.length > 0) this.#push(concat(kept));
    if (this.#isCut && !isCut) this.#push("reset");
  }

  /** Whole frames of these bytes and those before them that made none. */
  #frames(bytes: Uint8Array): Uint8Array[] {
    const all = this.#partial.length === 0 ? bytes : concat([this.#partial, bytes]);
    const frames: Uint8Array[] = [];
    let start = 0;
    let end: number | undefined;
    while (start < all.length && (end = replyEnd(all, start)) !== undefined) {
      frames.push(all.subarray(start, end));
      start = end;
    }
    this.#partial = all.slice(start);
    return frames;
  }

  #push(item: Item): void {
    if (this.#closed) return;
    const { latency = 0, jitter = 0 } = this.#parts.toxics();
    const due = performance.now() + latency + this.#parts.random() * jitter;
    this.#lastDue = Math.max(this.#lastDue, due);
    this.#queue.push({ item, due: this.#lastDue });
    if (typeof item !== "string") this.#waiting += item.length;
    if (this.#waiting > MOST_WAITING) this.#from.pause();
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#queue.length > 0) {
      const [{ item, due }] = this.#queue;
      const late = due - performance.now();
      if (this.#parts.toxics().blackhole) await this.#wait();
      else if (late > 0) await this.#wait(late);
      else if (typeof item !== "string") await this.#pass(item);
      else {
        this.#queue.shift();
        if (item === "end") this.#to.end();
        else this.#parts.reset();
      }
    }
    this.#running = false;
  }

  /** Writes as much of the first bytes as may be written at once. */
  async #pass(bytes: Uint8Array): Promise<void> {
    const { slice = Infinity, bandwidth = Infinity } = this.#parts.toxics();
    // A fiftieth of a second at a time keeps a small bandwidth even.
    const most = Math.max(1, Math.floor(Math.min(slice, bandwidth / 50)));
    const piece = bytes.subarray(0, most);
    if (piece.length < bytes.length) this.#queue[0].item = bytes.subarray(piece.length);
    else this.#queue.shift();
    this.#waiting -= piece.length;
    await new Promise((resolve) => this.#to.write(piece, resolve));
    // Slices that are written in one turn would travel together.
    if (bandwidth !== Infinity) await this.#wait(piece.length / bandwidth * 1_000);
    else if (slice !== Infinity) await this.#wait(0);
    if (this.#waiting <= MOST_WAITING && !this.#closed) this.#from.resume();
  }

  /** Waits so many milliseconds, or until something changes. */
  async #wait(delay?: number): Promise<void> {
    if (this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = delay === undefined ? undefined : setTimeout(resolve, delay);
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
