import type { Flushed, Turn } from "../turn.ts";

/**
 * What is sent to a connection in one turn, as a row of texts that all share who are sent the same.
 * Each further text leads to another row; whoever adds the text that was added last gets the row that
 * was made of it then. So however many are sent the same, it is joined once.
 */
export class Gathered {
  /** Characters in all. */
  readonly length: number;
  /** What a socket has made of it to be written; it suits all that gather in the same way. */
  made: unknown;
  readonly #before: Gathered | undefined;
  readonly #text: string;
  readonly #count: number;
  readonly #size: number;
  #next: Gathered | undefined;
  #isAsked = false;
  #joined: string | undefined;

  /**
   * @param text one object, or an array of them
   * @param count number of objects in it, if it is an array
   */
  constructor(before: Gathered | undefined, text: string, count: number) {
    this.#before = before;
    this.#text = text;
    this.#count = count;
    this.#size = before === undefined ? 1 : before.#size + 1;
    this.length = before === undefined ? text.length : before.length + text.length;
  }

  /** This row and one text more. */
  and(text: string, count: number): Gathered {
    const next = this.#next;
    if (next !== undefined && next.#text === text) return next;
    return this.#next = new Gathered(this, text, count);
  }

  /** Whether it is one text, and nobody has asked that before: then it may be for one alone. */
  get isAlone(): boolean {
    const isFirst = !this.#isAsked;
    this.#isAsked = true;
    return isFirst && this.#size === 1;
  }

  /** Whether it is this text alone. */
  is(text: string): boolean {
    return this.#before === undefined && this.#text === text;
  }

  /** The texts, in order. */
  get texts(): string[] {
    const texts = new Array<string>(this.#size);
    this.#walk((row) => texts[row.#size - 1] = row.#text);
    return texts;
  }

  /** All of them as one text: the object, if it is one, or an array. */
  get joined(): string {
    return this.#joined ??= this.#size === 1 ? this.#text : this.#join();
  }

  #join(): string {
    const parts = new Array<string>(this.#size);
    this.#walk((row) => {
      parts[row.#size - 1] = row.#count > 1 ? row.#text.slice(1, -1) : row.#text;
    });
    return `[${parts.join(",")}]`;
  }

  #walk(visit: (row: Gathered) => void): void {
    let row = this.#before;
    visit(this);
    for (; row !== undefined; row = row.#before) visit(row);
  }
}

/** Where rows of a turn begin. */
export class Gathering implements Flushed {
  readonly #turn: Turn;
  #first: Gathered | undefined;

  /** @param turn whose end is that of all rows */
  constructor(turn: Turn) {
    this.#turn = turn;
  }

  /** The row of one text. */
  begin(text: string, count: number): Gathered {
    if (this.#first === undefined) this.#turn.flush(this);
    else if (this.#first.is(text)) return this.#first;
    return this.#first = new Gathered(undefined, text, count);
  }

  /** Keeps nothing beyond the turn. */
  flush(): void {
    this.#first = undefined;
  }
}
