import { subjectOfKey } from "../session_key.ts";
import { escapeName, nameOf, type RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import type { Script } from "./script.ts";
import {
  BATCH,
  COUNT,
  DUE,
  FOLLOW,
  PLACE,
  REMOVE,
  RESERVE,
  TOUR,
} from "./session_index_scripts.ts";

/** When a session has no connection, and when it ends, unless it is renewed. Store time, ms. */
export interface SessionTimes {
  /** Key of the session. */
  readonly key: string;
  /** Since then, or from then on, it has no connection. */
  readonly until: number;
  /** It ends then. */
  readonly ends: number;
}

/** How many sessions there may be, and how long one counts that has just begun. */
export interface RoomTerms {
  /** Most of all. */
  readonly most: number;
  /** Most of its subject; any number by default. */
  readonly mostOfSubject?: number;
  /** Milliseconds for which it counts as attached. */
  readonly lease: number;
  /** Milliseconds that it outlives its connection. */
  readonly ttl: number;
}

/** Whether there is room for one more session. */
export type Room = Place | Crowd;

/** There is. */
interface Place {
  readonly has: true;
  /** Whether the session is new in the index. */
  readonly isNew: boolean;
}

/** There is none. */
interface Crowd {
  readonly has: false;
  /** Whether its subject has too many, or all together have. */
  readonly reason: "full" | "subject_full";
  /** Whether those that may go have ended, as far as the index knows; else they are away. */
  readonly haveEnded: boolean;
  /** Sessions that may go: those that have ended, or else those of the subject longest away. */
  readonly away: string[];
}

/** About how many sessions one look at the sets of subjects is for. */
const TOUR_STEP = 500;

/**
 * Which sessions there are. The truth is in each session's own record, in another slot; this follows
 * it, a moment later, and is put right when they are found to differ.
 */
export class SessionIndex {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #count: (bad: number) => void;
  /** Where the tour over all sessions goes on. */
  #cursor = "0";

  /** @param count told of values that were moved aside */
  constructor(link: RedisLink, keys: RedisKeys, count: (bad: number) => void) {
    this.#link = link;
    this.#keys = keys;
    this.#count = count;
  }

  /** Keeps a place for a session, if there is one. */
  async reserve(key: string, { most, mostOfSubject, lease, ttl }: RoomTerms): Promise<Room> {
    const args = [escapeName(key), most, mostOfSubject ?? "", lease, ttl];
    const [kind, state, ...away] = await this.#run(RESERVE, [...this.#all, this.#of(key)], args);
    if (kind === "known" || kind === "new") return { has: true, isNew: kind === "new" };
    const reason = kind === "full" ? "full" : "subject_full";
    return { has: false, reason, haveEnded: state === "ended", away: names(away) };
  }

  /** Follows what has become of sessions. */
  async place(times: readonly SessionTimes[]): Promise<void> {
    if (times.length === 0) return;
    const groups = Map.groupBy(times, ({ key }) => this.#of(key));
    const args = [...groups.values()].flatMap((group) => [
      group.length,
      ...group.flatMap(({ key, until, ends }) => [escapeName(key), until, ends]),
    ]);
    await this.#run(PLACE, [...this.#all, ...groups.keys()], args);
  }

  /** Takes a session out. */
  async remove(key: string): Promise<void> {
    await this.#run(REMOVE, [...this.#all, this.#of(key)], [escapeName(key)]);
  }

  /** Some whose time seems to be over; `more` if there may be others. */
  async due(): Promise<{ readonly keys: string[]; readonly more: boolean }> {
    const due = await this.#run(DUE, [this.#keys.ends], []);
    const keys = names(due);
    // What is no name was put there by somebody else.
    if (keys.length < due.length) {
      const foreign = due.map(String).filter((member) => nameOf(member) === undefined);
      this.#count(foreign.length);
      await this.#run(REMOVE, [...this.#all, ...foreign.map((key) => this.#of(key))], foreign);
    }
    return { keys, more: due.length === BATCH };
  }

  /**
   * Looks whether some sessions are among those of their subjects: a version that knew none, or another
   * program, may have left them out. Each call looks at others, and comes round.
   */
  async follow(): Promise<void> {
    const args = [this.#cursor, TOUR_STEP];
    const [next, ...found] = await this.#run(TOUR, [this.#keys.sessions], args);
    const groups = Map.groupBy(names(found), (key) => this.#of(key));
    if (groups.size > 0) {
      const args = [...groups.values()].flatMap((keys) => [keys.length, ...keys.map(escapeName)]);
      await this.#run(FOLLOW, [...this.#all, ...groups.keys()], args);
    }
    this.#cursor = String(next);
  }

  /** How many live. */
  async size(): Promise<number> {
    const [count] = await this.#run(COUNT, [this.#keys.ends], []);
    return Number(count);
  }

  get #all(): string[] {
    return [this.#keys.sessions, this.#keys.ends];
  }

  /** Where the sessions of a session's subject are. */
  #of(key: string): string {
    return this.#keys.sessionsOf(subjectOfKey(key));
  }

  async #run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown[]> {
    const [bad, ...rest] = await this.#link.run(script, keys, args) as unknown[];
    this.#count(Number(bad));
    return rest;
  }
}

function names(members: readonly unknown[]): string[] {
  return members.map((member) => nameOf(String(member))).filter((name) => name !== undefined);
}
