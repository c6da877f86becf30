import { nameOf } from "./keys.ts";
import { positionKeys } from "./position_lua.ts";
import { DUE_SCRIPT, SCAN_SCRIPT, SETTLE_SCRIPT } from "./position_scripts.ts";
import type { Script } from "./script.ts";
import { allDone } from "./settle.ts";
import { lookAt } from "./session_look.ts";
import type { SessionParts } from "./session_parts.ts";

/** How many positions are looked at in one step, and in how many steps of one sweep. */
const BATCH = 100;
const ROUNDS = 50;
/** Channels that one sweep goes through, and milliseconds in which no other one begins. */
const CHANNELS = 500;
const PAUSE = 1000;

/** Finds positions whose sessions have ended without them. */
export class PositionSweep {
  readonly #parts: SessionParts;

  /** @param parts what it shares */
  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /**
   * Goes through some channels, each call through the next ones, whichever node calls: a position
   * that nobody names is found within as many calls as it takes to go through all of them.
   */
  async sweep(): Promise<void> {
    const { link, keys, tally } = this.#parts;
    const index = [keys.sweep("positions"), keys.index("positions"), keys.channels];
    const [bad, ...names] = await link.run(SCAN_SCRIPT, index, [PAUSE, CHANNELS]) as unknown[];
    tally.quarantined += Number(bad);
    const channels = names.map((name) => nameOf(String(name))).filter((name) => name !== undefined);
    await allDone(channels.map((channel) => this.sweepChannel(channel)));
  }

  /**
   * Removes positions in a channel whose sessions have ended, and dead letters whose time is over.
   *
   * @returns how many dead letters are left
   */
  async sweepChannel(channel: string): Promise<number> {
    const { deadLetterTtl } = this.#parts.limits;
    for (let round = 1;; round++) {
      const [left, gone, ...due] = await this.#run(DUE_SCRIPT, channel, [deadLetterTtl, BATCH]);
      const verdicts = await Promise.all(
        due.flatMap((name, i) => i % 2 === 0 ? [this.#judge(channel, String(name))] : []),
      );
      const args = verdicts.flatMap((verdict, i) => [
        String(due[2 * i]),
        String(due[2 * i + 1]),
        verdict,
      ]);
      if (args.length > 0) await this.#run(SETTLE_SCRIPT, channel, args);
      const full = due.length === 2 * BATCH || Number(gone) === BATCH;
      if (!full || round === ROUNDS) return Number(left);
    }
  }

  /** When to look at a session's position again; nothing if it is dead. */
  async #judge(channel: string, name: string): Promise<number | ""> {
    const key = nameOf(name);
    if (key === undefined) return "";
    const { generation, ends, news } = await lookAt(this.#parts, key, [channel]);
    return generation === 0 || news[0] === undefined ? "" : ends;
  }

  async #run(
    script: Script,
    channel: string,
    args: readonly (string | number)[],
  ): Promise<unknown[]> {
    const { link, keys, tally } = this.#parts;
    const answer = await link.run(script, positionKeys(keys, channel), args);
    const [bad, ...rest] = answer as unknown[];
    tally.quarantined += Number(bad);
    return rest;
  }
}
