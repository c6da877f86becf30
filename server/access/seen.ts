/**
 * What somebody gets to see of channels and of those who are in them.
 *
 * @module
 */
import type { PresenceEntry } from "@push/client/protocol";
import type { Action } from "./identity.ts";
import { Forbidden, type Permits } from "./permits.ts";

/** Who is present. */
export interface Present {
  /** Those in a channel, or everybody. */
  list(channel: string | null): PresenceEntry[];
}

/** Any of these shows that a channel is there. */
const SHOWING: readonly Action[] = ["subscribe", "publish", "presence", "history"];
/** Channels that the embedding program is asked for at once. */
const WAVE = 64;

/**
 * Who is present in a channel, or anywhere, as far as somebody may see it: without the right in a
 * channel, neither that a client is there nor who is there only.
 *
 * @throws {Forbidden} without the right in the channel that is asked for
 * @throws {PushError} `unavailable` if the rights could not be found out
 */
export function seenBy(
  permits: Permits,
  present: Present,
  channel: string | null,
): PresenceEntry[] | Promise<PresenceEntry[]> {
  return permits.isFree ? present.list(channel) : select(permits, present, channel);
}

async function select(
  permits: Permits,
  present: Present,
  channel: string | null,
): Promise<PresenceEntry[]> {
  if (channel !== null && !await permits.may("presence", channel)) {
    throw new Forbidden("presence", channel);
  }
  const entries = present.list(channel);
  const seen = await allowedOf(permits, ["presence"], entries.flatMap(({ channels }) => channels));
  return entries
    .map((entry) => ({ ...entry, channels: entry.channels.filter((name) => seen.has(name)) }))
    .filter(({ channels }) => channels.length > 0);
}

/**
 * Of some channels those in which somebody may do something.
 *
 * @throws {PushError} `unavailable` if the rights could not be found out
 */
export async function knownTo(permits: Permits, channels: readonly string[]): Promise<string[]> {
  if (permits.isFree) return [...channels];
  const known = await allowedOf(permits, SHOWING, channels);
  return channels.filter((name) => known.has(name));
}

async function allowedOf(
  permits: Permits,
  actions: readonly Action[],
  channels: readonly string[],
): Promise<ReadonlySet<string>> {
  const allowed = new Set<string>();
  let asked: Promise<void>[] = [];
  for (const name of new Set(channels)) {
    const may = mayAny(permits, actions, name);
    if (may === true) allowed.add(name);
    else if (may !== false) {
      asked.push(may.then((may) => {
        if (may) allowed.add(name);
      }));
    }
    if (asked.length < WAVE) continue;
    await Promise.all(asked);
    asked = [];
  }
  await Promise.all(asked);
  return allowed;
}

/** Whether one of some actions is allowed: at once, but where the embedding program takes its time. */
function mayAny(
  permits: Permits,
  [action, ...others]: readonly Action[],
  name: string,
): boolean | Promise<boolean> {
  if (action === undefined) return false;
  let may: boolean | Promise<boolean>;
  try {
    may = permits.may(action, name);
  } catch (error) {
    // Those that were asked before it are still waited for.
    return Promise.reject(error);
  }
  if (may === true) return true;
  if (may === false) return mayAny(permits, others, name);
  return may.then((may) => may || mayAny(permits, others, name));
}
