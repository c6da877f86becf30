import type { DeadLetter, DeadLetterQuery } from "../store.ts";
import { escapeName } from "./keys.ts";
import { LetterIndex } from "./letter_index.ts";
import { letterKeys, readLetterId } from "./letter_lua.ts";
import {
  COUNT_SCRIPT,
  DISCARD_SCRIPT,
  ELIGIBLE_SCRIPT,
  FETCH_SCRIPT,
  LIST_SCRIPT,
  REDRIVE_SCRIPT,
} from "./letter_scripts.ts";
import { readLetter } from "./letter_text.ts";
import { positionKeys } from "./position_lua.ts";
import { PositionSweep } from "./position_sweep.ts";
import type { Script } from "./script.ts";
import { allDone } from "./settle.ts";
import { lookAt } from "./session_look.ts";
import type { SessionParts } from "./session_parts.ts";
import { NEWS_SCRIPT } from "./session_scripts.ts";

/** A letter as listed: its place among all of them. */
interface Listed {
  readonly channel: string;
  readonly id: string;
  readonly time: number;
}

/** How many letters are looked at in one step. */
const BATCH = 500;

/**
 * Dead letters: in the slot of their channel, beside the positions that gave them up, so that a
 * message is dead or late and never both nor neither.
 */
export class RedisLetters {
  readonly #parts: SessionParts;
  readonly #channels: PositionSweep;
  readonly #index: LetterIndex;
  #operations = 0;

