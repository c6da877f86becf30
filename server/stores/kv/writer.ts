import { PushError } from "@push/client/protocol";
import { type KvDatabase, type KvKey, reasonOf } from "./engine.ts";
import type { KvJournal } from "./journal.ts";
import { keyOf, STATE_KEY, TABLES } from "./keys.ts";
import { decodeState, encodeKeys, encodeState } from "./records.ts";
import { Load, mutate, type Mutation, setRecord, Unit } from "./unit.ts";

/** What only grows; it is written with every commit. */
export interface KvState {
  /** Number of the last commit. */
  commit: number;
  /** Lowest number that nothing was called by. */
  nextId: number;
  /** Highest number of a claim. */
  readonly generation: number;
}

/** Early writes of a unit that is too large for one commit. */
export interface Step {
  readonly id: number;
  readonly keys: readonly KvKey[];
}

/** What a commit came to. */
type Outcome =
  | { readonly is: "done" }
  /** Nothing happened. */
  | { readonly is: "failed"; readonly error: unknown }
  /** Nobody knows for now. */
  | { readonly is: "unsure" };

/** Says what a commit came to, at once or later. */
type Settle = (outcome: Exclude<Outcome, { is: "unsure" }>) => void;

const UNKNOWN = "It is not known whether the store's file has it.";

/**
 * Writes units into the file, one commit after the other.
 *
 * A commit carries its number, on condition that the number before is still there. So after an error
 * it is found out whether the commit happened, and a foreign writer is noticed.
 */
export class KvWriter {
  readonly #db: KvDatabase;
  readonly #state: KvState;
  readonly #journal: KvJournal;
  #stamp: string | null;
  #trouble: string | undefined;
  #isForeign = false;
  /** What was written early for nothing, and must go before anything else is written. */
  #leftovers: Step[] = [];
  /** What is in the file, and those who wait were not told of. */
  #owed: Unit[] = [];
  #unsure: { readonly commit: number; readonly settle: Settle } | undefined;

  /** @param stamp versionstamp of the state as it is in the file */
  constructor(db: KvDatabase, state: KvState, journal: KvJournal, stamp: string | null) {
    this.#db = db;
    this.#state = state;
    this.#journal = journal;
    this.#stamp = stamp;
  }

  /** Takes in steps that a crash has left in the file. */
  restore(steps: readonly Step[]): void {
    this.#leftovers.push(...steps);
  }

  /** Why the last write failed; `undefined` if it did not. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Tells those who wait. What that sets off is best done while a commit is on its way. */
  answer(): void {
    const owed = this.#owed;
    this.#owed = [];
    for (const unit of owed) unit.answer();
  }

  /**
   * Finds out what nobody knew and cleans up. To be called before anything is decided that depends
   * on what was written.
   *
   * @throws {PushError} if that cannot be done; nothing is to be written then
   */
  async settle(): Promise<void> {
    if (this.#unsure !== undefined) {
      const { commit, settle } = this.#unsure;
      let happened: boolean;
      try {
        happened = await this.#happened(commit);
      } catch (error) {
        throw asPushError(error);
      }
      this.#unsure = undefined;
      settle(happened ? { is: "done" } : { is: "failed", error: undefined });
    }
    while (this.#leftovers.length > 0) {
      const { id, keys } = this.#leftovers[0];
      const mutations = [...keys, keyOf(TABLES.step, id)].map((key) => ({ key }));
      const outcome = await this.#write(mutations, () => {});
      if (outcome.is !== "done") throw errorOf(outcome);
      this.#leftovers.shift();
    }
  }

