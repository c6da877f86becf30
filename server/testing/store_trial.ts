import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { type Code, PushError } from "@push/client/protocol";
import type {
  AppendResult,
  Claim,
  Claimed,
  Cursor,
  DeadLetter,
  DeadLetterQuery,
  Draft,
  LogState,
  Page,
  Renewed,
  Retention,
  Store,
  StoredMessage,
  StoreLimits,
  StoreStats,
} from "../stores/store.ts";

// Longer than any case lasts: without renewals a node's session ends after its lease and this.
const LONG = 7 * 86_400_000;

/** One sentence about stores, and what shows that it is true. */
export interface StoreCase {
  /** The sentence. */
  readonly name: string;
  /** Where the case needs another retention than the suite's. */
  readonly retention?: Partial<Retention>;
  /** Where the case needs other limits than the suite's. */
  readonly limits?: Partial<StoreLimits>;
  /** Whether it is about nodes that share sessions. */
  readonly nodes?: boolean;
  /** Rejects if the sentence is not true. */
  run(trial: StoreTrial): Promise<void>;
}

/** Options of {@linkcode StoreTrial}. */
export interface StoreTrialOptions {
  /** Unix milliseconds at which the case begins. */
  readonly start: number;
  /** Messages that the store may keep beyond what it must. */
  readonly spare: number;
  /** Makes an engine's own clock go on. */
  advance(ms: number): Promise<void> | void;
}

/** What one case works with: two handles, the time, and words for what cases often do. */
export class StoreTrial {
  /** One handle… */
  readonly a: Store;
  /** …and another on the same data. */
  readonly b: Store;
  /** Messages that the store may keep beyond what it must. */
  readonly spare: number;
  readonly #advance: (ms: number) => Promise<void> | void;
  #now: number;
  readonly #newest = new Map<string, number>();
  #instances = 0;

  /**
   * Begins a case.
   *
   * @param options when it begins, and how time passes
   */
  constructor(a: Store, b: Store, { start, spare, advance }: StoreTrialOptions) {
    this.a = a;
    this.b = b;
    this.spare = spare;
    this.#now = start;
    this.#advance = advance;
  }

  /** The time that operations are told. */
  get now(): number {
    return this.#now;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    this.#now += ms;
    await this.#advance(ms);
  }

