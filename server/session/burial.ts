import type { HubContext } from "../context.ts";
import type { Late } from "./cursor.ts";
import type { DeadLetter, LateRecord, StoredMessage } from "../stores/store.ts";

/** What a burial needs of its subscription. */
export interface Bereaved {
  /** Key of the session. */
  readonly key: string;
  /** Name of the channel. */
  readonly channelName: string;
  /** Epoch that the numbers belong to. */
  readonly epoch: string;
  /** The late message of a number, if it is late now. */
  lateAt(seq: number): Late | undefined;
  /** Takes a late message out. */
  takeLate(seq: number): void;
  /** Makes a message late again that could not be given up. */
  putBack(seq: number, late: Late): void;
  /** Reads a message; `undefined` if it is gone. */
  find(seq: number): Promise<StoredMessage | undefined>;
  /** A message is gone that was to be given up. */
  lost(seq: number): void;
  /** Stores the position and the letters in one step; resolves to whether that worked. */
  store(letters: readonly DeadLetter[]): Promise<boolean>;
  /** A letter is stored. */
  buried(letter: DeadLetter): void;
  /** Everything that was to be given up is, or is late again. */
  ended(): void;
}

interface Letter {
  readonly late: Late;
  readonly message: StoredMessage;
  readonly attempts: number;
  readonly reason: DeadLetter["reason"];
  readonly at: number;
}

/** Messages that one subscription gives up, on their way to the dead letters. */
export class Burial {
  readonly #context: HubContext;
  readonly #bereaved: Bereaved;
  /** Given up, and the store does not know of it yet. */
  readonly #dying = new Map<number, Late>();
  /** Their letters, until they are being stored. */
  #letters: Letter[] = [];
  #burying = false;

  /** @param bereaved the subscription */
  constructor(context: HubContext, bereaved: Bereaved) {
    this.#context = context;
    this.#bereaved = bereaved;
  }

  /**
   * What the store must still take for late.
   *
   * @param given messages that are given up with this very change
   */
  pending(given?: ReadonlySet<number>): LateRecord[] {
    return [...this.#dying].filter(([seq]) => !given?.has(seq))
      .map(([seq, { attempts, redriven }]) => ({ seq, attempts, redriven }));
  }

  /** Messages that were given up are stored as such. */
  stored(given: ReadonlySet<number>): void {
    for (const seq of given) this.#dying.delete(seq);
  }

  /** Forgets messages above a number: they are no more. */
  cut(base: number): void {
    for (const seq of this.#dying.keys()) if (seq > base) this.#dying.delete(seq);
    this.#letters = this.#letters.filter(({ message }) => message.seq <= base);
  }

  /** Forgets everything: the numbers mean nothing any more. */
  clear(): void {
    this.cut(-1);
  }

  /** Moves a message to the dead letters, unless it is acknowledged while that is under way. */
  async add(seq: number, attempts: number, reason: DeadLetter["reason"]): Promise<void> {
    const bereaved = this.#bereaved;
    const late = bereaved.lateAt(seq)!;
    try {
      const message = late.redriven ?? await bereaved.find(seq);
      if (bereaved.lateAt(seq) !== late) return;
      if (message === undefined) return bereaved.lost(seq);
      bereaved.takeLate(seq);
      this.#dying.set(seq, late);
      this.#letters.push({ late, message, attempts, reason, at: this.#context.clock.now() });
      if (this.#letters.length === 1 && !this.#burying) await this.#bury();
    } catch {
      this.#fail(seq, late);
    }
  }

  /** Stores what is given up: all that gathered in one step, for each step writes the whole position. */
  async #bury(): Promise<void> {
    const { metrics } = this.#context;
    this.#burying = true;
    // What is given up in the same burst belongs to the first step.
    await undefined;
    while (this.#letters.length > 0) {
      const batch = this.#letters;
      this.#letters = [];
      const letters = batch.map((letter) => this.#addressed(letter));
      let stored = false;
      try {
        stored = await this.#bereaved.store(letters);
      } catch {
        metrics.commitErrors++;
      }
      batch.forEach(({ message, late }, i) => {
        if (stored) this.#bereaved.buried(letters[i]);
        else this.#fail(message.seq, late);
      });
    }
    this.#burying = false;
    this.#bereaved.ended();
  }

  #addressed({ message, attempts, reason, at }: Letter): DeadLetter {
    const { key: session, channelName: channel, epoch } = this.#bereaved;
    return { session, channel, epoch, message, attempts, reason, at };
  }

  #fail(seq: number, late: Late): void {
    const bereaved = this.#bereaved;
    // It may be acknowledged, or put back, or mean nothing any more.
    if (this.#dying.get(seq) === late) {
      this.#dying.delete(seq);
      if (bereaved.lateAt(seq) !== undefined) return;
    } else if (bereaved.lateAt(seq) !== late) return;
    else bereaved.takeLate(seq);
    bereaved.putBack(seq, late);
  }
}
