import { PushError } from "@push/client/protocol";
import type { Commit, Cursor, DeadLetter, StoredMessage } from "../store.ts";
import { escapeName } from "./keys.ts";
import { letterId } from "./letter_lua.ts";
import { LetterIndex } from "./letter_index.ts";
import { writeLetter } from "./letter_text.ts";
import { PositionSweep } from "./position_sweep.ts";
import { positionKeys } from "./position_lua.ts";
import {
  COMMIT_SCRIPT,
  DROP_SCRIPT,
  GROW_SCRIPT,
  LOAD_SCRIPT,
  MARK_SCRIPT,
} from "./position_scripts.ts";
import {
  lostPosition,
  readPosition,
  writeEpoch,
  writeExceptions,
  writeMessage,
} from "./position_text.ts";
import type { Script } from "./script.ts";
import { lookAt } from "./session_look.ts";
import type { SessionParts } from "./session_parts.ts";
import { HEARD_SCRIPT, NAME_SCRIPT, UNNAME_SCRIPT } from "./session_scripts.ts";

/** What a commit of one position may go by. */
type Mode = "quick" | "named" | "fresh";

/** A commit on its way, with its number among the steps of this node. */
interface Numbered extends Commit {
  readonly count: number;
}

/** How often a subscription begins or ends anew that others change while it does. */
const TRIES = 3;

/**
 * Where sessions stand in channels.
 *
 * A position is in the slot of its channel, and its session, in another slot, names the channel. It is
 * written before it is named, and unnamed before it is removed; between the two steps it is marked.
 * So a crash leaves a position that nobody names, which ends, and never a name without a position.
 *
 * What one node does to a session's names and positions at once, or what Redis carries out after its
 * caller has gone on, is put in order by numbers of that node. A name goes by the number of the
 * position that was written for it, and so does nothing after a later unnaming; an unnaming does nothing
 * once the node has looked at the names again, to go on by them; a removal goes by the number of the
 * unnaming before it, and leaves a position that was written later. Only what marks a position right
 * after its name was written lets commits go without asking, or, for what an earlier generation has left,
 * that its name was seen.
 */
export class RedisPositions {
  readonly #parts: SessionParts;
  readonly #letters: LetterIndex;
  readonly #sweep: PositionSweep;
  readonly #tag: string;
  /** Redriven messages that Redis has beside a position, and need not be sent again. */
  readonly #there = new WeakSet<StoredMessage>();
  #numbers = 0;