  /** Appends drafts through the first handle, or another. */
  append(channel: string, drafts: readonly Draft[], store: Store = this.a): Promise<AppendResult> {
    return store.append(channel, drafts, this.#now);
  }

  /** Appends so many small messages, of about `bytes` each if given. */
  publish(channel: string, count: number, bytes: number = 0): Promise<AppendResult> {
    const payload = JSON.stringify("x".repeat(bytes));
    return this.append(channel, Array.from({ length: count }, () => draft({ payload })));
  }

  /** Reads through the second handle, or another. */
  read(
    channel: string,
    after: number = 0,
    limit: number = 10_000,
    store: Store = this.b,
  ): Promise<Page> {
    return store.read(channel, after, limit, this.#now);
  }

  /** Numbers that can be read. */
  async seqs(channel: string, after: number = 0, limit: number = 10_000): Promise<number[]> {
    return (await this.read(channel, after, limit)).messages.map(({ seq }) => seq);
  }

  /** Milliseconds that a node holds a session without renewing; nothing where there are no nodes. */
  get lease(): number | undefined {
    return this.a.cluster?.sharesSessions ? this.a.cluster.lease : undefined;
  }

  /**
   * Claims a session for another connection of another client object each time, and by force: most
   * cases are not about nodes.
   */
  async claim(key: string, terms: Partial<Claim> = {}, store: Store = this.a): Promise<Claimed> {
    const which = ++this.#instances;
    const who = { key, holder: `holder ${which}`, instance: `instance ${which}`, attempt: 1 };
    const claim = { ...who, ttl: LONG, force: true, ...terms };
    const claimed = await store.claim(claim, this.#now);
    if (claimed.ok) {
      this.#newest.set(key, Math.max(claimed.generation, this.#newest.get(key) ?? 0));
    }
    return claimed;
  }

  /** Claims a session, which must succeed; resolves to the generation. */
  async attach(key: string, terms: Partial<Claim> = {}, store: Store = this.a): Promise<number> {
    const claimed = await this.claim(key, terms, store);
    assert(claimed.ok, `The claim of '${key}' was refused: ${JSON.stringify(claimed)}`);
    return claimed.generation;
  }

  /** Why a claim is refused, which it must be. */
  async refusal(key: string, terms: Partial<Claim> = {}, store: Store = this.a): Promise<string> {
    const claimed = await this.claim(key, terms, store);
    assert(!claimed.ok, `The claim of '${key}' was not refused`);
    return claimed.reason;
  }

  /** Renews one session; resolves to what is told of it, if anything. */
  async renew(
    key: string,
    generation: number,
    store: Store = this.a,
  ): Promise<Renewed | undefined> {
    const [renewed, ...others] = await store.renew([{ key, generation }], this.#now);
    assertEquals(others, []);
    if (renewed !== undefined) assertEquals(renewed.key, key);
    return renewed;
  }

  /** A position at `floor` in the channel's present epoch. */
  async cursor(channel: string, floor: number, rest: Partial<Cursor> = {}): Promise<Cursor> {
    const { epoch } = await this.read(channel, 0, 1);
    return { epoch, floor, sent: floor, own: 0, settled: [], late: [], ...rest };
  }

  /** Stores a position through the first handle; resolves to whether the holder may. */
  async stand(
    key: string,
    generation: number,
    channel: string,
    floor: number,
    rest: Partial<Cursor> = {},
    deadLetters: readonly DeadLetter[] = [],
  ): Promise<boolean> {
    const cursor = await this.cursor(channel, floor, rest);
    return this.a.commit(key, generation, [{ channel, cursor, deadLetters }], this.#now);
  }

  /** The newest generation of a session that was claimed here; 0 if it was not. */
  newest(key: string): number {
    return this.#newest.get(key) ?? 0;
  }

  /** Positions as the second handle loads them for the newest holder. */
  async positions(key: string, channels: readonly string[]): Promise<(Cursor | undefined)[]> {
    const cursors = await this.b.load(key, this.newest(key), channels, this.#now);
    assert(cursors !== undefined, `The newest holder of '${key}' cannot load`);
    return cursors;
  }

  /** One of them. */
  async position(key: string, channel: string): Promise<Cursor | undefined> {
    return (await this.positions(key, [channel]))[0];
  }

  /** A dead letter of a message that is in the log. */
  async letter(session: string, channel: string, seq: number): Promise<DeadLetter> {
    const { epoch, messages } = await this.read(channel, seq - 1, 1);
    assertEquals(messages[0]?.seq, seq);
    const message = messages[0];
    return { session, channel, epoch, message, attempts: 4, reason: "timeout", at: this.#now };
  }

  /** Dead letters as the second handle lists them. */
  letters(query: Partial<DeadLetterQuery> = {}): Promise<DeadLetter[]> {
    return this.b.deadLetters({ limit: 1000, ...query }, this.#now);
  }

  /** Puts dead letters back through the first handle. */
  redrive(query: Partial<DeadLetterQuery> = {}): Promise<DeadLetter[]> {
    return this.a.redrive({ limit: 1000, ...query }, this.#now);
  }

  /** Lets the store let go, and counts what it has. */
  async swept(): Promise<StoreStats> {
    await this.a.sweep(this.#now);
    return this.a.stats(this.#now);
  }

  /** Asserts that the log keeps everything from `seq`, and no more before it than it may. */
  async keepsFrom(channel: string, seq: number): Promise<void> {
    const { messages, oldest, head } = await this.read(channel);
    assert(oldest <= seq, `Message ${seq} is to be kept, and ${oldest} is the oldest kept`);
    assertGreaterOrEqual(oldest, seq - this.spare);
    assertEquals(messages.map((message) => message.seq), numbers(oldest, head));
  }
}

/** A draft of a message. */
export function draft(parts: Partial<Draft> = {}): Draft {
  return { subject: "anonymous", origin: null, source: null, payload: "{}", ...parts };
}

/** A message as plain data, so that stores need not agree on absent members. */
export function plain(message: StoredMessage): Record<string, unknown> {
  const { id, seq, at, bytes, origin, source, payload } = message;
  return { id, seq, at, bytes, origin, source, payload };
}

/** What every store says of a log: epoch, head and oldest. */
export function placeOf({ epoch, head, oldest }: LogState): [string, number, number] {
  return [epoch, head, oldest];
}

/** The numbers from `from` to `to`. */
export function numbers(from: number, to: number): number[] {
  return Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => from + i);
}

/** Asserts that something rejects with a code of the table. */
export async function assertCode(code: Code, work: () => Promise<unknown>): Promise<void> {
  assertEquals((await assertRejects(work, PushError)).code, code);
}

/** Names that are only names, whatever they look like. */
export const HOSTILE: readonly string[] = [
  "__proto__",
  "constructor",
  "toString",
  "{tag}",
  "{a}{b}",
  "*",
  "a:b",
  "a:",
  ":b",
  "a\nb",
  "a\u0000b",
  "a b",
  "../a",
  "ä€😀",
  "x".repeat(255),
];
