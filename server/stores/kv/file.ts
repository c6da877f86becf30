import type { StoreNews } from "../news.ts";
import type { RandomBytes } from "../../clock.ts";
import { KvCommitter } from "./committer.ts";
import { KvData } from "./data.ts";
import { cannotOpen, type KvDatabase, lock, type OpenDatabase, reasonOf } from "./engine.ts";
import { KvJournal } from "./journal.ts";
import { EVERYTHING, STATE_KEY, TABLES, VERSION_KEY } from "./keys.ts";
import { KvLoad } from "./load.ts";
import { KvProbe } from "./probe.ts";
import { KvReader } from "./reader.ts";
import { decodeKeys, decodeState, decodeVersion, encodeVersion } from "./records.ts";
import { KvTables } from "./tables.ts";
import { KvTails } from "./tails.ts";
import { Unit } from "./unit.ts";
import { type KvState, KvWriter, type Step } from "./writer.ts";
import type { MemorySession } from "../memory/sessions.ts";
import type { Retention } from "../store.ts";

/** What a file is opened with. */
export interface FileTerms {
  /** How much is kept. */
  readonly retention: Retention;
  /** Source of randomness. */
  readonly random: RandomBytes;
  /** Opens databases. */
  readonly openDatabase: OpenDatabase;
  /** Takes what the store has to say. Default: nobody hears it. */
  readonly tell?: StoreNews;
}

/** Version of the format that this version of the gateway reads and writes. */
const FORMAT = 1;
// Generations that a lost state may have been ahead of the sessions.
const SKIPPED_GENERATIONS = 2 ** 20;

/** A file of the KV store, as the handles of one process share it. */
export class KvFile {
  /** What it is called. */
  readonly path: string;
  /** What is in memory. */
  readonly data: KvData;
  /** The way into the file. */
  readonly committer: KvCommitter;
  /** The way out of it. */
  readonly reader: KvReader;
  /** Short segments, to be filled up. */
  readonly tails: KvTails;
  /** Publish ids in the file. */
  readonly journal: KvJournal;
  readonly #db: KvDatabase;
  readonly #tables: KvTables;
  readonly #writer: KvWriter;
  readonly #state: KvState;
  readonly #probe = new KvProbe();
  #lock: Disposable | undefined;
  /** Sessions that lost their connection with the process that had it. */
  #orphans: readonly MemorySession[] = [];

  private constructor(path: string, db: KvDatabase, state: KvState, stamp: string | null) {
    this.path = path;
    this.#db = db;
    this.#state = state;
    const nextId = () => this.#state.nextId++;
    this.journal = new KvJournal(nextId);
    this.#tables = new KvTables(db, nextId);
    this.#writer = new KvWriter(db, state, this.journal, stamp);
    this.committer = new KvCommitter(this.#writer);
    this.reader = new KvReader(db);
    this.tails = new KvTails(db);
    this.data = new KvData(this.committer, nextId);
  }

  /**
   * Opens a file, or makes one.
   *
   * @param place where it is; `undefined` for one in memory
   * @param path what it is called
   * @throws {TypeError} if it cannot be used
   */
  static async open(place: string | undefined, path: string, terms: FileTerms): Promise<KvFile> {
    const held = place === undefined ? undefined : await lock(place, path);
    let db: KvDatabase | undefined;
    try {
      db = await terms.openDatabase(place ?? ":memory:");
      const file = await KvFile.#load(path, db, terms);
      file.#lock = held;
      return file;
    } catch (error) {
      db?.close();
      held?.[Symbol.dispose]();
      throw error instanceof TypeError ? error : cannotOpen(path, reasonOf(error), error);
    }
  }

  static async #load(path: string, db: KvDatabase, terms: FileTerms): Promise<KvFile> {
    const isNew = await checkVersion(db, path);
    const { value, versionstamp } = await db.get(STATE_KEY);
    const known = attempt(() => decodeState(value as Uint8Array));
    const data = (): KvData => file.data;
    const state: KvState = {
      commit: known?.commit ?? 0,
      nextId: known?.nextId ?? 1,
      get generation() {
        return data().sessions.generation;
      },
    };
    const file: KvFile = new KvFile(path, db, state, versionstamp);
    if (isNew) await file.#begin();
    else await file.#resume(terms, known?.generation);
    return file;
  }

  /** Entries that nobody can read, as far as they were met since it was opened. */
  quarantined = 0;

  /** Why the file cannot be used at present; `undefined` while it can. */
  get trouble(): string | undefined {
    return this.committer.trouble ?? this.reader.trouble;
  }

  /** Tries again what failed last: nobody else may do so while this says that the file is no use. */
  async retry(): Promise<void> {
    if (this.committer.trouble !== undefined) this.committer.changed(this.#probe);
    await this.reader.retry();
  }

  /** The time is known for the first time: from now on sessions without a connection are absent. */
  hear(now: number): void {
    if (this.#orphans.length === 0) return;
    const orphans = this.#orphans;
    this.#orphans = [];
    const { sessions } = this.data;
    for (const session of orphans) {
      if (sessions.get(session.key) === session) sessions.release(session, now);
    }
  }

  /** Writes what is left, and lets the file go. */
  async close(): Promise<void> {
    // What cannot be written now is as after a crash.
    await this.committer.drain().catch(() => {});
    await this.committer.idle();
    this.#db.close();
    this.#lock?.[Symbol.dispose]();
  }

  async #begin(): Promise<void> {
    const unit = new Unit();
    unit.set(VERSION_KEY, encodeVersion(FORMAT));
    let failure: unknown;
    unit.onFailed((error) => failure = error);
    await this.#writer.write([unit]);
    if (failure !== undefined) throw failure;
  }

  /** @param generation highest number of a claim, if that is known */
  async #resume(terms: FileTerms, generation: number | undefined): Promise<void> {
    const { data, journal, committer } = this;
    const tables = this.#tables;
    if (generation === undefined) this.#state.nextId = await tables.highestId() + 1;
    await this.#cleanUp();
    const load = new KvLoad({ db: this.#db, data, journal, committer, tables, ...terms });
    await load.run();
    data.sessions.skipTo(generation ?? data.sessions.generation + SKIPPED_GENERATIONS);
    this.#orphans = load.orphans;
    this.quarantined = tables.missed;
    if (tables.missed > 0) {
      terms.tell?.(
        "damaged",
        `The store '${this.path}' has ${tables.missed} entries that make no sense. ` +
          "They are set aside, and what depends on them is told as lost.",
      );
    }
  }

  /** Removes what was written early for something that then did not happen. */
  async #cleanUp(): Promise<void> {
    const steps: Step[] = [];
    await this.#tables.readRecords(TABLES.step, 1, ({ numbers: [id], bytes }) => {
      steps.push({ id, keys: decodeKeys(bytes) });
    });
    this.#writer.restore(steps);
    await this.#writer.settle();
  }
}

/** @returns whether the file is new */
async function checkVersion(db: KvDatabase, path: string): Promise<boolean> {
  const { value } = await db.get(VERSION_KEY);
  if (value === null) {
    for await (const _ of db.list({ prefix: EVERYTHING }, { batchSize: 1, limit: 1 })) {
      throw cannotOpen(path, "it has data of a gateway, and does not say of which version");
    }
    return true;
  }
  const format = attempt(() => decodeVersion(value as Uint8Array));
  if (format === FORMAT) return false;
  throw cannotOpen(
    path,
    `its data has format ${format ?? "unknown"}, and this version reads format ${FORMAT} only`,
  );
}

/** What a function returns; `undefined` if it throws. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
