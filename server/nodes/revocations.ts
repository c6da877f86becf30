import { type JsonObject, PushError } from "@push/client/protocol";
import type { Cancel, Clock } from "../clock.ts";
import {
  isRevocationKind,
  MAX_REVOCATIONS,
  mergedRevocation,
  normalRevocation,
  type Revocation,
  type RevocationKind,
} from "../stores/revocations.ts";
import type { Store } from "../stores/store.ts";

/** What {@linkcode Revocations} work with. */
export interface RevocationsParts {
  /** Where they are kept; must be open. */
  readonly store: Store;
  /** Source of time. */
  readonly clock: Clock;
  /** The store could not be asked or told, or a note not be sent; all of it is tried again. */
  failed(): void;
}

/** Told of revocations that are new, or reach further than before. Must not throw. */
export type RevocationListener = (entries: readonly Revocation[]) => void;

interface Known {
  readonly entry: Revocation;
  /** Whether the store has it as it is, as far as is known. */
  readonly isStored: boolean;
}

/** Milliseconds between two looks at the store: what no note has told is heard of within a second. */
const INTERVAL = 500;
/** Most milliseconds that count as passed between two looks; what was late is made up for slowly. */
const LONGEST_STEP = 1.1 * INTERVAL;
/** How many are written at once where the store has lost them. */
const SLICE = 100;

/**
 * What is revoked, in this node's memory, so that a look takes no time.
 *
 * A node learns of a revocation by a note at once, and by what has changed in the store twice a second.
 * What it knows stays in force while the store cannot be reached. Where the store has lost some, as in
 * a failover, every node that knows them writes them again. A node that has never reached the store
 * does not start.
 *
 * Each is forgotten at its end by a time of their own: the machine's, but a jump forward counts little
 * by little, over ten times as long as it is. Else a wrong clock would forget for good what is to be
 * refused once it is right again.
 */
