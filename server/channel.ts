import { type GapFrame, PushError } from "@push/client/protocol";
import { Batch, Entry } from "./entry.ts";
import type { Cancel } from "./clock.ts";
import type { HubContext } from "./context.ts";
import type { Appended, Draft, LogState, Page, StoredMessage } from "./stores/store.ts";
import type { Pumped } from "./turn.ts";

/** Result of a publish. */
export interface Published {
  readonly epoch: string;
  readonly seq: number;
  readonly duplicate: boolean;
}

/** Messages that a position has lost: delivery goes on after `seq`. */
export interface Gap {
  readonly epoch: string;
  readonly seq: number;
  readonly reason: GapFrame["reason"];
}

interface Waiting {
  readonly draft: Draft;
  readonly resolve: (published: Published) => void;
  readonly reject: (error: unknown) => void;
}

/** Messages in a row that were read from the log. */
interface Stretch {
  /** Holds every kept message above this number… */
  readonly from: number;
  /** …up to this one. */
  readonly to: number;
  readonly entries: readonly Entry[];
}

const MAX_COMMIT_COUNT = 1000;
const MAX_COMMIT_CHARACTERS = 256 * 1024;
const TAIL_COUNT = 2048;
const TAIL_BYTES = 2 * 1024 * 1024;
const PAGE = 256;
const MAX_PAGES = 32;
const PAGES_BYTES = 8 * 1024 * 1024;
const MAX_LOADS = 8;
const MAX_BATCH_BYTES = 256 * 1024;
const RETRY_READ = 500;

/**
 * One channel on this node: the way into its log, the newest part of the log in memory, and the
 * subscriptions that messages flow to.
 *
 * Publishes are committed in the order they came, one commit at a time; while one is on its way the
 * next gather. Reads are shared: however many subscribers stand at a place, the log is asked once.
 */
export class Channel implements Pumped {
  /** Its name. */
  readonly name: string;
  readonly #context: HubContext;
  readonly #live = new Set<Pumped>();
  #epoch = "";
  #head = 0;
  #oldest = 1;
  #opening: Promise<void> | undefined;
  #open = false;

  #waiting: Waiting[] = [];
  #committing = false;
  #unsure = false;

  #tail: Entry[] = [];
  #tailFrom = 0;
  #tailBytes = 0;
  readonly #pages = new Map<number, Stretch & { readonly bytes: number }>();
  readonly #loading = new Set<number>();
  #retry: Cancel | undefined;
  readonly #batches = new Map<number, Batch>();
  #usedAt: number;

  /** @param context what every part of the hub shares */
  constructor(name: string, context: HubContext) {
    this.name = name;
    this.#context = context;
    this.#usedAt = context.clock.now();
  }

  /** Epoch of the log. Known once open. */
  get epoch(): string {
    return this.#epoch;
  }
  /** Highest number in the log. Known once open. */
  get head(): number {
    return this.#head;
  }
  /** Lowest number kept. */
  get oldest(): number {
    this.#expireTail();
    return this.#oldest;
  }
  /** Subscriptions that messages flow to now. */
  get liveCount(): number {
    return this.#live.size;
  }
  /** Whether nothing would be lost if this object were dropped. */
  isIdle(now: number, grace: number): boolean {
    return this.#live.size === 0 && this.#waiting.length === 0 && !this.#committing &&
      this.#opening === undefined &&
      now - this.#usedAt > grace;
  }

