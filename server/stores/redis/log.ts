import { type Json, PushError } from "@push/client/protocol";
import { type Clock, type RandomBytes, randomEpoch, randomId } from "../../clock.ts";
import { messageBytes } from "../memory/bytes.ts";
import type {
  Appended,
  AppendResult,
  ChannelRecord,
  Draft,
  LogState,
  Page,
  Retention,
  StoredMessage,
} from "../store.ts";
import { escapeName, type RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { APPEND } from "./log_append.ts";
import { headerOf, type Told, toldOf } from "./log_entry.ts";
import { checkFormat } from "./log_format.ts";
import { LogIndex, type LogStats } from "./log_index.ts";
import { logKeys } from "./log_lua.ts";
import { LogReader } from "./log_reader.ts";
import { Retry } from "./log_retry.ts";
import { CREATE } from "./log_scripts.ts";
import { LogStates } from "./log_states.ts";
import { NOTICE_BYTES, SEPARATOR } from "./notice.ts";

/** What a {@linkcode RedisLog} is made with. */
export interface RedisLogOptions {
  /** The connection. Its owner opens and closes it. */
  readonly link: Pick<RedisLink, "run" | "command" | "isCluster">;
  /** Names of keys. */
  readonly keys: RedisKeys;
  /** How much is kept. */
  readonly retention: Retention;
  /** Source of randomness. */
  readonly random: RandomBytes;
  /** Source of time, for asking again; what is stored bears the time of Redis. */
  readonly clock: Clock;
  /** Milliseconds for which an append of unknown outcome is asked about. @default {5000} */
  readonly retryFor?: number;
}

const RETRY_FOR = 5_000;
const DAY = 86_400_000;

/** Logs of all channels, in Redis. */
export class RedisLog {
  readonly #options: RedisLogOptions;
  readonly #index: LogIndex;
  readonly #reader: LogReader;
  readonly #states: LogStates;
  readonly #retry: Retry;
  readonly #backstop: number;
  readonly #opLife: number;
  #quarantined = 0;

  /** @param options where, and how much of it */
  constructor(options: RedisLogOptions) {
    const { link, keys, retention, random, clock, retryFor = RETRY_FOR } = options;
    const saw = (told: Told): void => this.#saw(told);
    this.#options = options;
    this.#backstop = 2 * (retention.messageTtl + retention.metaTtl) + DAY;
    const backstop = this.#backstop;
    this.#index = new LogIndex({ link, keys, retention, random, backstop, saw });
    this.#reader = new LogReader({ link, keys, retention, random, backstop, saw });
    this.#states = new LogStates({ link, keys, retention, random });
    this.#retry = new Retry(clock, retryFor);
    this.#opLife = Math.max(4 * retryFor, 30_000);
  }

  /** Entries and values in Redis that could not be read, as far as this handle has met them. */
  get quarantined(): number {
    return this.#quarantined;
  }

  /**
   * Begins to work, on an open link.
   *
   * @throws {TypeError} if the data is of another format
   */
  async open(): Promise<void> {
    const { link, keys } = this.#options;
    await checkFormat(link, keys);
    await this.#index.open();
  }

  /** Gives up what is being asked again; idempotent. */
  close(): void {
    this.#retry.close();
  }

  /** Makes sure that a channel exists; resolves to whether it is new. */
  async create(channel: string, metadata: { readonly [key: string]: Json }): Promise<boolean> {
    const { link, keys, random } = this.#options;
    const args = [randomEpoch(random), JSON.stringify(metadata), this.#backstop];
    const answer = await link.run(CREATE, logKeys(keys, channel), args);
    return (await this.#known(channel, answer)).isNew;
  }

  /** Names and states of all channels. Those that begin or end meanwhile may be left out. */
  async channels(): Promise<ChannelRecord[]> {
    const records: ChannelRecord[] = [];
    const names = [...await this.#index.names()];
    for (const [i, found] of (await this.#states.describe(names)).entries()) {
      if (found === undefined) continue;
      this.#saw(found.told);
      const { told: { state }, createdAt, metadata } = found;
      records.push({ ...state, name: names[i], createdAt, metadata: metadataOf(metadata) });
    }
    return records;
  }

  /**
   * Appends drafts, all or none. After an answer that was lost it asks again under the same operation
   * id, which appends nothing twice.
   *
   * @throws {PushError} `store_full` if a draft is larger than a log may be; `outcome_unknown` if
   * Redis did not say in time what became of it
   */
  async append(channel: string, drafts: readonly Draft[]): Promise<AppendResult> {
    const { link, keys, retention, random } = this.#options;
    const sizes = drafts.map(({ payload }) => messageBytes(payload));
    const args = this.#terms(channel, drafts, sizes);
    for (const draft of drafts) args.push(publishIdOf(draft), headerOf(draft), draft.payload);
    const all = [...logKeys(keys, channel), keys.op(channel, randomId(random))];
    this.#index.mark(channel);
    const answer = await this.#retry.run(() => link.run(APPEND, all, args));
    if (answer === "full") {
      const most = Math.min(retention.maxChannelBytes, retention.maxStoreBytes);
      throw new PushError("store_full", `A message may have ${most} bytes here, all counted.`);
    }
    const [state, places] = answer as [string, string];
    const told = await this.#known(channel, state);
    return { ...told.state, ...placed(drafts, sizes, places) };
  }

  /** Reads what comes after a number (see `Store.read`). */
  async read(channel: string, after: number, limit: number): Promise<Page> {
    const { told, messages } = await this.#reader.read(channel, after, limit);
    if (told.isNew) await this.#index.mark(channel, true);
    return { ...told.state, messages };
  }

  /** States of logs; `undefined` where there is no such channel, and none is created. */
  async states(channels: readonly string[]): Promise<(LogState | undefined)[]> {
    const answers = await this.#states.ask(channels);
    for (const told of answers) if (told !== undefined) this.#saw(told);
    return answers.map((told) => told?.state);
  }

  /**
   * Lets go of what has expired and of what nobody needs. One node at a time does; the others return
   * at once.
   */
  async sweep(): Promise<void> {
    await this.#index.sweep();
  }

  /**
   * Counts. Sums are kept by visits: with more channels in use than a few hundred they lag by as many
   * sweeps as it takes to visit these, and `bytes` may pass `maxStoreBytes` by what is published
   * meanwhile.
   */
  stats(): Promise<LogStats> {
    return this.#index.stats();
  }

  #terms(
    channel: string,
    drafts: readonly Draft[],
    sizes: readonly number[],
  ): (string | number)[] {
    const { link, keys, random, retention: kept } = this.#options;
    const isTold = sizes.reduce((sum, bytes) => sum + bytes, 0) <= NOTICE_BYTES &&
      !drafts.some(({ payload }) => payload.includes(SEPARATOR));
    return [
      randomEpoch(random),
      kept.messageTtl,
      kept.historySize,
      kept.historyBytes,
      kept.maxChannelBytes,
      Math.min(kept.maxChannelBytes, kept.maxStoreBytes),
      kept.idempotencyWindow,
      this.#opLife,
      this.#backstop,
      link.isCluster ? "SPUBLISH" : "PUBLISH",
      keys.notices(channel),
      isTold ? 1 : 0,
    ];
  }

  /** Reads a state, and sees to it that the index has the channel. */
  async #known(channel: string, answer: unknown): Promise<Told> {
    const told = this.#told(answer);
    if (told.isNew) await this.#index.mark(channel, true);
    return told;
  }

  #told(answer: unknown): Told {
    const told = toldOf(answer);
    this.#saw(told);
    return told;
  }

  #saw({ state, quarantined }: Told): void {
    this.#quarantined += quarantined;
    this.#index.passed(state.time);
  }
}

/**
 * Key of a publish id: no subject and id can be spelled as another pair, nor by half of a surrogate
 * pair, of which UTF-8 would make any other. Empty for none.
 */
function publishIdOf({ id, subject }: Draft): string {
  if (id === undefined) return "";
  const key = `${subject.length}:${subject}${id}`;
  return key.isWellFormed() ? key : `~${escapeName(key)}`;
}

/** What an append's answer says of each draft. */
function placed(
  drafts: readonly Draft[],
  sizes: readonly number[],
  answer: string,
): { appended: Appended[]; messages: StoredMessage[] } {
  const [first, time, ...repeats] = answer.split(" ");
  const before = new Map(
    repeats.map((repeat) => repeat.split(":").map(Number) as [number, number]),
  );
  const at = Number(time);
  const appended: Appended[] = [];
  const messages: StoredMessage[] = [];
  let next = Number(first);
  for (const [i, { id, origin, source, payload }] of drafts.entries()) {
    const known = before.get(i);
    if (known !== undefined) {
      appended.push({ seq: known, duplicate: true });
      continue;
    }
    const seq = next++;
    appended.push({ seq, duplicate: false });
    messages.push({
      ...(id === undefined ? {} : { id }),
      seq,
      at,
      bytes: sizes[i],
      origin,
      source,
      payload,
    });
  }
  return { appended, messages };
}

function metadataOf(text: string): { readonly [key: string]: Json } {
  try {
    const metadata = JSON.parse(text);
    if (typeof metadata === "object" && metadata !== null) return metadata;
  } catch {
    // Another program has written that.
  }
  return {};
}