  /** @param parts what it shares with sessions and positions */
  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#channels = new PositionSweep(parts);
    this.#index = new LetterIndex(parts);
  }

  /** See `Store.deadLetters`. */
  async deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    if (query.limit <= 0) return [];
    for (;;) {
      const listed = await this.#list(query, query.limit);
      const letters = await this.#fetch(listed);
      // One that nobody can read is gone now, and another takes its place.
      if (letters.size === listed.length || listed.length < query.limit) {
        return listed.map((one) => letters.get(one)).filter((letter) => letter !== undefined);
      }
    }
  }

  /** See `Store.redrive`. */
  async redrive(query: DeadLetterQuery): Promise<DeadLetter[]> {
    const passed = new Set<string>();
    const moved: DeadLetter[] = [];
    while (moved.length < query.limit) {
      const left = query.limit - moved.length;
      const listed = await this.#list(query, passed.size + Math.max(left, BATCH));
      const next = listed.filter((one) => !passed.has(nameOfListed(one)));
      if (next.length === 0) break;
      const batch = next.slice(0, BATCH);
      const eligible = await this.#eligible(batch);
      // What is beyond the limit is looked at again if others have taken those before it.
      const spare = new Set(eligible.slice(left));
      for (const one of batch) if (!spare.has(one)) passed.add(nameOfListed(one));
      moved.push(...await this.#putBack(eligible.slice(0, left)));
    }
    return moved;
  }

  /** Lets go of letters whose time is over. */
  async sweep(): Promise<void> {
    const due = await this.#index.due();
    await allDone(due.map(async (visit) => {
      await this.#index.visited(visit, await this.#channels.sweepChannel(visit.channel));
    }));
  }

  /** How many there are, and how many had no room. */
  async stats(): Promise<{ readonly deadLetters: number; readonly evicted: number }> {
    const { limits, tally } = this.#parts;
    const channels = await this.#index.channels();
    const counts = await Promise.all(
      channels.map((channel) => this.#run(COUNT_SCRIPT, channel, [limits.deadLetterTtl])),
    );
    const deadLetters = counts.reduce((sum, [count]) => sum + Number(count), 0);
    return { deadLetters, evicted: tally.evicted };
  }

  async #list({ channel, session, seq }: DeadLetterQuery, limit: number): Promise<Listed[]> {
    const channels = channel === undefined ? await this.#index.channels() : [channel];
    const name = session === undefined ? "" : escapeName(session);
    const args = [this.#parts.limits.deadLetterTtl, name, seq ?? "", limit];
    const found = await Promise.all(channels.map(async (from) => {
      const answer = await this.#run(LIST_SCRIPT, from, args);
      const listed: Listed[] = [];
      for (let i = 0; i < answer.length; i += 2) {
        listed.push({ channel: from, id: String(answer[i]), time: Number(answer[i + 1]) });
      }
      return listed;
    }));
    return found.flat().sort((a, b) => a.time - b.time).slice(0, limit);
  }

  /** Reads letters; those that nobody can read are moved aside. */
  async #fetch(listed: readonly Listed[]): Promise<Map<Listed, DeadLetter>> {
    const letters = new Map<Listed, DeadLetter>();
    await Promise.all([...byChannel(listed)].map(async ([channel, some]) => {
      const texts = await this.#run(FETCH_SCRIPT, channel, some.map(({ id }) => id));
      const bad: string[] = [];
      for (const [i, one] of some.entries()) {
        const text = texts[i];
        const letter = typeof text === "string" ? readLetter(channel, one.id, text) : undefined;
        if (letter === undefined) bad.push(one.id, typeof text === "string" ? text : "");
        else letters.set(one, letter);
      }
      if (bad.length > 0) await this.#run(DISCARD_SCRIPT, channel, bad);
    }));
    return letters;
  }

  /** Those whose session lives, names the channel, and stands in their epoch. */
  async #eligible(listed: readonly Listed[]): Promise<Listed[]> {
    const living = new Set<string>();
    const asked = new Map<string, Set<string>>();
    for (const { channel, id } of listed) {
      const session = readLetterId(id)?.session;
      if (session === undefined) continue;
      asked.set(session, (asked.get(session) ?? new Set()).add(channel));
    }
    await Promise.all([...asked].map(async ([session, channels]) => {
      const names = [...channels];
      const { news } = await lookAt(this.#parts, session, names);
      for (const [i, channel] of names.entries()) {
        if (news[i] !== undefined) living.add(JSON.stringify([session, channel]));
      }
    }));
    const among = listed.filter(({ channel, id }) =>
      living.has(JSON.stringify([readLetterId(id)?.session, channel]))
    );
    const fit = new Set<Listed>();
    await Promise.all([...byChannel(among)].map(async ([channel, some]) => {
      const { link, keys } = this.#parts;
      const ids = some.map(({ id }) => id);
      const answer = await link.run(ELIGIBLE_SCRIPT, positionKeys(keys, channel), ids);
      const answers = this.#counted(answer);
      for (const [i, one] of some.entries()) if (answers[i] === 1) fit.add(one);
    }));
    return among.filter((one) => fit.has(one));
  }

  /** Puts letters back; resolves to those that were still there. */
  async #putBack(listed: readonly Listed[]): Promise<DeadLetter[]> {
    const letters = await this.#fetch(listed);
    const op = `${this.#parts.node}.${++this.#operations}`;
    const moved = new Set<string>();
    await Promise.all([...byChannel([...letters.keys()])].map(async ([channel, some]) => {
      const { link, keys } = this.#parts;
      const args = [op, ...some.map(({ id }) => id)];
      const ids = this.#counted(await link.run(REDRIVE_SCRIPT, positionKeys(keys, channel), args));
      for (const id of ids) moved.add(nameOfListed({ channel, id: String(id) }));
    }));
    const back = listed.filter((one) => moved.has(nameOfListed(one)))
      .map((one) => letters.get(one)!);
    await this.#tell(op, back);
    return back;
  }

  /** Tells the sessions' holders, each as soon as it renews. */
  async #tell(op: string, letters: readonly DeadLetter[]): Promise<void> {
    const touched = new Map<string, Set<string>>();
    for (const { session, channel } of letters) {
      touched.set(session, (touched.get(session) ?? new Set()).add(escapeName(channel)));
    }
    const { link, keys } = this.#parts;
    await Promise.all([...touched].map(async ([session, names]) => {
      this.#counted(await link.run(NEWS_SCRIPT, [keys.session(session)], [op, ...names]));
    }));
  }

  async #run(
    script: Script,
    channel: string,
    args: readonly (string | number)[],
  ): Promise<unknown[]> {
    const { link, keys } = this.#parts;
    return this.#counted(await link.run(script, letterKeys(keys, channel), args));
  }

  #counted(answer: unknown): unknown[] {
    const [bad, ...rest] = answer as unknown[];
    this.#parts.tally.quarantined += Number(bad);
    return rest;
  }
}

function nameOfListed({ channel, id }: Pick<Listed, "channel" | "id">): string {
  return JSON.stringify([channel, id]);
}

function byChannel(listed: readonly Listed[]): Map<string, Listed[]> {
  const groups = new Map<string, Listed[]>();
  for (const one of listed) {
    const group = groups.get(one.channel);
    if (group === undefined) groups.set(one.channel, [one]);
    else group.push(one);
  }
  return groups;
}
