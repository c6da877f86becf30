import { PushError } from "@push/client/protocol";
import type { Cancel } from "../clock.ts";
import type { HubContext } from "../context.ts";
import type { Batch, Entry } from "./entry.ts";
import { Follower, type FollowerHost } from "./follower.ts";
import { PAGE } from "./log_pages.ts";
import { type Gap, LogReader, type LogReaderHost } from "./log_reader.ts";
import { LogView } from "./log_view.ts";
import { type Outcome, Publisher, type PublisherParts } from "./publisher.ts";
import type { LogNotice } from "../stores/cluster.ts";
import type { AppendResult, Draft, Era, LogState, Page, StoredMessage } from "../stores/store.ts";
import type { Pumped } from "../turn.ts";

export type { Gap } from "./log_reader.ts";
export type { Outcome, Published } from "./publisher.ts";

const RETRY_READ = 500;
const NOBODY: ReadonlySet<Pumped> = new Set();

/**
 * One channel on this node: the way into its log, the newest part of the log in memory, and the
 * subscriptions that messages flow to. Reads are shared: however many subscribers stand at a place,
 * the log is asked once.
 *
 * Somebody may use channels without end, each once: what one has is made when it is needed.
 */
export class Channel implements Pumped, PublisherParts, LogReaderHost, FollowerHost {
  /** Its name. */
  readonly name: string;
  /** What every part of the hub shares. */
  readonly context: HubContext;
  /** What is known of its log. */
  readonly log: LogView = new LogView();
  /** Subscriptions that messages flow to; absent until there was one. */
  #live: Set<Pumped> | undefined;
  #publisher: Publisher | undefined;
  readonly #follower: Follower | undefined;
  /** Absent while nobody reads. */
  #reader: LogReader | undefined;
  #opening: Promise<void> | undefined;
  /** Subscribes under way. */
  #opens = 0;
  #reading: Promise<void> | undefined;
  #nextReading: Promise<void> | undefined;
  #catching: Promise<void> | undefined;
  #unsure = false;
  #retry: Cancel | undefined;
  #usedAt: number;
  #stopped = false;
  /** What was heard before the first answer came. */
  #early: LogNotice | undefined;

  /** @param context what every part of the hub shares */
  constructor(name: string, context: HubContext) {
    this.name = name;
    this.context = context;
    this.#usedAt = context.clock.now();
    const { cluster } = context.store;
    this.#follower = cluster && new Follower(cluster, this);
  }

  /** Epoch of the log. Known once open. */
  get epoch(): string {
    return this.log.epoch;
  }
  /** Highest number in the log, as far as it is known. Known once open. */
  get head(): number {
    return Math.max(this.log.head, this.#follower?.expected ?? 0);
  }
  /** Lowest number kept. */
  get oldest(): number {
    this.#reader?.expire();
    return this.log.oldest;
  }
  /** Subscriptions that messages flow to now. */
  get liveCount(): number {
    return this.#live?.size ?? 0;
  }
  /** Whether it hears of what other nodes append. */
  get isFollowed(): boolean {
    return this.#follower?.isFollowing ?? false;
  }
  /** Whether nothing would be lost if this object were dropped. */
  isIdle(now: number, grace: number): boolean {
    return !this.#isWatched && this.#publisher?.isIdle !== false && this.#opening === undefined &&
      this.#opens === 0 && now - this.#usedAt > grace;
  }

  /**
   * Makes sure that the channel exists, and learns the state of its log.
   *
   * @returns nothing where that is known at once
   */
  open(): Promise<void> | undefined {
    this.#watch();
    return this.#follower === undefined ? this.#openAlone() : this.#openFollowed(this.#follower);
  }

  async #openFollowed(follower: Follower): Promise<void> {
    this.#opens++;
    try {
      await follower.follow();
      await this.refresh();
    } finally {
      this.#opens--;
      this.#watch();
    }
  }

