import type { Json } from "@push/client/protocol";
import type { NodeRows, RowChanges } from "../stores/cluster.ts";

/** Hears of a row of another node that has changed; `null` if it is gone. See {@linkcode RosterListener}. */
export type RowHeard = (key: string, row: Json | null, isNews: boolean) => void;

/** Version of rows that must be read, whatever the cluster says. */
const UNKNOWN = -1;

/**
 * What this node knows of the rows of another one. Changes come as rumours with consecutive
 * versions; whatever does not fit what is known says that the rows must be read again.
 */
export class RosterNode {
  /** Its name. */
  readonly node: string;
  /** Version of the rows that are known. */
  version = 0;
  readonly #rows = new Map<string, Json>();
  readonly #heard: RowHeard;
  #isNews: boolean;
  /** What was heard while the rows are being read; absent when they are not. */
  #waiting: [version: number, changes: RowChanges][] | undefined;

  /**
   * @param node its name
   * @param isNews false if what is read first was there before this node listened
   * @param heard told of each row that changes
   */
  constructor(node: string, isNews: boolean, heard: RowHeard) {
    this.node = node;
    this.#isNews = isNews;
    this.#heard = heard;
  }

  /** Its rows by their keys. */
  get rows(): ReadonlyMap<string, Json> {
    return this.#rows;
  }
  /** Whether its rows are to be read, as reading them has failed. */
  get isUnknown(): boolean {
    return this.version === UNKNOWN;
  }
  /** Whether its rows are being read. */
  get isReading(): boolean {
    return this.#waiting !== undefined;
  }

  /** Takes a rumour; returns whether it fits what is known. What does not has changed nothing. */
  take(version: number, changes: RowChanges): boolean {
    if (this.#waiting !== undefined) {
      this.#waiting.push([version, changes]);
      return true;
    }
    if (version === this.version + 1) {
      this.version = version;
      for (const [key, row] of changes) this.#set(key, row);
      return true;
    }
    // A repeated rumour says nothing new. One that looks old and is news tells of rows that began
    // anew, and so does a version that was left out.
    return version <= this.version && this.#knows(changes);
  }

  /** The rows are being read: rumours wait. */
  beginReading(): void {
    this.#waiting ??= [];
  }

  /**
   * The rows have been read, or reading has failed: `undefined`.
   *
   * @returns whether what was heard meanwhile fits what was read
   */
  endReading(read: NodeRows | undefined): boolean {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    if (read === undefined) {
      this.version = UNKNOWN;
      return false;
    }
    for (const key of [...this.#rows.keys()]) if (!read.rows.has(key)) this.#set(key, null);
    for (const [key, row] of read.rows) this.#set(key, row);
    this.version = read.version;
    this.isKnown();
    return waiting.every(([version, changes]) =>
      version <= this.version || this.take(version, changes)
    );
  }

  /** All that there is of its rows is known; what comes from now on is news. */
  isKnown(): void {
    this.#isNews = true;
  }

  /** It lives no more. */
  clear(): void {
    for (const key of [...this.#rows.keys()]) this.#set(key, null);
  }

  #set(key: string, row: Json): void {
    const known = this.#rows.get(key) ?? null;
    if (row === null) this.#rows.delete(key);
    else this.#rows.set(key, row);
    if (!isSame(known, row)) this.#heard(key, row, this.#isNews);
  }

  #knows(changes: RowChanges): boolean {
    for (const [key, row] of changes) if (!isSame(this.#rows.get(key) ?? null, row)) return false;
    return true;
  }
}

function isSame(one: Json, two: Json): boolean {
  return one === two || JSON.stringify(one) === JSON.stringify(two);
}
