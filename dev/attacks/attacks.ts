/**
 * All attacks.
 *
 * @module
 */
import type { Attack } from "./attack.ts";
import { silentHandshakes, slowHeaders } from "./connections.ts";
import { manyChannels, publishFlood } from "./floods.ts";
import { emptyPromises, fragmentBomb, tinyFragments } from "./fragments.ts";
import { guesses } from "./guesses.ts";
import { slowReaders } from "./readers.ts";

/** All attacks by their names, in the order of the table. */
export const ATTACKS: ReadonlyMap<string, Attack> = new Map(
  [
    fragmentBomb,
    tinyFragments,
    emptyPromises,
    slowReaders,
    slowHeaders,
    silentHandshakes,
    publishFlood,
    manyChannels,
    guesses,
  ].map((attack) => [attack.name, attack]),
);
