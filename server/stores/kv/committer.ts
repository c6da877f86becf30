import { Unit } from "./unit.ts";
import type { KvWriter } from "./writer.ts";

/** Something in memory that the file has an image of. */
export interface Recorded {
  /**
   * Writes its present image, or a part of what there is to write.
   *
   * @returns whether there is more
   */
  write(unit: Unit): boolean;
}

/** An append that waits. */
export interface Appending {
  /** Its channel. One append of a channel is under way at a time. */
  readonly channel: string;
  /** How many drafts it has. */
  readonly count: number;
  /** Reads what is needed to plan it. */
  prepare(): Promise<void>;
  /** Decides what it comes to. */
  plan(unit: Unit): void;
  /** It cannot be planned. */
  refuse(error: unknown): void;
}

interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Riders {
  readonly units: Unit[];
  /** Whether nothing that was noted is left to write. */
  areAll: boolean;
  /** Why one of them could not be written. */
  failure?: unknown;
}

// Drafts that one commit takes, unless one append has more.
const MOST_DRAFTS = 1000;
// Mutations that ride along with what somebody waits for; and of a commit that nobody waits for.
const RIDING = 300;
const ALONE = 800;

/**
 * The only way into the file: what is to be written gathers here. One commit is under way at a time,
 * and what arrives meanwhile goes into the next, so the busier the store, the more a commit carries.
 * There is no timer.
 */
export class KvCommitter {
  readonly #writer: KvWriter;
  #appends: Appending[] = [];
  /** Changed, and somebody waits. */
  #wanted = new Map<Recorded, Waiting>();
  /** Changed, and nobody waits. */
  readonly #noted = new Set<Recorded>();
  #collected: Promise<void>[] | undefined;
  #draining: Waiting | undefined;
  #running: Promise<void> | undefined;

  /** @param writer how units come into the file */
  constructor(writer: KvWriter) {
    this.#writer = writer;
  }

  /** Why writing fails at present. */
  get trouble(): string | undefined {
    return this.#writer.trouble;
  }

  /** Takes an append. */
  append(append: Appending): void {
    this.#appends.push(append);
    this.#wake();
  }

  /** Something has changed: it is written at once where changes are collected, else in passing. */
  changed(recorded: Recorded): void {
    if (this.#collected !== undefined) this.#collected.push(this.want(recorded));
    else if (!this.#wanted.has(recorded)) this.#noted.add(recorded);
  }

  /**
   * Does something that takes no time, and collects what it changes.
   *
   * @returns its result, and what resolves once the file has the changes
   */
  collect<T>(work: () => T): { readonly result: T; readonly written: Promise<unknown> } {
    const collected: Promise<void>[] = this.#collected = [];
    try {
      const result = work();
      const written = Promise.all(collected);
      // Who is interested awaits it.
      written.catch(() => {});
      return { result, written };
    } finally {
      this.#collected = undefined;
    }
  }

  /** Resolves once the present image of something is in the file. */
  want(recorded: Recorded): Promise<void> {
    let waiting = this.#wanted.get(recorded);
    if (waiting === undefined) {
      waiting = newWaiting();
      this.#wanted.set(recorded, waiting);
      this.#noted.delete(recorded);
      this.#wake();
    }
    return waiting.promise;
  }

  /** Writes everything that has changed so far; rejects if that cannot be done. */
  drain(): Promise<void> {
    this.#draining ??= newWaiting();
    const { promise } = this.#draining;
    this.#wake();
    return promise;
  }

  /** Resolves once nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #wake(): void {
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Everything that arrives in the same burst belongs to the first commit.
    await undefined;
    try {
      do await this.#round(); while (this.#hasWork);
    } finally {
      this.#running = undefined;
      this.#writer.answer();
    }
  }

  get #hasWork(): boolean {
    return this.#appends.length > 0 || this.#wanted.size > 0 || this.#draining !== undefined;
  }

  async #round(): Promise<void> {
    const appends = this.#takeAppends();
    try {
      await this.#writer.settle();
    } catch (error) {
      for (const append of appends) append.refuse(error);
      this.#refuseWanted(error);
      this.#drained(error);
      return;
    }
    await Promise.all(appends.map((append) => append.prepare()));
    const units = [...this.#appendUnits(appends), ...this.#wantedUnits()];
    const isDraining = this.#draining !== undefined;
    const riders = this.#riders();
    // Where writing fails, nobody is to fail for the sake of what nobody waits for.
    const apart = this.#writer.trouble !== undefined;
    await this.#writer.write(apart ? units : [...units, ...riders.units]);
    if (apart) await this.#writer.write(riders.units);
    if (isDraining && (riders.areAll || riders.failure !== undefined)) {
      this.#drained(riders.failure);
    }
  }

  /**
   * The first append of each channel, as many as one commit is to take: where there are more, those
   * who are answered can go on while the others are written.
   */
  #takeAppends(): Appending[] {
    const taken = new Map<string, Appending>();
    const left: Appending[] = [];
    let room = MOST_DRAFTS;
    for (const append of this.#appends) {
      if (room <= 0 || taken.has(append.channel)) {
        left.push(append);
      } else {
        taken.set(append.channel, append);
        room -= append.count;
      }
    }
    this.#appends = left;
    return [...taken.values()];
  }

  #appendUnits(appends: readonly Appending[]): Unit[] {
    return appends.map((append) => {
      const unit = new Unit();
      append.plan(unit);
      return unit;
    });
  }

