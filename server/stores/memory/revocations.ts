import { PushError } from "@push/client/protocol";
import {
  keyOfRevocation,
  mergedRevocation,
  normalRevocation,
  type Revocation,
  type RevocationNews,
} from "../revocations.ts";

interface Kept {
  readonly entry: Revocation;
  /** Which change of all was the last one of it. */
  readonly version: number;
}

let made = 0;

/** Every revocation of one store. */
export class MemoryRevocations {
  /** In the order in which they changed last. */
  readonly #kept = new Map<string, Kept>();
  /** Tells its marks from those of others in this process. */
  readonly #name = ++made;
  #version = 0;
  /** None ends before this. */
  #nextEnd = Infinity;

  /**
   * Takes a revocation (see `Store.revoke`).
   *
   * @param most that are kept
   */
  revoke(revocation: Revocation, most: number, now: number): boolean {
    this.#forget(now);
    const entry = normalRevocation(revocation);
    if (entry.until <= now) return false;
    const known = this.#kept.get(keyOfRevocation(entry))?.entry;
    if (known === undefined && this.#kept.size >= most) {
      throw new PushError("store_full", `There is no room for more than ${most} revocations.`);
    }
    const merged = known === undefined ? entry : mergedRevocation(known, entry);
    if (merged !== known) {
      this.take(merged);
      this.changed(merged);
    }
    return true;
  }

  /** What a caller does not know yet (see `Store.revocations`). */
  news(known: string | undefined, now: number): RevocationNews {
    this.#forget(now);
    const mark = `${this.#name}:${this.#version}`;
    const [name, version] = known?.split(":").map(Number) ?? [];
    const isAll = name !== this.#name || version > this.#version;
    const entries: Revocation[] = [];
    if (known !== mark) {
      for (const kept of this.#kept.values()) {
        if (isAll || kept.version > version) entries.push(kept.entry);
      }
    }
    return { mark, isAll, entries };
  }

  /** Takes a revocation in, as it is. */
  protected take(entry: Revocation): void {
    const key = keyOfRevocation(entry);
    this.#kept.delete(key);
    this.#kept.set(key, { entry, version: ++this.#version });
    this.#nextEnd = Math.min(this.#nextEnd, entry.until);
  }

  /** The one that is kept of a name. */
  protected get(key: string): Revocation | undefined {
    return this.#kept.get(key)?.entry;
  }

  /** A revocation is new, or reaches further. A store that writes them down listens here. */
  protected changed(_entry: Revocation): void {}

  /** A revocation is kept no longer. */
  protected forgotten(_entry: Revocation): void {}

  #forget(now: number): void {
    if (now < this.#nextEnd) return;
    this.#nextEnd = Infinity;
    for (const [key, { entry }] of this.#kept) {
      if (entry.until <= now) {
        this.#kept.delete(key);
        this.forgotten(entry);
      } else {
        this.#nextEnd = Math.min(this.#nextEnd, entry.until);
      }
    }
  }
}
