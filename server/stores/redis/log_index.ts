import { PushError } from "@push/client/protocol";
import { type RandomBytes, randomEpoch, randomId } from "../../clock.ts";
import type { Retention, StoreStats } from "../store.ts";
import { escapeName, nameOf, type RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { type Told, toldOf } from "./log_entry.ts";
import { DUE, LIST, OLDEST, TALLY, UNLIST } from "./log_index_scripts.ts";
import { LET_GO, TAKE_LEASE } from "./log_lease.ts";
import { logKeys } from "./log_lua.ts";
import { EVICT, FORGET, TEND } from "./log_tend.ts";
import type { Script } from "./script.ts";

/** What of {@linkcode StoreStats} is about logs. */
export type LogStats = Pick<
  StoreStats,
  "channels" | "messages" | "bytes" | "evicted" | "expired"
>;

/** What a {@linkcode LogIndex} is made with. */
export interface LogIndexOptions {
  /** The connection. */
  readonly link: Pick<RedisLink, "run" | "command">;
  /** Names of keys. */
  readonly keys: RedisKeys;
  /** How much is kept. */
  readonly retention: Retention;
  /** Milliseconds after which Redis itself may drop a channel that nobody looks at. */
  readonly backstop: number;
  /** Source of randomness. */
  readonly random: RandomBytes;
  /** Takes notice of a state that a script has told. */
  saw(told: Told): void;
}

/** Visits that are sent at once. */
const BATCH = 200;
/** Most visits in one sweep. */
const MOST_VISITS = 2000;
/** A channel is visited at least so often, in milliseconds. */
const LONGEST_REST = 900_000;
/** Milliseconds until a channel is due again whose visitor is gone, and until a sweeper is. */
const TAKEN = 30_000;
const LEASE = 10_000;
/** Channels that lose their oldest messages at once, and how often in a row. */
const LOSERS = 32;
const ROUNDS = 8;
/** Marks are forgotten beyond that many, and made again. */
const MOST_MARKS = 100_000;

/** Which channels there are, and what all of them have: looked after by all nodes in turns. */
export class LogIndex {
  readonly #options: LogIndexOptions;
  readonly #token: string;
  readonly #marked = new Set<string>();
  #turns = 0;
  #time = 0;
  #lostBefore: readonly [evicted: number, expired: number] = [0, 0];

  /** @param options what to work on */
  constructor(options: LogIndexOptions) {
    this.#options = options;
    this.#token = randomId(options.random);
  }

  /** Begins to count what is lost. */
  async open(): Promise<void> {
    const [, , evicted, expired] = await this.#totals();
    this.#lostBefore = [evicted, expired];
  }

  /** Learns the store's time. */
  passed(time: number): void {
    this.#time = time;
  }

  /**
   * Notes that a channel's log moves, so that it is visited soon; at most once between two sweeps,
   * unless it `isNew`. Never rejects: a channel that is not noted now is noted when it moves again.
   */
  async mark(channel: string, isNew: boolean = false): Promise<void> {
    if (this.#marked.has(channel) && !isNew) return;
    if (this.#marked.size >= MOST_MARKS) this.#marked.clear();
    this.#marked.add(channel);
    const { link, keys } = this.#options;
    try {
      await link.run(LIST, [keys.channels], [escapeName(channel), this.#time]);
    } catch {
      this.#marked.delete(channel);
    }
  }

  /** Names of all channels. */
  async names(): Promise<Set<string>> {
    try {
      return await this.#names();
    } catch (error) {
      if (!(error instanceof PushError) || error.code !== "internal") throw error;
      // Another program has written the key: to take no channel at all sets it aside.
      await this.#options.link.run(DUE, this.#all, [0, TAKEN, ""]);
      return await this.#names();
    }
  }

  async #names(): Promise<Set<string>> {
    const { link, keys } = this.#options;
    const names = new Set<string>();
    let cursor = "0";
    do {
      const answer = await link.command("ZSCAN", keys.channels, cursor, "COUNT", 1000);
      const [next, members] = answer as [string, string[]];
      for (let i = 0; i < members.length; i += 2) {
        const name = nameOf(members[i]);
        if (name !== undefined) names.add(name);
      }
      cursor = next;
    } while (cursor !== "0");
    return names;
  }

  /** Visits channels that are due, unless another node does just now. */
  async sweep(): Promise<void> {
    this.#marked.clear();
    await this.#alone(async () => {
      let before = "";
      const visited = new Set<string>();
      for (let most = BATCH; most <= MOST_VISITS; most += BATCH) {
        const { until, names } = await this.#visit(before);
        before = until;
        for (const name of names) visited.add(name);
        // There are no more, or only some that are due all the time.
        if (visited.size < most) break;
      }
      await this.#makeRoom((await this.#totals())[1]);
    });
  }

  /** Counts, after a visit to the channels that are longest due. */
  async stats(): Promise<LogStats> {
    const { link, keys } = this.#options;
    this.#marked.clear();
    await this.#visit("");
    const { maxStoreBytes } = this.#options.retention;
    if ((await this.#totals())[1] > maxStoreBytes) {
      await this.#alone(async () => await this.#makeRoom((await this.#totals())[1]));
    }
    const [channels, [messages, bytes, ...lost]] = await Promise.all([
      link.command("ZCARD", keys.channels) as Promise<number>,
      this.#totals(),
    ]);
    // Sums that are less than before were begun anew with all the data.
    const [evicted, expired] = lost.map((sum, i) =>
      sum - (sum < this.#lostBefore[i] ? 0 : this.#lostBefore[i])
    );
    return { channels, messages, bytes, evicted, expired };
  }

  /** Does something unless another does just now: two that make room would make twice as much. */
  async #alone(work: () => Promise<void>): Promise<void> {
    const { link, keys } = this.#options;
    const lease = keys.sweep("log");
    // Each has a name of its own, also where one node does both.
    const token = `${this.#token}.${++this.#turns}`;
    if (await link.run(TAKE_LEASE, [lease], [token, LEASE]) !== 1) return;
    try {
      await work();
    } finally {
      await link.run(LET_GO, [lease], [token]);
    }
  }

  async #visit(before: string): Promise<{ until: string; names: string[] }> {
    const { link, retention, backstop } = this.#options;
    const { messageTtl, historySize, historyBytes, maxChannelBytes, metaTtl } = retention;
    const answer = await link.run(DUE, this.#all, [BATCH, TAKEN, before]) as string[];
    const [until, taken, ...names] = answer;
    this.passed(Number(until));
    const found: (string | number)[] = [];
    const gone: string[] = [];
    const idle: string[] = [];
    const answers = await this.#each(TEND, names, [
      messageTtl,
      historySize,
      historyBytes,
      maxChannelBytes,
      retention.idempotencyWindow,
      metaTtl,
      backstop,
      LONGEST_REST,
    ]);
    for (const [name, answer] of answers) {
      if (answer === null) {
        gone.push(name);
      } else {
        const [due, ...rest] = (answer as string[]).slice(1);
        if (Number(rest.pop()) === 1) idle.push(name);
        found.push(name, taken, due, ...rest);
      }
    }
    if (found.length > 0) await this.#tally(found);
    if (gone.length > 0) await link.run(UNLIST, this.#all, gone);
    if (idle.length > 0) await this.#forget(idle);
    return { until, names };
  }

  /** Forgets idle channels: first in the index, so that none is in use and not in it. */
  async #forget(names: readonly string[]): Promise<void> {
    const { link, keys, retention } = this.#options;
    await link.run(UNLIST, this.#all, names);
    const answers = await this.#each(FORGET, names, [retention.metaTtl]);
    for (const name of names) {
      if (answers.get(name) === 1) continue;
      await link.run(LIST, [keys.channels], [name, this.#time]);
    }
  }

  /**
   * Lets channels lose their oldest messages while all together have too much: first one after the
   * other, each up to the age at which the next has its turn; then, as their ages are alike, at once.
   */
  async #makeRoom(bytes: number): Promise<void> {
    const { link, keys, retention: { maxStoreBytes } } = this.#options;
    for (let round = 0; round < ROUNDS && bytes > maxStoreBytes; round++) {
      const oldest = await link.run(OLDEST, [keys.ages], [LOSERS + 1]) as string[];
      const names = oldest.filter((_, i) => i % 2 === 0);
      const limitOf = (i: number) => oldest[2 * i + 1] ?? this.#time + TAKEN;
      const losers = names.slice(0, LOSERS);
      if (round > 0) {
        const share = Math.ceil((bytes - maxStoreBytes) / Math.max(losers.length, 1));
        bytes = await this.#evict(losers, share, limitOf(LOSERS));
        continue;
      }
      for (const [i, name] of losers.entries()) {
        bytes = await this.#evict([name], bytes - maxStoreBytes, limitOf(i + 1));
        if (bytes <= maxStoreBytes) break;
      }
    }
  }

  /** Lets channels lose so many bytes each; resolves to what all have then. */
  async #evict(names: readonly string[], bytes: number, limit: number | string): Promise<number> {
    const answers = await this.#each(EVICT, names, [bytes, limit]);
    const gone = names.filter((name) => answers.get(name) === null);
    if (gone.length > 0) await this.#options.link.run(UNLIST, this.#all, gone);
    const found: (string | number)[] = [];
    for (const [name, answer] of answers) {
      if (answer !== null) found.push(name, "", "", ...(answer as string[]).slice(1));
    }
    return await this.#tally(found);
  }

  async #tally(found: readonly (string | number)[]): Promise<number> {
    return await this.#options.link.run(TALLY, this.#all, found) as number;
  }

  /** Runs a script about each of these channels; what failed fails alone, unless all did. */
  async #each(
    script: Script,
    names: readonly string[],
    args: readonly (string | number)[],
  ): Promise<Map<string, unknown>> {
    const { link, keys, random, saw } = this.#options;
    const answers = new Map<string, unknown>();
    const results = await Promise.allSettled(names.map(async (name) => {
      const channel = nameOf(name);
      // Another program has written this name: there is no such channel.
      if (channel === undefined) return answers.set(name, null);
      const all = [...logKeys(keys, channel), keys.dead(channel)];
      const answer = await link.run(script, all, [randomEpoch(random), ...args]);
      if (Array.isArray(answer)) saw(toldOf(answer[0]));
      answers.set(name, answer);
    }));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined && answers.size === 0) throw failed.reason;
    return answers;
  }

  get #all(): string[] {
    const { channels, sizes, ages, totals } = this.#options.keys;
    return [channels, sizes, ages, totals];
  }

  async #totals(): Promise<[number, number, number, number]> {
    const { link, keys } = this.#options;
    const names = ["messages", "bytes", "evicted", "expired"];
    const sums = await link.command("HMGET", keys.totals, ...names) as (string | null)[];
    return sums.map((sum) => Number(sum ?? 0) || 0) as [number, number, number, number];
  }
}