  /** @param parts what it shares with sessions and dead letters */
  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#letters = new LetterIndex(parts);
    this.#sweep = new PositionSweep(parts);
    this.#tag = escapeName(parts.node).replace(/\s/g, "").slice(-8) || "-";
  }

  /** See `Store.load`. A position that is gone or that nobody can read comes back as a lost one. */
  async load(
    key: string,
    generation: number,
    channels: readonly string[],
  ): Promise<(Cursor | undefined)[] | undefined> {
    const step = this.#step(++this.#numbers);
    const look = await lookAt(this.#parts, key, channels, [generation, step]);
    if (look.generation === 0) return channels.map(() => undefined);
    if (look.generation !== generation) return undefined;
    const loaded = await Promise.all(
      channels.map((channel, i) =>
        look.news[i] === undefined ? undefined : this.#load(key, generation, channel)
      ),
    );
    if (loaded.includes("fenced")) return undefined;
    const heard = channels.flatMap((channel, i) => look.news[i] ? [channel, look.news[i]] : []);
    if (heard.length > 0) {
      const args = heard.map((text, i) => i % 2 === 0 ? escapeName(text) : text);
      await this.#session(HEARD_SCRIPT, key, args);
    }
    return loaded as (Cursor | undefined)[];
  }

  /** See `Store.commit`. */
  async commit(
    key: string,
    generation: number,
    commits: readonly Commit[],
    now: number,
  ): Promise<boolean> {
    const { leases } = this.#parts;
    const deadly = commits.filter(({ deadLetters = [] }) => deadLetters.length > 0);
    await this.#letters.announce(deadly.map(({ channel }) => channel));
    let waiting: Numbered[] = commits.map((commit) => ({ ...commit, count: ++this.#numbers }));
    if (leases.has(key, generation, now)) {
      const answers = await this.#storeAll(key, generation, "quick", waiting);
      if (answers.includes("fenced")) {
        leases.drop(key, generation);
        return false;
      }
      waiting = waiting.filter((_, i) => answers[i] === "ask");
      if (waiting.length === 0) return true;
    }
    for (let tries = 0; tries < TRIES; tries++) {
      const rest = await this.#commitAsked(key, generation, waiting);
      if (rest === undefined) {
        leases.drop(key, generation);
        return false;
      }
      if (rest.length === 0) return true;
      waiting = rest;
    }
    throw new PushError("unavailable", "What this session begins is ended all the time.");
  }

  /** See `Store.forget`. */
  async forget(key: string, generation: number, channel: string): Promise<boolean> {
    const name = escapeName(key);
    for (let tries = 0; tries < TRIES; tries++) {
      const mark = [name, generation, "0", this.#tag, ++this.#numbers];
      const [marked] = await this.#run(MARK_SCRIPT, channel, mark);
      if (marked === "fenced") return false;
      if (marked === "late") continue;
      const count = ++this.#numbers;
      const change = [generation, this.#step(count), escapeName(channel)];
      const [unnamed] = await this.#session(UNNAME_SCRIPT, key, change);
      if (unnamed === "fenced") return false;
      // Its name is there still, and so its position must be.
      if (unnamed === "late") continue;
      await this.#run(DROP_SCRIPT, channel, [name, generation, this.#tag, count]);
      return true;
    }
    throw new PushError("unavailable", "What this session has is changed all the time.");
  }

  /** Removes the positions of a session that has ended, as far as this generation may. */
  async drop(key: string, generation: number, channels: readonly string[]): Promise<void> {
    const name = escapeName(key);
    await Promise.all(
      channels.map((channel) => this.#run(DROP_SCRIPT, channel, [name, generation])),
    );
  }

  /** Looks after some positions and dead letters; see {@linkcode PositionSweep.sweep}. */
  sweep(): Promise<void> {
    return this.#sweep.sweep();
  }

  async #load(key: string, generation: number, channel: string): Promise<Cursor | "fenced"> {
    const name = escapeName(key);
    const count = ++this.#numbers;
    const [status, text, ...held] = await this.#run(LOAD_SCRIPT, channel, [name, generation]);
    if (status === "fenced") return "fenced";
    // The session names it, so it was there.
    if (status !== "ok") return lostPosition();
    const messages = new Map<number, string>();
    for (let i = 0; i < held.length; i += 2) messages.set(Number(held[i]), String(held[i + 1]));
    const cursor = readPosition(String(text), messages);
    if (cursor === undefined) {
      this.#parts.tally.quarantined++;
      await this.#run(DROP_SCRIPT, channel, [name, generation, this.#tag, count]);
      return lostPosition();
    }
    for (const { redriven } of cursor.late) if (redriven !== undefined) this.#there.add(redriven);
    return cursor;
  }

  /**
   * Stores positions after asking their session what it names.
   *
   * @returns those that are to be stored again, or `undefined` if the generation is not the newest
   */
  async #commitAsked(
    key: string,
    generation: number,
    commits: readonly Numbered[],
  ): Promise<Numbered[] | undefined> {
    const asked = commits.map(({ channel }) => channel);
    const step = this.#step(++this.#numbers);
    const look = await lookAt(this.#parts, key, asked, [generation, step]);
    if (look.generation !== generation) return undefined;
    const known = commits.filter((_, i) => look.news[i] !== undefined);
    const answers = await this.#storeAll(key, generation, "named", known);
    // One whose position is gone begins as if it had no name.
    const stored = new Set(known.filter((_, i) => answers[i] !== "ask"));
    const fresh = commits.filter((commit) => !stored.has(commit));
    answers.push(...await this.#storeAll(key, generation, "fresh", fresh));
    if (answers.includes("fenced")) return undefined;
    if (fresh.length === 0) return [];
    const channels = fresh.map(({ channel }) => channel);
    const args = [generation, this.#step(fresh[0].count), ...channels.map(escapeName)];
    const [named] = await this.#session(NAME_SCRIPT, key, args);
    if (named === "late") return this.#again(fresh);
    if (named !== "ok") {
      await this.drop(key, generation, channels);
      return undefined;
    }
    const marked = await Promise.all(
      fresh.map(({ channel, count }) =>
        this.#run(MARK_SCRIPT, channel, [escapeName(key), generation, "1", this.#tag, count])
      ),
    );
    return this.#again(fresh.filter((_, i) => marked[i][0] === "none"));
  }

  /** Names a step of this node among those of a session. */
  #step(count: number): string {
    return `${this.#tag} ${count}`;
  }

  /** Commits to store anew. */
  #again(commits: readonly Numbered[]): Numbered[] {
    return commits.map((commit) => ({ ...commit, count: ++this.#numbers }));
  }

  #storeAll(
    key: string,
    generation: number,
    mode: Mode,
    commits: readonly Numbered[],
  ): Promise<string[]> {
    return Promise.all(commits.map((commit) => this.#store(key, generation, mode, commit)));
  }

  async #store(
    key: string,
    generation: number,
    mode: Mode,
    { channel, cursor, deadLetters = [], count }: Numbered,
    whole = false,
  ): Promise<string> {
    const { tally, limits, lease } = this.#parts;
    const { settled, late } = writeExceptions(cursor);
    const redriven = cursor.late.map((record) => record.redriven).filter((it) => it !== undefined);
    const texts = redriven.map((message) =>
      this.#there.has(message) && !whole ? "" : writeMessage(message)
    );
    // The last ones are those that are kept; how many they are bounds what the script does.
    const last = deadLetters.slice(Math.max(deadLetters.length - limits.maxDeadLetters, 0));
    const script = mode === "fresh" || last.length > 0 ? GROW_SCRIPT : COMMIT_SCRIPT;
    const [status, evicted, ...heard] = await this.#run(script, channel, [
      escapeName(key),
      generation,
      mode,
      this.#tag,
      count,
      cursor.floor,
      cursor.sent,
      cursor.own,
      settled,
      late,
      writeEpoch(cursor.epoch),
      lease,
      limits.maxDeadLetters,
      redriven.length,
      ...redriven.flatMap(({ seq }, i) => [seq, texts[i]]),
      ...last.flatMap((letter) => [idOf(letter), writeLetter(letter)]),
    ]);
    if (status === "whole" && !whole) {
      const commit = { channel, cursor, deadLetters, count };
      return await this.#store(key, generation, mode, commit, true);
    }
    if (status === "ok") {
      tally.evicted += Number(evicted) + deadLetters.length - last.length;
      for (const message of redriven) this.#there.add(message);
      if (heard.length > 0) {
        const news = heard.flatMap((op) => [escapeName(channel), String(op)]);
        await this.#session(HEARD_SCRIPT, key, news);
      }
    }
    return String(status);
  }

  async #run(
    script: Script,
    channel: string,
    args: readonly (string | number)[],
  ): Promise<unknown[]> {
    const { link, keys } = this.#parts;
    return this.#counted(await link.run(script, positionKeys(keys, channel), args));
  }

  async #session(
    script: Script,
    key: string,
    args: readonly (string | number)[],
  ): Promise<unknown[]> {
    const { link, keys } = this.#parts;
    return this.#counted(await link.run(script, [keys.session(key)], args));
  }

  #counted(answer: unknown): unknown[] {
    const [bad, ...rest] = answer as unknown[];
    this.#parts.tally.quarantined += Number(bad);
    return rest;
  }
}

function idOf({ session, epoch, message }: DeadLetter): string {
  return letterId(session, epoch, message.seq);
}
