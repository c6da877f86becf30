import { PushError } from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import type { Commit, Cursor, LateRecord } from "../stores/store.ts";

/** Whose positions they are. */
export interface PositionsHolder {
  /** Key of the session. */
  readonly key: string;
  /** Number of the claim that it is held by. */
  readonly generation: number;
  /** What every part of the hub shares. */
  readonly context: HubContext;
  /** A newer claim has taken the session. */
  fenced(): void;
  /** What the store has is not known any more: nothing may be written over it. */
  unsure(): void;
}

const WRITTEN = Promise.resolve(true);

/** The stored positions of one session: one operation at a time, so that the newest is the last. */
export class Positions {
  readonly #holder: PositionsHolder;
  /** Resolves once the last operation has ended, while there is one. */
  #writing: Promise<void> | undefined;
  #ended = false;

  /** @param holder whose positions */
  constructor(holder: PositionsHolder) {
    this.#holder = holder;
  }

  /**
   * Stores positions; resolves to whether the session is still its holder's.
   *
   * @param commits what to store, asked for when the operations before have ended
   * @param done called when it is stored, before the next operation begins
   * @throws {PushError} as the store
   */
  write(commits: () => readonly Commit[], done?: () => void): Promise<boolean> {
    const { context: { settings }, generation } = this.#holder;
    if (!settings.delivery.enabled) return WRITTEN;
    return this.#serially(() => this.#write(generation, commits, done));
  }

  async #write(
    generation: number,
    commits: () => readonly Commit[],
    done: (() => void) | undefined,
  ): Promise<boolean> {
    const { key, context: { store, clock } } = this.#holder;
    const wanted = commits();
    if (wanted.length === 0) return true;
    const stored = await store.commit(key, generation, wanted, clock.now());
    if (stored) done?.();
    else this.#refused(generation);
    return stored;
  }

  /**
   * Reads a position; `undefined` if there is none.
   *
   * @throws {PushError} `replaced` if a newer claim has taken the session; as the store
   */
  load(channel: string): Promise<Cursor | undefined> {
    return this.#serially(() => this.#load(channel));
  }

  /**
   * Learns what was put back into a position from its dead letters.
   *
   * @param commit the position as it is here, asked for when the operations before have ended
   * @param done called with what was put back, and the epoch, before the next operation begins
   * @throws {PushError} `replaced` if a newer claim, perhaps of this very session, has overtaken it; as
   *   the store
   */
  async readRedriven(
    commit: () => Commit,
    done: (epoch: string, redriven: LateRecord[]) => void,
  ): Promise<void> {
    const { store, clock } = this.#holder.context;
    const { key, generation } = this.#holder;
    const held = await this.#serially(async () => {
      // The store then has all that is known here, so that what it has beside that is new.
      const { channel, cursor } = commit();
      const stored = await store.commit(key, generation, [{ channel, cursor }], clock.now());
      if (!stored) return false;
      const known = new Set<number>();
      for (const { seq, redriven } of cursor.late) if (redriven !== undefined) known.add(seq);
      let loaded: Cursor | undefined;
      try {
        loaded = await this.#load(channel);
      } catch (error) {
        // The store may take for known what never arrived here.
        const isUndone = error instanceof PushError &&
          (error.code === "unavailable" || error.code === "replaced");
        if (!isUndone) this.#giveUp();
        throw error;
      }
      if (loaded === undefined) return true;
      done(
        loaded.epoch,
        loaded.late.filter(({ seq, redriven }) => redriven !== undefined && !known.has(seq)),
      );
      return true;
    });
    if (held) return;
    this.#refused(generation);
    throw new PushError("replaced");
  }

  /**
   * Forgets a position.
   *
   * @throws {PushError} as the store
   */
  forget(channel: string): Promise<boolean> {
    const { store, clock } = this.#holder.context;
    const { key, generation } = this.#holder;
    return this.#serially(async () => await store.forget(key, generation, channel, clock.now()));
  }

  async #load(channel: string): Promise<Cursor | undefined> {
    const { store, clock } = this.#holder.context;
    const { key, generation } = this.#holder;
    const loaded = await store.load(key, generation, [channel], clock.now());
    if (loaded !== undefined) return loaded[0];
    this.#refused(generation);
    throw new PushError("replaced");
  }

  #refused(generation: number): void {
    // A newer claim of this very session may have overtaken the operation.
    if (generation === this.#holder.generation) this.#holder.fenced();
  }

  #giveUp(): void {
    this.#ended = true;
    this.#holder.unsure();
  }

  #serially<T>(operation: () => Promise<T>): Promise<T> {
    const begin = () => this.#ended ? Promise.reject(new PushError("replaced")) : operation();
    const result = this.#writing === undefined ? begin() : this.#writing.then(begin);
    const end = () => {
      if (this.#writing === ended) this.#writing = undefined;
    };
    const ended = this.#writing = result.then(end, end);
    return result;
  }
}
