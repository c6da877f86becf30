import { isRecord } from "./check.ts";
import type { Clock } from "./clock.ts";
import type { Keep } from "./environment.ts";
import type { Snapshot } from "./inbox.ts";
import { isChannelName, isClientId } from "./protocol/channel_name.ts";
import { isEpoch, isSeq } from "./protocol/event_id.ts";
import { isRanges } from "./protocol/ranges.ts";

/** What survives a reload of the page. */
export interface Kept {
  readonly clientId: string;
  readonly secret: string | undefined;
  readonly positions: ReadonlyMap<string, Snapshot>;
}

/** Milliseconds before each try to hold a name: the page before the reload may not be gone yet. */
const LOCK_DELAYS = [0, 100, 400];

/** Keys in use in each place: two clients of one page must not share one. */
const keysOf: WeakMap<Keep, Set<string>> = new WeakMap();

/**
 * Keeps the client's name, secret and positions for the page that a reload brings. A duplicated tab
 * has a copy of them and must not use it: the one that holds the lock of the name is the client.
 */
export class Keeper {
  readonly #keep: Keep;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #used: Set<string>;
  #key: string | undefined;
  #name: string | undefined;
  #release: (() => void) | undefined;

  /**
   * @param keep where to
   * @param clock source of time
   * @param address of the gateway
   * @param name given by the application
   */
  constructor(keep: Keep, clock: Clock, address: string, name: string | undefined) {
    this.#keep = keep;
    this.#clock = clock;
    this.#prefix = `push:${address}:${name ?? ""}`;
    this.#used = keysOf.get(keep) ?? new Set();
    keysOf.set(keep, this.#used);
  }

  /** What the page had before the reload, if no other page has it. */
  async load(): Promise<Kept | undefined> {
    const kept = read(this.#keep, this.#takeKey());
    if (!kept) return undefined;
    for (const delay of LOCK_DELAYS) {
      if (delay > 0) await new Promise<void>((resolve) => this.#clock.schedule(delay, resolve));
      if (await this.hold(kept.clientId)) return kept;
    }
    return undefined;
  }

  /** Holds the client's name against other pages. @returns whether it is held */
  async hold(name: string): Promise<boolean> {
    if (this.#name === name) return true;
    const release = await this.#keep.lock(`push:${name}`).catch(() => undefined);
    if (!release) return false;
    this.#release?.();
    this.#release = release;
    this.#name = name;
    return true;
  }

  /** Keeps this, if its name is held. */
  save({ clientId, secret, positions }: Kept): void {
    if (this.#name !== clientId) return;
    this.#write(JSON.stringify({ clientId, secret, positions: [...positions] }));
  }

  /** Gives the name back. @param forget whether to keep nothing */
  release(forget: boolean): void {
    if (forget && this.#name !== undefined) this.#write(null);
    if (this.#key !== undefined) this.#used.delete(this.#key);
    this.#release?.();
    this.#release = this.#name = this.#key = undefined;
  }

  #write(text: string | null): void {
    try {
      this.#keep.write(this.#takeKey(), text);
    } catch {
      // A storage that is full costs the positions of one reload.
    }
  }

  #takeKey(): string {
    for (let i = 0; this.#key === undefined; i++) {
      const key = `${this.#prefix}:${i}`;
      if (this.#used.has(key)) continue;
      this.#used.add(key);
      this.#key = key;
    }
    return this.#key;
  }
}

/** Anything in the page can write there, so nothing of it is believed. */
function read(keep: Keep, key: string): Kept | undefined {
  let value: unknown;
  try {
    value = JSON.parse(keep.read(key) ?? "null");
  } catch {
    return undefined;
  }
  if (!isRecord(value) || !isClientId(value.clientId)) return undefined;
  const { clientId, secret, positions } = value;
  const known = new Map<string, Snapshot>();
  for (const item of Array.isArray(positions) ? positions : []) {
    const [name, snapshot]: unknown[] = Array.isArray(item) ? item : [];
    if (!isChannelName(name) || !isRecord(snapshot)) continue;
    const { epoch, floor, settled } = snapshot;
    if (isEpoch(epoch) && isSeq(floor) && isRanges(settled, 2 * 4096)) {
      known.set(name, { epoch, floor, settled });
    }
  }
  return { clientId, secret: typeof secret === "string" ? secret : undefined, positions: known };
}