  /** Makes sure that the channel exists, and learns the state of its log. */
  open(): Promise<void> {
    this.#usedAt = this.#context.clock.now();
    if (this.#open) return this.#unsure && !this.#committing ? this.#catchUp() : Promise.resolve();
    return this.#opening ??= this.#doOpen().finally(() => this.#opening = undefined);
  }

  /** Learns anew how far the log goes back: what is kept shrinks without our hearing of it. */
  async refresh(): Promise<void> {
    const { store, clock } = this.#context;
    this.#learn(await store.read(this.name, Number.MAX_SAFE_INTEGER, 1, clock.now()));
  }

  /** Stops every timer. */
  stop(): void {
    this.#retry?.();
    this.#retry = undefined;
  }

  /** Lets messages flow to a subscription. */
  join(subscription: Pumped): void {
    this.#live.add(subscription);
  }

  /** Lets messages flow to it no more. */
  leave(subscription: Pumped): void {
    this.#live.delete(subscription);
    this.#usedAt = this.#context.clock.now();
    if (this.#live.size === 0) this.#dropTail();
  }

  /**
   * Appends a message to the log; resolves once the store has it.
   *
   * @throws {PushError} as the store
   */
  publish(draft: Draft): Promise<Published> {
    this.#usedAt = this.#context.clock.now();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ draft, resolve, reject });
      if (!this.#committing) this.#commit();
    });
  }

  /** Pumps every live subscription. */
  pump(): void {
    for (const subscription of this.#live) subscription.pump();
  }

  /**
   * Messages after a place, as one batch shared by all that stand there; a gap if the next ones are
   * gone; `undefined` if there is none, or the log must be read first (the channel then pumps its
   * subscriptions again).
   */
  next(after: number, maxCount: number, maxBytes: number): Batch | Gap | undefined {
    if (after >= this.#head) return undefined;
    this.#expireTail();
    if (after + 1 < this.#oldest) {
      return { epoch: this.#epoch, seq: this.#oldest - 1, reason: "retention" };
    }
    let batch = this.#batches.get(after);
    if (batch === undefined || batch.count > maxCount || batch.bytes > maxBytes) {
      batch = this.#cut(after, maxCount, Math.min(maxBytes, MAX_BATCH_BYTES));
      if (batch === undefined) return undefined;
      this.#batches.set(after, batch);
    }
    if (batch.entries[0].message.at > this.#expiryLimit) return batch;
    // Read again: the store says what has expired, and that is a gap.
    this.sweep();
    this.#load(pageStart(after));
    return undefined;
  }

  /**
   * One message: the entry; `null` if it is gone; `undefined` if the log must be read first (the
   * channel then pumps its subscriptions again).
   */
  entryAt(seq: number): Entry | null | undefined {
    this.#expireTail();
    if (seq < this.#oldest || seq > this.#head) return null;
    const stretch = this.#stretchAt(seq - 1);
    if (stretch === undefined) return undefined;
    const entry = stretch.entries[indexAfter(stretch.entries, seq - 1)];
    return entry?.seq === seq ? entry : null;
  }

  /** One message, read from the log if need be; `undefined` if it is gone. */
  async find(seq: number): Promise<StoredMessage | undefined> {
    const entry = this.entryAt(seq);
    if (entry !== undefined) return entry?.message;
    const page = await this.#context.store.read(this.name, seq - 1, 1, this.#context.clock.now());
    return page.messages[0]?.seq === seq ? page.messages[0] : undefined;
  }

  /** Lets go of what was kept for readers that have moved on. */
  sweep(): void {
    this.#pages.clear();
    this.#batches.clear();
  }

  /** Position before the n-th last kept message. */
  floorOfLast(n: number): number {
    return Math.max(this.oldest - 1, this.#head - n);
  }

  async #doOpen(): Promise<void> {
    const { store, clock } = this.#context;
    await store.create(this.name, {}, clock.now());
    await this.refresh();
    this.#open = true;
  }

  async #commit(): Promise<void> {
    this.#committing = true;
    // Everything that arrives in the same burst belongs to the first commit.
    await undefined;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#commitSize());
      try {
        await this.open();
        if (this.#unsure) await this.#catchUp();
        const { store, clock, metrics, events } = this.#context;
        const result = await store.append(this.name, batch.map(({ draft }) => draft), clock.now());
        this.#adopt(result, result.messages);
        metrics.published += result.messages.length;
        metrics.duplicates += batch.length - result.messages.length;
        for (const message of result.messages) {
          events.published?.(this.name, result.epoch, message);
        }
        result.appended.forEach((appended, i) => batch[i].resolve(this.#published(appended)));
      } catch (cause) {
        this.#unsure = true;
        this.#retryLater();
        this.#context.metrics.publishErrors += batch.length;
        const error = cause instanceof PushError
          ? cause
          : new PushError("internal", undefined, { cause });
        for (const { reject } of batch) reject(error);
      }
    }
    this.#committing = false;
  }

  /** How many of the waiting publishes go into one commit: at least one. */
  #commitSize(): number {
    const count = Math.min(this.#waiting.length, MAX_COMMIT_COUNT);
    let characters = 0;
    for (let i = 0; i < count; i++) {
      characters += this.#waiting[i].draft.payload.length;
      if (characters > MAX_COMMIT_CHARACTERS) return Math.max(i, 1);
    }
    return count;
  }

  #published({ seq, duplicate }: Appended): Published {
    return { epoch: this.#epoch, seq, duplicate };
  }

  /** Reads what was appended without our hearing of it. */
  async #catchUp(): Promise<void> {
    const { store, clock } = this.#context;
    this.#unsure = false;
    try {
      const page = await store.read(this.name, this.#head, PAGE, clock.now());
      this.#adopt(page, page.messages);
    } catch (error) {
      this.#unsure = true;
      throw error;
    }
  }

  /** Learns of messages that are stored, and lets them flow. */
  #adopt(state: LogState, messages: readonly StoredMessage[]): void {
    if (state.epoch === this.#epoch && state.head > this.#head && this.#live.size > 0) {
      for (const message of messages) {
        if (message.seq <= this.#head) continue;
        // Without a row of numbers the log is read from here on.
        if (message.seq !== this.#lastInTail + 1) this.#dropTail(message.seq - 1);
        this.#tail.push(new Entry(this.name, state.epoch, message));
        this.#tailBytes += message.bytes;
      }
    }
    this.#learn(state);
    this.#trimTail();
  }

  /** Takes over what the store says of the log, and lets what is new flow. */
  #learn(state: LogState): void {
    const another = state.epoch !== this.#epoch;
    const moved = another || state.head > this.#head;
    this.#head = another ? state.head : Math.max(this.#head, state.head);
    this.#oldest = another ? state.oldest : Math.max(this.#oldest, state.oldest);
    if (another) {
      this.#epoch = state.epoch;
      this.#pages.clear();
      this.#dropTail();
    }
    // Messages that came without our hearing of them are read from the log.
    if (this.#lastInTail < this.#head) this.#dropTail();
    if (!moved) return;
    this.#batches.clear();
    if (this.#live.size > 0) this.#context.turn.pump(this);
  }

  get #lastInTail(): number {
    return this.#tail.length === 0 ? this.#tailFrom : this.#tail[this.#tail.length - 1].seq;
  }

  #dropTail(from = this.#head): void {
    this.#tail = [];
    this.#tailBytes = 0;
    this.#tailFrom = from;
    this.#batches.clear();
  }

  #trimTail(): void {
    if (this.#tail.length <= TAIL_COUNT && this.#tailBytes <= TAIL_BYTES) return;
    // One message may be larger than all of this.
    if (this.#tail.length === 1) return;
    let drop = 0;
    // Half of it at once, so that trimming costs little per message.
    while (
      this.#tail.length - drop > TAIL_COUNT / 2 ||
      (this.#tailBytes > TAIL_BYTES / 2 && this.#tail.length - drop > 1)
    ) {
      this.#tailBytes -= this.#tail[drop++].message.bytes;
    }
    this.#tailFrom = this.#tail[drop - 1].seq;
    this.#tail = this.#tail.slice(drop);
  }

  /** What is too old is not delivered, even if it is still in memory. */
  #expireTail(): void {
    const limit = this.#expiryLimit;
    let drop = 0;
    while (drop < this.#tail.length && this.#tail[drop].message.at <= limit) {
      this.#tailBytes -= this.#tail[drop++].message.bytes;
    }
    if (drop === 0) return;
    this.#tailFrom = this.#tail[drop - 1].seq;
    this.#oldest = Math.max(this.#oldest, this.#tailFrom + 1);
    this.#tail = this.#tail.slice(drop);
    this.#pages.clear();
    this.#batches.clear();
  }

  get #expiryLimit(): number {
    return this.#context.clock.now() - this.#context.settings.delivery.messageTtl;
  }

  #cut(after: number, maxCount: number, maxBytes: number): Batch | undefined {
    while (after < this.#head) {
      const stretch = this.#stretchAt(after);
      if (stretch === undefined) return undefined;
      const batch = cut(stretch.entries, after, maxCount, maxBytes);
      if (batch !== undefined) return batch;
      // Numbers without a message: go on behind them.
      after = stretch.to;
    }
    return undefined;
  }

  #stretchAt(after: number): Stretch | undefined {
    if (after >= this.#tailFrom && this.#tail.length > 0) {
      return { from: this.#tailFrom, to: this.#head, entries: this.#tail };
    }
    const start = pageStart(after);
    const page = this.#pages.get(start);
    if (page !== undefined && page.to > after) return page;
    this.#load(start);
    return undefined;
  }

  async #load(start: number): Promise<void> {
    // Who needs a page that is not read now is pumped again when another one has been.
    if (this.#loading.has(start) || this.#loading.size >= MAX_LOADS) return;
    this.#loading.add(start);
    const { store, clock, turn, metrics } = this.#context;
    const epoch = this.#epoch;
    metrics.logReads++;
    try {
      const page = await store.read(this.name, start, PAGE, clock.now());
      // The answer may be older than an epoch that began meanwhile.
      if (epoch === this.#epoch || page.epoch === this.#epoch) {
        this.#learn(page);
        this.#keep(start, page);
      }
      turn.pump(this);
    } catch {
      this.#retryLater();
    } finally {
      this.#loading.delete(start);
    }
  }

  #keep(start: number, { epoch, head, messages }: Page): void {
    const entries = messages.map((message) => new Entry(this.name, epoch, message));
    const full = entries.length === PAGE;
    const to = full ? entries[entries.length - 1].seq : head;
    this.#pages.delete(start);
    const size = messages.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#pages.set(start, { from: start, to, entries, bytes: size });
    // The pages that were read longest ago give way.
    let count = 0;
    let bytes = 0;
    for (const [first, page] of [...this.#pages].reverse()) {
      bytes += page.bytes;
      if (++count > 1 && (count > MAX_PAGES || bytes > PAGES_BYTES)) this.#pages.delete(first);
    }
  }

  /** The store failed: asks it again for what it may have, and for what somebody waits for. */
  #retryLater(): void {
    const { clock, turn } = this.#context;
    this.#retry ??= clock.schedule(RETRY_READ, () => {
      this.#retry = undefined;
      if (this.#live.size === 0) return;
      turn.pump(this);
      if (this.#unsure && !this.#committing) this.#catchUp().catch(() => this.#retryLater());
    });
  }
}

function pageStart(after: number): number {
  return after - after % PAGE;
}

/** Index of the first entry whose number is above `after`. */
function indexAfter(entries: readonly Entry[], after: number): number {
  if (entries.length === 0) return 0;
  const guess = after + 1 - entries[0].seq;
  if (guess >= 0 && guess < entries.length && entries[guess].seq === after + 1) return guess;
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle].seq <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The next message after `after`, and as many right behind it as the limits allow. */
function cut(
  entries: readonly Entry[],
  after: number,
  maxCount: number,
  maxBytes: number,
): Batch | undefined {
  const first = indexAfter(entries, after);
  let end = first;
  let bytes = 0;
  while (end < entries.length && end - first < maxCount) {
    bytes += entries[end].message.bytes;
    if (end > first && (bytes > maxBytes || entries[end].seq !== entries[end - 1].seq + 1)) break;
    end++;
  }
  return end === first ? undefined : new Batch(entries.slice(first, end));
}