  /** What somebody waits for, as much as one commit takes: publishes are not to wait for long. */
  #wantedUnits(): Unit[] {
    const units: Unit[] = [];
    let left = ALONE;
    for (const [recorded, { resolve, reject }] of this.#wanted) {
      if (left <= 0) break;
      this.#wanted.delete(recorded);
      const unit = this.#unitOf(recorded, (hasMore) => {
        if (hasMore) this.want(recorded).then(resolve, reject);
        else resolve();
      });
      unit.onFailed(reject);
      unit.onUnsure(reject);
      left -= unit.load.mutations;
      units.push(unit);
    }
    return units;
  }

  #refuseWanted(error: unknown): void {
    const wanted = this.#wanted;
    this.#wanted = new Map();
    for (const [recorded, { reject }] of wanted) {
      this.#noted.add(recorded);
      reject(error);
    }
  }

  /** What is written in passing; everything that was noted, if somebody waits for that. */
  #riders(): Riders {
    const isDraining = this.#draining !== undefined;
    const isFailing = this.#writer.trouble !== undefined;
    const riders: Riders = { units: [], areAll: !isFailing || isDraining };
    if (!riders.areAll) return riders;
    let left = isDraining ? ALONE : RIDING;
    for (const recorded of this.#noted) {
      if (left <= 0) riders.areAll = false;
      if (!riders.areAll) break;
      this.#noted.delete(recorded);
      const unit = this.#unitOf(recorded, (hasMore) => {
        if (!hasMore) return;
        this.#noted.add(recorded);
        riders.areAll = false;
      });
      const failed = (error: unknown) => riders.failure = error;
      unit.onFailed(failed);
      unit.onUnsure(failed);
      left -= unit.load.mutations;
      riders.units.push(unit);
    }
    return riders;
  }

  #unitOf(recorded: Recorded, written: (hasMore: boolean) => void): Unit {
    const unit = new Unit();
    const hasMore = recorded.write(unit);
    unit.onDone(() => written(hasMore));
    // What is in memory counts: it is written with whatever comes next.
    unit.onFailed(() => this.#noted.add(recorded));
    return unit;
  }

  #drained(failure?: unknown): void {
    const draining = this.#draining;
    this.#draining = undefined;
    if (failure === undefined) draining?.resolve();
    else draining?.reject(failure);
  }
}

function newWaiting(): Waiting {
  const waiting = Promise.withResolvers<void>();
  // Whoever asked may have gone; what could not be written is written later in any case.
  waiting.promise.catch(() => {});
  return waiting;
}
