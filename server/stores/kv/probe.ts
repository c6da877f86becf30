import type { Recorded } from "./committer.ts";
import { PROBE_KEY } from "./keys.ts";
import { MAX_VALUE } from "./segment.ts";
import type { Unit } from "./unit.ts";

/** Finds out whether there is room again for what is written, and leaves nothing. */
export class KvProbe implements Recorded {
  #isSet = false;

  /** Sets a value of full length, and deletes it with the next commit. */
  write(unit: Unit): boolean {
    if (this.#isSet) {
      unit.delete(PROBE_KEY);
      unit.onDone(() => this.#isSet = false);
      return false;
    }
    unit.set(PROBE_KEY, new Uint8Array(MAX_VALUE));
    unit.onDone(() => this.#isSet = true);
    return true;
  }
}