  /**
   * Learns anew where the log begins and ends: what is kept shrinks without our hearing of it. Who
   * asks while the store is being asked shares the next answer.
   */
  refresh(): Promise<void> {
    if (this.#reading === undefined) {
      return this.#reading = this.#look().finally(() => this.#reading = undefined);
    }
    // The answer that is under way may be older than the question.
    return this.#nextReading ??= this.#reading.catch(() => {}).then(() => {
      this.#nextReading = undefined;
      return this.refresh();
    });
  }

  /** Stops every timer, and follows no more. */
  stop(): void {
    this.#stopped = true;
    this.#retry?.();
    this.#retry = undefined;
    this.#follower?.unfollow();
  }

  /** Lets messages flow to a subscription. */
  join(subscription: Pumped): void {
    const live = this.#live ??= new Set();
    live.add(subscription);
    this.context.roster?.setLive(this.name, live.size);
    if (this.#follower?.isFollowing === false) this.#followAgain();
  }

  /** Lets messages flow to it no more. */
  leave(subscription: Pumped): void {
    this.#live?.delete(subscription);
    this.context.roster?.setLive(this.name, this.liveCount);
    this.#watch();
    if (!this.#isWatched) this.#reader = undefined;
  }

  /** Appends messages to the log, in this order; resolves to one outcome for each. Never rejects. */
  publish(drafts: readonly Draft[]): Promise<readonly Outcome[]> {
    this.#usedAt = this.context.clock.now();
    return (this.#publisher ??= new Publisher(this)).publish(drafts);
  }

  /** Pumps every live subscription. */
  pump(): void {
    const { turn } = this.context;
    for (const subscription of this.#live ?? NOBODY) {
      if (turn.isFull) turn.pumpSoon(subscription);
      else subscription.pump();
    }
  }

  /**
   * Up to which number a position of another epoch goes on in the present one; `undefined` if its
   * numbers mean nothing here.
   */
  baseOf(epoch: string): number | undefined {
    return this.log.baseOf(epoch);
  }

  /** Whether who stands in another epoch, even below its base, may have missed messages of it. */
  mayMiss(epoch: string): boolean {
    return this.log.mayMiss(epoch);
  }

  /** Epochs that go on in the present one, newest first, each with the base that counts for it. */
  get earlier(): Era[] {
    return this.log.earlier;
  }

  /**
   * Messages after a place, as one batch shared by all that stand there; a gap if the next ones are
   * gone; `undefined` if there is none, or the log must be read first (the channel then pumps its
   * subscriptions again).
   */
  next(after: number, maxCount: number, maxBytes: number): Batch | Gap | undefined {
    return this.#reads.next(after, maxCount, maxBytes);
  }

  /**
   * One message: the entry; `null` if it is gone; `undefined` if the log must be read first (the
   * channel then pumps its subscriptions again).
   */
  entryAt(seq: number): Entry | null | undefined {
    return this.#reads.entryAt(seq);
  }

  /** One message, read from the log if need be; `undefined` if it is gone. */
  async find(seq: number): Promise<StoredMessage | undefined> {
    const entry = this.entryAt(seq);
    if (entry !== undefined) return entry?.message;
    const { store, clock } = this.context;
    const asked = this.log.epoch;
    const page = await store.read(this.name, seq - 1, 1, clock.now());
    this.#learn(page, asked);
    // In another epoch the number may mean another message.
    if (page.epoch !== asked) throw new PushError("unavailable");
    return page.messages[0]?.seq === seq ? page.messages[0] : undefined;
  }

  /**
   * Lets go of what was kept for readers that have moved on, and of the notices of other nodes where
   * nobody has listened for a while.
   */
  sweep(now: number, grace: number): void {
    if (this.#isWatched) {
      this.#reader?.sweep();
      if (this.#follower?.isFollowing === false) this.#followAgain();
    } else {
      this.#reader = undefined;
      if (this.#opens === 0) this.#follower?.weary(now - grace);
    }
  }

  /** What the store says of the log, now and then; `asked` is the epoch known when it was asked. */
  compare(state: LogState | undefined, asked: string): void {
    // A channel that the store knows no more has begun anew.
    if (state === undefined) this.refresh().catch(() => this.#fail());
    else this.#learn(state, asked);
  }

  /** Position before the n-th last kept message. */
  floorOfLast(n: number): number {
    return Math.max(this.oldest - 1, this.head - n);
  }

  /** See {@linkcode PublisherParts.append}. */
  async append(drafts: readonly Draft[]): Promise<AppendResult> {
    const { store, clock, metrics, events } = this.context;
    if (this.#follower === undefined && this.#unsure) await this.#readOn();
    const asked = this.log.epoch;
    const result = await store.append(this.name, drafts, clock.now());
    const { messages } = result;
    if (this.log.isCurrent(result, asked)) this.#take(result, messages);
    metrics.published += messages.length;
    metrics.duplicates += drafts.length - messages.length;
    for (const message of messages) events.published?.(this.name, result.epoch, message);
    return result;
  }

  /** See {@linkcode PublisherParts.failed}. */
  failed(count: number): void {
    this.context.metrics.publishErrors += count;
    this.#fail();
  }

  /** See {@linkcode LogReaderHost.read}. */
  async read(after: number, limit: number): Promise<Page | undefined> {
    const { store, clock, metrics } = this.context;
    metrics.logReads++;
    const asked = this.log.epoch;
    const page = await store.read(this.name, after, limit, clock.now());
    return this.#learn(page, asked) ? page : undefined;
  }

  /** See {@linkcode LogReaderHost.loaded}. */
  loaded(): void {
    this.context.turn.pump(this);
  }

  /** See {@linkcode LogReaderHost.unread}. */
  unread(): void {
    this.#retryLater();
  }

  /** See {@linkcode FollowerHost.heard}: it may be late, repeated, or of an epoch that has ended. */
  heard(notice: LogNotice): void {
    if (this.log.epoch === "") {
      if (this.#early === undefined || notice.head > this.#early.head) this.#early = notice;
    } else if (notice.epoch === this.log.epoch) {
      if (notice.head > this.log.head) this.#take(notice, notice.messages);
    } else if (this.baseOf(notice.epoch) === undefined) {
      // Only an answer says which epoch is the newest.
      this.refresh().catch(() => this.#fail());
    }
  }

  /** See {@linkcode FollowerHost.fits}. */
  fits(notice: LogNotice): void {
    this.#take(notice, notice.messages);
  }

  /** See {@linkcode FollowerHost.behind}: a failure is tried again. */
  behind(): void {
    this.#readOn().catch(() => this.#retryLater());
  }

  #openAlone(): Promise<void> | undefined {
    if (this.log.epoch === "") {
      return this.#opening ??= this.#begin().finally(() => this.#opening = undefined);
    }
    return this.#unsure && !this.#isCommitting ? this.#readOn() : undefined;
  }

  async #begin(): Promise<void> {
    const { store, clock } = this.context;
    await store.create(this.name, {}, clock.now());
    await this.refresh();
  }

  async #look(): Promise<void> {
    const { store, clock } = this.context;
    const asked = this.log.epoch;
    this.#learn(await store.read(this.name, Number.MAX_SAFE_INTEGER, 1, clock.now()), asked);
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) this.heard(early);
  }

  /** Learns of messages that were stored in one step, up to the head of that moment. */
  #take(state: LogState, messages: readonly StoredMessage[]): void {
    const isRow = messages.length > 0 && messages[messages.length - 1].seq === state.head;
    if (state.epoch !== this.log.epoch || !this.#isWatched) this.#advance(state);
    else if (isRow && messages[0].seq <= this.log.head + 1) {
      this.#adopt(state, messages[0].seq - 1, state.head, messages);
    } else if (this.#follower === undefined) this.#advance(state);
    else if (isRow) this.#follower.keep({ ...state, messages });
    // Too large to be told; or the answer came after others had appended, too.
    else this.#follower.expect(state.head);
  }

  #readOn(): Promise<void> {
    return this.#catching ??= this.#doReadOn().finally(() => this.#catching = undefined);
  }

  async #doReadOn(): Promise<void> {
    const { store, clock, metrics } = this.context;
    const asked = this.log.epoch;
    const from = this.log.head;
    this.#unsure = false;
    metrics.logReads++;
    try {
      const page = await store.read(this.name, from, PAGE, clock.now());
      if (!this.log.isCurrent(page, asked)) return;
      const { messages, head } = page;
      const to = messages.length === PAGE ? messages[PAGE - 1].seq : head;
      if (page.epoch !== asked || !this.#isWatched) this.#advance(page);
      else this.#adopt(page, from, to, messages);
    } catch (error) {
      this.#unsure = true;
      throw error;
    }
  }

  /** Takes in the messages between two numbers, every one that is kept there. */
  #adopt(state: LogState, from: number, to: number, messages: readonly StoredMessage[]): void {
    this.#reads.extend(from, to, messages);
    this.#advance(state);
  }

  /**
   * Takes over what the store says of the log.
   *
   * @returns whether that is up to date
   */
  #learn(state: LogState, asked: string): boolean {
    if (!this.log.isCurrent(state, asked)) return false;
    // What other nodes have stored is most likely on its way already.
    if (this.#follower?.isFollowing && this.#isWatched && state.epoch === this.log.epoch) {
      this.log.note(state, this.context.clock.now());
      this.#follower.expect(state.head);
    } else this.#advance(state);
    return true;
  }

  /** Goes on to the head of the log, and lets what is new flow. */
  #advance(state: LogState): void {
    const now = this.context.clock.now();
    const another = state.epoch !== this.log.epoch;
    const moved = another || state.head > this.log.head;
    if (another) {
      this.log.begin(state, now);
      this.#follower?.reset();
    } else {
      this.log.note(state, now);
      this.log.reaches(state.head);
    }
    if (!moved) return;
    this.#reader?.advanced(another);
    if (this.#isWatched) this.context.turn.pump(this);
    this.#follower?.advanced();
  }

  #watch(): void {
    this.#usedAt = this.context.clock.now();
    if (this.#follower !== undefined) this.#follower.wantedAt = this.#usedAt;
  }

  get #isWatched(): boolean {
    return this.#live !== undefined && this.#live.size > 0;
  }

  get #isCommitting(): boolean {
    return this.#publisher?.isCommitting ?? false;
  }

  get #reads(): LogReader {
    return this.#reader ??= new LogReader(this);
  }

  #fail(): void {
    this.#unsure = true;
    this.#retryLater();
  }

  /** The store failed: asks it again for what it may have, and for what somebody waits for. */
  #retryLater(): void {
    if (this.#stopped) return;
    const { clock, turn } = this.context;
    this.#retry ??= clock.schedule(RETRY_READ, () => {
      this.#retry = undefined;
      if (!this.#isWatched) return;
      turn.pump(this);
      // Alone, a commit that is under way has read on, or will.
      const willRead = this.#follower === undefined && this.#isCommitting;
      if (this.#unsure && !willRead) this.behind();
    });
  }

  /** Somebody listens, and nothing is heard: that is made good. */
  #followAgain(): void {
    this.open()?.catch(() => this.#fail());
  }
}
