import type { Decoded } from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import type { Buffering } from "../limits/buffers.ts";
import { type Sliced, workOf } from "../slices.ts";

/** Whose frames wait. */
export interface BacklogOwner {
  /** Units of work that a frame is. */
  readonly weight: number;
  /** Whether what waits may be handled now. */
  goesOn(backlog: Backlog): boolean;
  /** Takes a text apart; returns the frames that are left to do. */
  take(text: string): readonly Decoded[];
  /** Handles a frame. */
  handle(frame: Decoded): void;
  /** A slice of what waits has been done. */
  paused(): void;
  /**
   * Nothing waits any more.
   *
   * @param done units of work that were done in this turn
   */
  emptied(backlog: Backlog, done: number): void;
  /** So much waits that no more should be read, or so little that it should again. */
  filled(isFull: boolean): void;
  /** Too much waits, or too much for all together. */
  overflowed(detail: string): void;
  /** Something was thrown that nobody else would catch. */
  failed(error: unknown): void;
}

/** Characters above which no more should be read, and up to which it should again. */
const FULL = 131_072;
const LOW = 32_768;
/** Texts that were read, from which on the array lets go of them. */
const MANY = 1024;

/**
 * What a client has sent that waits: for its session, or for a turn. There is one only while something
 * waits, so that a connection which never sends much has none.
 */
export class Backlog implements Sliced, Buffering {
  /** Close code, if the peer has closed meanwhile: its end comes behind what it sent. */
  closed: number | undefined;
  readonly #owner: BacklogOwner;
  readonly #context: Pick<HubContext, "slices" | "limits">;
  #texts: string[] = [];
  #read = 0;
  #size = 0;
  /** Whether it counts among the bytes that wait in all connections. */
  #isNoted = false;
  #isFull = false;
  /** Frames of the text that was begun, and how many of them are done. */
  #batch: readonly Decoded[] = [];
  #done = 0;

  /** @param owner whose frames wait */
  constructor(owner: BacklogOwner, context: Pick<HubContext, "slices" | "limits">) {
    this.#owner = owner;
    this.#context = context;
  }

  /** Characters of the texts that wait. */
  get waiting(): number {
    return this.#size;
  }

  /** Texts that wait. */
  get count(): number {
    return this.#texts.length - this.#read;
  }

  /** A text has come behind all others. */
  add(text: string): void {
    this.#texts.push(text);
    this.#size += text.length;
    this.#note();
  }

  /** Puts frames before all texts. There must be none that wait. */
  begin(batch: readonly Decoded[], done = 0): void {
    this.#batch = batch;
    this.#done = done;
  }

  /** Goes on as soon as there is a turn. */
  wait(): void {
    this.#context.slices.wait(this);
  }

  /** Goes on once all have that came before. */
  standInLine(): void {
    this.#context.slices.standInLine(this);
  }

  /** Goes on at once, with a slice of its own. */
  goOn(): void {
    if (this.resume()) this.wait();
  }

  /** Lets go of everything. */
  drop(): void {
    this.#texts = [];
    this.#read = this.#size = 0;
    this.begin([]);
    this.#note();
  }

  /** See {@linkcode Sliced.resume}. */
  resume(): boolean {
    const { slices } = this.#context;
    let done = 0;
    slices.begin();
    try {
      // Whatever is done may end the conversation, or begin to open it.
      while (this.#owner.goesOn(this)) {
        if (this.#isEmpty) this.#owner.emptied(this, done);
        else if (slices.isOver(done)) return true;
        else done += this.#owner.weight + this.#handleNext();
      }
    } catch (error) {
      this.#owner.failed(error);
    } finally {
      this.#owner.paused();
    }
    return false;
  }

  /** See {@linkcode Buffering.overflow}. */
  overflow(detail: string): void {
    this.#isNoted = false;
    this.#owner.overflowed(detail);
  }

  get #isEmpty(): boolean {
    return this.#done >= this.#batch.length && this.#read >= this.#texts.length;
  }

  /** @returns units of work beside the one for each frame */
  #handleNext(): number {
    if (this.#done < this.#batch.length) {
      this.#owner.handle(this.#batch[this.#done++]);
      return 0;
    }
    const text = this.#texts[this.#read++];
    this.#size -= text.length;
    // Where more comes as fast as it is read, the array would keep all there ever was.
    if (this.#read >= MANY && 2 * this.#read >= this.#texts.length) {
      this.#texts.splice(0, this.#read);
      this.#read = 0;
    }
    this.#note();
    const batch = this.#owner.take(text);
    if (batch.length > 0) {
      this.begin(batch, 1);
      this.#owner.handle(batch[0]);
    }
    return workOf(text);
  }

  #note(): void {
    const isNoted = this.#context.limits.buffers.note(this, this.#size, this.#isNoted);
    this.#isNoted = isNoted && this.#size > 0;
    if (this.#isFull ? this.#size > LOW : this.#size <= FULL) return;
    this.#isFull = !this.#isFull;
    this.#owner.filled(this.#isFull);
  }
}
