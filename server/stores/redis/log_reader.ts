import { type RandomBytes, randomEpoch } from "../../clock.ts";
import type { Retention, StoredMessage } from "../store.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { decodeMessage, seqOf, type Told, toldOf } from "./log_entry.ts";
import { logKeys } from "./log_lua.ts";
import { CREATE, MEND, READ } from "./log_scripts.ts";

/** What a {@linkcode LogReader} is made with. */
export interface LogReaderOptions {
  /** The connection. */
  readonly link: Pick<RedisLink, "run">;
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

/** A part of a log, and the state in which the log was then. */
export interface ReadPage {
  /** The state. */
  readonly told: Told;
  /** The messages, ascending. */
  readonly messages: readonly StoredMessage[];
}

/** What one script has read. */
interface Block {
  readonly told: Told;
  readonly messages: readonly StoredMessage[];
  /** Number up to which the log was read. */
  readonly to: number;
  /** Number of the last entry that is missing or cannot be read; 0 if all can. */
  readonly broken: number;
  /** How many cannot. */
  readonly count: number;
  /** Ids of entries that another program has put between. */
  readonly foreign: readonly string[];
}

type Entry = readonly [id: string, fields: readonly string[]];

/** Bytes of payloads after which a script stops, and messages. */
const BLOCK_BYTES = 1_048_576;
const BLOCK_SIZE = 1000;

/** Reads logs, in blocks that do not hold Redis up. */
export class LogReader {
  readonly #options: LogReaderOptions;

  /** @param options what to read */
  constructor(options: LogReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads at most `limit` messages after a number, and fewer only where the log ends. A channel that is
   * not there is created, for which Redis must have memory left. What cannot be
   * read is dropped from the log, with all before it: the state says so by its oldest number.
   */
  async read(channel: string, after: number, limit: number): Promise<ReadPage> {
    let messages: StoredMessage[] = [];
    let from = after;
    let epoch: string | undefined;
    let isNew = false;
    while (true) {
      const block = await this.#block(channel, from, limit - messages.length);
      const { told: { state } } = block;
      isNew ||= block.told.isNew;
      if (block.broken > 0 || block.foreign.length > 0) await this.#mend(channel, block);
      const isAnother = epoch !== undefined && epoch !== state.epoch;
      epoch = state.epoch;
      if (isAnother || block.broken > 0) {
        messages = [];
        from = after;
        continue;
      }
      // What was read before has been dropped since, and something between it and this.
      if (state.oldest > from + 1) messages = [];
      messages.push(...block.messages);
      from = block.to;
      if (messages.length >= limit || from >= state.head) {
        return { told: { ...block.told, isNew }, messages };
      }
    }
  }

  async #block(channel: string, after: number, limit: number): Promise<Block> {
    const { link, keys, random, retention, backstop, saw } = this.#options;
    const { messageTtl, metaTtl } = retention;
    const count = Math.min(limit, BLOCK_SIZE);
    const args = [randomEpoch(random), messageTtl, metaTtl, backstop, after, count, BLOCK_BYTES];
    let isNew = false;
    let answer = await link.run(READ, logKeys(keys, channel), args);
    while (answer === null) {
      const created = await link.run(CREATE, logKeys(keys, channel), [args[0], "{}", backstop]);
      const told = toldOf(created);
      saw(told);
      isNew ||= told.isNew;
      answer = await link.run(READ, logKeys(keys, channel), args);
    }
    const [text, isStopped, ...pages] = answer as [string, number, ...Entry[][]];
    const found = toldOf(text);
    saw(found);
    const told = { ...found, isNew: found.isNew || isNew };
    const read = decode(pages.flat(), Math.max(after, told.state.oldest - 1));
    const { head } = told.state;
    if (isStopped === 0 && read.to < head) {
      return { told, ...read, to: head, broken: head, count: read.count + head - read.to };
    }
    const limitAt = told.state.time - messageTtl;
    return { told, ...read, messages: read.messages.filter(({ at }) => at > limitAt) };
  }

  async #mend(channel: string, { broken, count, foreign }: Block): Promise<void> {
    const { link, keys, random, saw } = this.#options;
    const args = [randomEpoch(random), broken, count, ...foreign];
    const answer = await link.run(MEND, logKeys(keys, channel), args);
    if (answer !== null) saw(toldOf(answer));
  }
}

/** Reads entries that should begin behind a number and have none missing. */
function decode(entries: readonly Entry[], after: number): Omit<Block, "told"> {
  const messages: StoredMessage[] = [];
  const foreign: string[] = [];
  let to = after;
  let broken = 0;
  let count = 0;
  for (const [id, fields] of entries) {
    const seq = seqOf(id);
    if (seq === undefined || seq <= to) {
      foreign.push(id);
      continue;
    }
    if (seq > to + 1) {
      count += seq - to - 1;
      broken = seq - 1;
    }
    const isOurs = fields.length === 4 && fields[0] === "m" && fields[2] === "p";
    const message = isOurs ? decodeMessage(seq, fields[1], fields[3]) : undefined;
    if (message === undefined) {
      count++;
      broken = seq;
    } else {
      messages.push(message);
    }
    to = seq;
  }
  return { messages, to, broken, count, foreign };
}