export class Revocations {
  readonly #parts: RevocationsParts;
  readonly #known: Readonly<Record<RevocationKind, Map<string, Known>>> = {
    token: new Map(),
    subject: new Map(),
    client: new Map(),
  };
  readonly #listeners = new Set<RevocationListener>();
  #state: "new" | "running" | "stopped" = "new";
  /** What the store has told so far. */
  #mark: string | undefined;
  #time = -Infinity;
  /** None ends before this. */
  #nextEnd = Infinity;
  /** Whether the store may lack some. */
  #isBehind = false;
  #timer: Cancel | undefined;
  #looking: Promise<void> | undefined;
  #again = false;

  /** @param parts what it works with */
  constructor(parts: RevocationsParts) {
    this.#parts = parts;
  }

  /** How many are known. */
  get size(): number {
    const { token, subject, client } = this.#known;
    return token.size + subject.size + client.size;
  }

  /**
   * Learns all that there are, and goes on to listen.
   *
   * @throws {PushError} as the store
   */
  async start(): Promise<void> {
    this.#time = this.#parts.clock.now();
    await this.#read();
    if (this.#state === "stopped") return;
    this.#state = "running";
    this.#next();
  }

  /** Stops its timer. What is known stays in force. */
  stop(): void {
    this.#state = "stopped";
    this.#timer?.();
    this.#timer = undefined;
    this.#listeners.clear();
  }

  /**
   * Revokes. It is in force on this node at once, whatever comes of it, and on the others about when
   * this resolves. If it rejects, the store may not have it: it is written again with each look, for as
   * long as this node lives. Only where the store has no room it is not in force in the end.
   *
   * @throws {TypeError} if a time is not a number
   * @throws {PushError} as the store: `unavailable`, `outcome_unknown`, `store_full`
   */
  async revoke(revocation: Revocation): Promise<void> {
    const entry = normalRevocation(revocation);
    if (entry.until <= this.#now()) return;
    const known = this.#take(entry, "own");
    if (known.isNew) this.#tell([known.entry]);
    try {
      await this.#write(known.entry);
    } catch (error) {
      // It would be refused again for as long as there is no room.
      if (error instanceof PushError && error.code === "store_full") this.#takeBack(known.entry);
      throw error;
    }
    const { store: { cluster }, failed } = this.#parts;
    const { kind, name, at, until } = known.entry;
    // Whoever does not hear it sees it in the store.
    await cluster?.send(null, { type: "revoked", kind, name, at, until }).catch(failed);
  }

  /** All that are known. */
  all(): Revocation[] {
    return Object.values(this.#known).flatMap((known) => [...known.values()].map((it) => it.entry));
  }

  /** What is known of a name. */
  find(kind: RevocationKind, name: string): Revocation | undefined {
    return this.#known[kind].get(name)?.entry;
  }

  /**
   * Whether what was issued for a name is void.
   *
   * @param issuedAt Unix milliseconds; where it is not known when, it counts as issued before
   */
  isVoid(kind: RevocationKind, name: string, issuedAt: number | undefined): boolean {
    const entry = this.find(kind, name);
    return entry !== undefined && (issuedAt === undefined || issuedAt < entry.at);
  }

  /** Listens to what is revoked from now on; returns what stops that. */
  onChange(listener: RevocationListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Another node has sent a note.
   *
   * @returns whether it is about revocations
   */
  hear({ type, kind, name, at, until }: JsonObject): boolean {
    if (type !== "revoked") return false;
    if (this.#state === "stopped" || !isRevocationKind(kind) || typeof name !== "string") {
      return true;
    }
    if (typeof at !== "number" || typeof until !== "number" || until <= this.#now()) return true;
    // What has no room is seen in the store, if it is there.
    if (this.size >= MAX_REVOCATIONS) return true;
    // The store had it before it was told.
    const known = this.#take(normalRevocation({ kind, name, at, until }), "note");
    if (known.isNew) this.#tell([known.entry]);
    return true;
  }

  /** Looks at the store at once: something may have been missed. */
  look(): void {
    if (this.#state !== "running") return;
    if (this.#looking !== undefined) {
      this.#again = true;
      return;
    }
    this.#timer?.();
    this.#again = false;
    this.#looking = this.#look().catch(this.#parts.failed).then(() => {
      this.#looking = undefined;
      this.#next();
    });
  }

  #next(): void {
    if (this.#state !== "running") return;
    this.#timer = this.#parts.clock.schedule(this.#again ? 0 : INTERVAL, () => this.look());
  }

  async #look(): Promise<void> {
    // Never back by itself: where the machine's clock goes back, so does this one.
    this.#time = this.#now();
    this.#forget();
    await this.#read();
    if (this.#isBehind) await this.#catchUp();
  }

  /** The time by which revocations end. */
  #now(): number {
    const now = this.#parts.clock.now();
    return this.#time === -Infinity ? now : Math.min(now, this.#time + LONGEST_STEP);
  }

  async #read(): Promise<void> {
    const news = await this.#parts.store.revocations(this.#mark, this.#time);
    const fresh: Revocation[] = [];
    const told = new Set<Revocation>();
    for (const entry of news.entries) {
      const known = this.#take(normalRevocation(entry), "store");
      told.add(known.entry);
      if (known.isNew) fresh.push(known.entry);
    }
    if (news.isAll) this.#lost(told);
    this.#mark = news.mark;
    if (fresh.length > 0) this.#tell(fresh);
  }

  /** The store has told all that it has: what else is known, it lacks. */
  #lost(told: ReadonlySet<Revocation>): void {
    for (const known of Object.values(this.#known)) {
      for (const [name, { entry }] of known) {
        if (told.has(entry)) continue;
        known.set(name, { entry, isStored: false });
        this.#isBehind = true;
      }
    }
  }

  /** Takes what is heard of a name; tells what is known of it then, and whether that is new. */
  #take(
    entry: Revocation,
    from: "own" | "note" | "store",
  ): { readonly entry: Revocation; readonly isNew: boolean } {
    const all = this.#known[entry.kind];
    const known = all.get(entry.name);
    const merged = known === undefined ? entry : mergedRevocation(known.entry, entry);
    const isNew = merged !== known?.entry;
    const isWhole = merged.at === entry.at && merged.until === entry.until;
    // What the store tells may reach less far than what it had before.
    const isStored = from === "store"
      ? isWhole
      : (from === "note" && isWhole) || (!isNew && known?.isStored === true);
    all.set(entry.name, { entry: merged, isStored });
    if (!isStored) this.#isBehind = true;
    this.#nextEnd = Math.min(this.#nextEnd, merged.until);
    return { entry: merged, isNew };
  }

  #takeBack(entry: Revocation): void {
    const known = this.#known[entry.kind].get(entry.name);
    if (known?.entry === entry && !known.isStored) this.#known[entry.kind].delete(entry.name);
  }

  #tell(entries: readonly Revocation[]): void {
    for (const listener of this.#listeners) listener(entries);
  }

  /** Writes what the store lacks. */
  async #catchUp(): Promise<void> {
    this.#isBehind = false;
    const missing: Revocation[] = [];
    for (const known of Object.values(this.#known)) {
      for (const { entry, isStored } of known.values()) if (!isStored) missing.push(entry);
    }
    for (let at = 0; at < missing.length; at += SLICE) {
      const slice = missing.slice(at, at + SLICE);
      const results = await Promise.allSettled(slice.map((entry) => this.#write(entry)));
      const failure = results.find(({ status }) => status === "rejected");
      if (failure?.status === "rejected") {
        this.#isBehind = true;
        throw failure.reason;
      }
    }
  }

  async #write(entry: Revocation): Promise<void> {
    await this.#parts.store.revoke(entry, this.#now());
    const all = this.#known[entry.kind];
    // It may reach further by now.
    if (all.get(entry.name)?.entry === entry) all.set(entry.name, { entry, isStored: true });
  }

  #forget(): void {
    if (this.#time < this.#nextEnd) return;
    this.#nextEnd = Infinity;
    for (const known of Object.values(this.#known)) {
      for (const [name, { entry }] of known) {
        if (entry.until <= this.#time) known.delete(name);
        else this.#nextEnd = Math.min(this.#nextEnd, entry.until);
      }
    }
  }
}
