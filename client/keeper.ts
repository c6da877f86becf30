import { isText } from "./check.ts";
import type { Clock } from "./clock.ts";
import type { Keep } from "./environment.ts";
import type { Snapshot } from "./inbox.ts";
import { isChannelName, isClientId } from "./protocol/channel_name.ts";
import { isEpoch, isSeq } from "./protocol/event_id.ts";

/** What survives a reload of the page. */
export interface Kept {
  readonly clientId: string;
  readonly secret?: string | undefined;
  readonly positions: readonly (readonly [channel: string, snapshot: Snapshot])[];
}

/**
 * Keeps the client's name, secret and positions for the page that a reload brings. A duplicated tab
 * has a copy of them and must not use it: the one that holds the lock of the name is the client.
 */
export interface Keeper {
  /** What the page had before the reload, if no other page has it. Rejects if there is nothing to read. */
  load(): Promise<Kept | undefined>;
  /** Holds the client's name against other pages. @returns whether it is held */
  hold(name: string): Promise<boolean>;
  /** Keeps this, if its name is held. */
  save(kept: Kept): void;
  /**
   * Gives the name back.
   *
   * @param forget whether to keep nothing
   * @returns whether there was none: what the page had is to be looked for again
   */
  release(forget: boolean): boolean;
}

/** Milliseconds before each try to hold a name: the page before the reload may not be gone yet. */
const LOCK_DELAYS = [0, 100, 400];

/** Keys in use in each place: two clients of one page must not share one. */
const keysOf: WeakMap<Keep, Set<string>> = new WeakMap();

/**
 * Makes a keeper.
 *
 * @param keep where to
 * @param clock source of time
 * @param prefix of the keys: other clients of the page have others, or another number behind it
 */
export function keeperOf(keep: Keep, clock: Clock, prefix: string): Keeper {
  const used = keysOf.get(keep) ?? new Set();
  keysOf.set(keep, used);
  let key: string | undefined;
  let held: string | undefined;
  let unlock: (() => void) | undefined;
  /** Grows when the name is given back: whoever asked for it before must not have it. */
  let era = 0;

  const takeKey = (): string => {
    for (let i = 0; !key; i++) {
      const free = `${prefix}:${i}`;
      if (!used.has(free)) used.add(key = free);
    }
    return key;
  };
  const write = (text: string | null): void => {
    try {
      keep.write(takeKey(), text);
    } catch {
      // A storage that is full costs the positions of one reload.
    }
  };
  const hold = async (name: string): Promise<boolean> => {
    if (held === name) return true;
    const asked = era;
    const release = await keep.lock(`push:${name}`).catch(() => undefined);
    if (!release) return false;
    if (asked !== era) {
      release();
      return false;
    }
    unlock?.();
    unlock = release;
    held = name;
    return true;
  };
  return {
    async load() {
      const asked = era;
      const kept = read(keep.read(takeKey()));
      for (const delay of LOCK_DELAYS) {
        if (delay) await new Promise<void>((resolve) => clock.schedule(delay, resolve));
        // Another client of the page may want it by now.
        if (asked !== era) break;
        if (await hold(kept.clientId)) return kept;
      }
      return undefined;
    },
    hold,
    save(kept) {
      if (held === kept.clientId) write(JSON.stringify(kept));
    },
    release(forget) {
      const isHeld = held;
      era++;
      if (forget && isHeld) write(null);
      if (key) used.delete(key);
      unlock?.();
      unlock = held = key = undefined;
      return !isHeld;
    },
  };
}

/**
 * Anything in the page can write there, so nothing of it is believed.
 *
 * @throws if it is not what a client has written
 */
function read(text: string | null): Kept {
  const { clientId, secret, positions } = JSON.parse(text!);
  if (!isClientId(clientId)) throw new TypeError();
  return {
    clientId,
    secret: isText(secret) ? secret : undefined,
    positions: ([] as unknown[]).concat(positions ?? []).filter(
      (item): item is [string, Snapshot] => {
        const { 0: name, 1: snapshot } = Object(item);
        const { epoch, floor, settled } = Object(snapshot);
        return isChannelName(name) && isEpoch(epoch) && isSeq(floor) && Array.isArray(settled) &&
          settled.every((edge: unknown, i) =>
            isSeq(edge) && settled.length % 2 === 0 && !(edge <= settled[i - 1])
          );
      },
    ),
  };
}
