import type { Recorded } from "./committer.ts";
import type { KvKey } from "./engine.ts";
import type { Unit } from "./unit.ts";

const MOST_DELETES = 300;

/** Deletes values in passing. */
export class KvTrash implements Recorded {
  #keys: KvKey[] = [];

  /** Puts keys in. */
  add(...keys: readonly KvKey[]): void {
    for (const key of keys) this.#keys.push(key);
  }

  /** Deletes some of them; returns whether there are more. */
  write(unit: Unit): boolean {
    const keys = this.#keys.splice(0, MOST_DELETES);
    for (const key of keys) unit.delete(key);
    unit.onFailed(() => this.#keys.push(...keys));
    return this.#keys.length > 0;
  }
}