  /** Writes units in their order, as many with one commit as fit; says to each what became of it. */
  async write(units: readonly Unit[]): Promise<void> {
    let group: Unit[] = [];
    let load = new Load();
    const flush = async () => {
      if (group.length > 0) await this.#writeTogether(group);
      group = [];
      load = new Load();
    };
    for (const unit of units) {
      if (unit.load.isEmpty) {
        this.#done(unit);
      } else if (!unit.load.fits) {
        await flush();
        if (this.#unsure === undefined) await this.#writeLarge(unit);
        else unit.failed(new PushError("unavailable"));
      } else {
        if (!load.plus(unit.load).fits) await flush();
        group.push(unit);
        load = load.plus(unit.load);
      }
    }
    await flush();
  }

  async #writeTogether(units: readonly Unit[]): Promise<void> {
    // Nothing is written on top of what nobody knows.
    if (this.#unsure !== undefined) {
      for (const unit of units) unit.failed(new PushError("unavailable"));
      return;
    }
    const mutations = units.flatMap(({ early, main }) => [...early, ...main]);
    mutations.push(...this.#journal.stage(units.flatMap(({ ids }) => ids)));
    const settle: Settle = (outcome) => {
      this.#journal.settle(outcome.is === "done");
      for (const unit of units) {
        if (outcome.is === "done") this.#done(unit);
        else unit.failed(errorOf(outcome));
      }
    };
    const outcome = await this.#write(mutations, settle);
    if (outcome.is === "unsure") {
      for (const unit of units) unit.unsure(new PushError("outcome_unknown", UNKNOWN));
    } else if (outcome.is === "failed" && units.length > 1 && isAboutLimits(outcome.error)) {
      // Whatever one of them has wrong, the others are not to suffer from it.
      this.#journal.settle(false);
      for (const unit of units) await this.#writeTogether([unit]);
    } else {
      settle(outcome);
    }
  }

  /** Writes what may be written early in steps, and then what makes it visible. */
  async #writeLarge(unit: Unit): Promise<void> {
    const pages = this.#journal.stage(unit.ids, true);
    const main = [...unit.main, ...pages.splice(-1)];
    const steps: Step[] = [];
    const settle: Settle = (outcome) => {
      this.#journal.settle(outcome.is === "done");
      if (outcome.is === "done") return this.#done(unit);
      this.#leftovers.push(...steps);
      unit.failed(errorOf(outcome));
    };
    for (const mutations of portions([...unit.early, ...pages])) {
      const step = { id: this.#state.nextId++, keys: mutations.map(({ key }) => key) };
      const marker = new Unit();
      setRecord(marker, keyOf(TABLES.step, step.id), encodeKeys(step.keys));
      steps.push(step);
      const outcome = await this.#write([...marker.main, ...mutations], () => {});
      // Whatever became of this step: without the last one nothing is visible.
      if (outcome.is !== "done") return settle({ is: "failed", error: errorOf(outcome) });
    }
    main.push(...steps.map(({ id }) => ({ key: keyOf(TABLES.step, id) })));
    const outcome = await this.#write(main, settle);
    if (outcome.is === "unsure") unit.unsure(new PushError("outcome_unknown", UNKNOWN));
    else settle(outcome);
  }

  /** @param settle is told later what it came to where that is not known at once */
  async #write(mutations: readonly Mutation[], settle: Settle): Promise<Outcome> {
    if (this.#isForeign) return { is: "failed", error: foreign() };
    const commit = this.#state.commit + 1;
    const { nextId, generation } = this.#state;
    const atomic = this.#db.atomic().check({ key: STATE_KEY, versionstamp: this.#stamp });
    mutate(atomic, mutations);
    atomic.set(STATE_KEY, encodeState({ commit, nextId, generation }));
    try {
      const committing = atomic.commit();
      this.answer();
      const written = await committing;
      if (!written.ok) return this.#noticeForeign();
      this.#written(commit, written.versionstamp);
      return { is: "done" };
    } catch (error) {
      this.#trouble = asPushError(error).message;
      try {
        return await this.#happened(commit) ? { is: "done" } : { is: "failed", error };
      } catch {
        this.#unsure = { commit, settle };
        return { is: "unsure" };
      }
    }
  }

  #done(unit: Unit): void {
    unit.done();
    this.#owed.push(unit);
  }

  /** Finds out whether a commit happened that ended with an error. */
  async #happened(commit: number): Promise<boolean> {
    const { value, versionstamp } = await this.#db.get(STATE_KEY);
    if (versionstamp === this.#stamp) return false;
    if (!(value instanceof Uint8Array) || decodeState(value).commit !== commit) {
      this.#noticeForeign();
      return false;
    }
    this.#written(commit, versionstamp!);
    return true;
  }

  #written(commit: number, stamp: string): void {
    this.#state.commit = commit;
    this.#stamp = stamp;
    this.#trouble = undefined;
  }

  #noticeForeign(): Outcome {
    this.#isForeign = true;
    const error = foreign();
    this.#trouble = error.message;
    return { is: "failed", error };
  }
}

function foreign(): PushError {
  return new PushError(
    "unavailable",
    "Another program has written to the store's file. Start the gateway anew.",
  );
}

function errorOf(outcome: Outcome): PushError {
  return asPushError(outcome.is === "failed" ? outcome.error : undefined);
}

function asPushError(cause: unknown): PushError {
  if (cause instanceof PushError) return cause;
  if (cause === undefined) return new PushError("unavailable");
  const reason = reasonOf(cause);
  return new PushError("unavailable", `The store's file cannot be written: ${reason}.`, { cause });
}

/** Whether an error is about what was written, and not about the file. */
function isAboutLimits(error: unknown): boolean {
  return error instanceof TypeError || /Too ?(Large|Long|Many)/i.test(reasonOf(error));
}

/** Mutations in portions of which each fits into a commit. */
function* portions(mutations: readonly Mutation[]): Generator<Mutation[]> {
  let portion: Mutation[] = [];
  let load = new Load();
  for (const mutation of mutations) {
    const one = new Load();
    one.count(mutation);
    if (portion.length > 0 && !load.plus(one).fits) {
      yield portion;
      portion = [];
      load = new Load();
    }
    portion.push(mutation);
    load.count(mutation);
  }
  if (portion.length > 0) yield portion;
}
