import type { Decoded } from "@push/client/protocol";

/** Texts that were read, from which on the array lets go of them. */
const MANY = 1024;

/**
 * What a client has sent that waits: for its session, or for a turn. There is one only while something
 * waits, so that a connection which never sends much has none.
 */
export class Backlog {
  /** Close code, if the peer has closed meanwhile: its end comes behind what it sent. */
  closed: number | undefined;
  #texts: string[] = [];
  #read = 0;
  #size = 0;
  /** Frames of the text that was begun, and how many of them are done. */
  #batch: readonly Decoded[] = [];
  #done = 0;

  /** Characters of the texts that wait. */
  get size(): number {
    return this.#size;
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#done >= this.#batch.length && this.#read >= this.#texts.length;
  }

  /** A text has come behind all others. */
  add(text: string): void {
    this.#texts.push(text);
    this.#size += text.length;
  }

  /** Puts frames before all texts. There must be none that wait. */
  begin(batch: readonly Decoded[], done = 0): void {
    this.#batch = batch;
    this.#done = done;
  }

  /** Takes the next frame of the text that was begun. */
  frame(): Decoded | undefined {
    return this.#batch[this.#done++];
  }

  /** Takes the next text. */
  text(): string | undefined {
    const text = this.#texts[this.#read];
    if (text === undefined) return undefined;
    this.#size -= text.length;
    // Where more comes as fast as it is read, the array would keep all there ever was.
    if (++this.#read >= MANY && 2 * this.#read >= this.#texts.length) {
      this.#texts.splice(0, this.#read);
      this.#read = 0;
    }
    return text;
  }
}
