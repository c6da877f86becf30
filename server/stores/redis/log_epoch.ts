import { type RandomBytes, randomEpoch } from "../../clock.ts";
import type { RedisLink } from "./link.ts";

/**
 * An epoch for a log that begins anew, or goes on after Redis was started again: the first word of
 * every script about a log. With `!` behind it where Redis writes everything to the disk before it
 * answers, so that a start loses nothing.
 */
export function newEpoch(
  random: RandomBytes,
  { writesAtOnce }: Pick<RedisLink, "writesAtOnce">,
): string {
  return randomEpoch(random) + (writesAtOnce ? "!" : "");
}
