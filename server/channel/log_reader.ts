import type { GapFrame } from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import { Batch, Entry } from "./entry.ts";
import { LogPages, type LogPagesHost } from "./log_pages.ts";
import type { LogView } from "./log_view.ts";
import type { Page, StoredMessage } from "../stores/store.ts";
import { indexAfter, type Stretch, Tail } from "./tail.ts";

/** Messages that a position has lost: delivery goes on after `seq`. */
export interface Gap {
  readonly epoch: string;
  readonly seq: number;
  readonly reason: GapFrame["reason"];
}

/** Whose log is read. */
export interface LogReaderHost {
  /** Name of the channel. */
  readonly name: string;
  readonly context: HubContext;
  /** What is known of the log. */
  readonly log: LogView;
  /** Reads messages after a number, at most so many; `undefined` if the answer is out of date. */
  read(after: number, limit: number): Promise<Page | undefined>;
  /** A page has been read. */
  loaded(): void;
  /** A page could not be read. */
  unread(): void;
}

const MAX_BATCH_BYTES = 256 * 1024;

/**
 * Messages of one log for all who stand somewhere in it: the newest from memory, older ones from
 * pages, each cut into batches once for all that stand at the same place.
 */
export class LogReader implements LogPagesHost {
  readonly #host: LogReaderHost;
  readonly #view: LogView;
  readonly #tail = new Tail();
  /** Absent until somebody stands behind the newest messages. */
  #pages: LogPages | undefined;
  readonly #batches = new Map<number, Batch>();
  /** The store says that it keeps everything up to here, though it looks expired. */
  #vouched = 0;

  /** @param host what is read, and how */
  constructor(host: LogReaderHost) {
    this.#host = host;
    this.#view = host.log;
    this.#tail.reset(this.#view.head);
  }

  /** See {@linkcode LogPagesHost.name}. */
  get name(): string {
    return this.#host.name;
  }

  /** See {@linkcode Channel.next}. */
  next(after: number, maxCount: number, maxBytes: number): Batch | Gap | undefined {
    const view = this.#view;
    if (after >= view.head) return undefined;
    const limitAt = this.#expiryLimit;
    this.#expire(limitAt);
    if (after + 1 < view.oldest) {
      return { epoch: view.epoch, seq: view.oldest - 1, reason: "retention" };
    }
    let batch = this.#batches.get(after);
    if (batch === undefined || batch.count > maxCount || batch.bytes > maxBytes) {
      batch = this.#cut(after, maxCount, Math.min(maxBytes, MAX_BATCH_BYTES));
      if (batch === undefined) return undefined;
      this.#batches.set(after, batch);
    }
    const [{ message }] = batch.entries;
    if (message.at > limitAt || message.seq <= this.#vouched) return batch;
    // Read again: the store says what has expired, and that is a gap.
    this.#forgetPages();
    this.#pageAt(after);
    return undefined;
  }

  /** See {@linkcode Channel.entryAt}. */
  entryAt(seq: number): Entry | null | undefined {
    this.expire();
    if (seq < this.#view.oldest) return null;
    // Another node has sent it: this one hears of it soon.
    if (seq > this.#view.head) return undefined;
    const stretch = this.#stretchAt(seq - 1);
    if (stretch === undefined) return undefined;
    const entry = stretch.entries[indexAfter(stretch.entries, seq - 1)];
    return entry?.seq === seq ? entry : null;
  }

  /** Takes in the messages between two numbers, every one that is kept there. */
  extend(from: number, to: number, messages: readonly StoredMessage[]): void {
    const { name } = this.#host;
    const { epoch } = this.#view;
    this.#tail.extend(from, to, messages.map((message) => new Entry(name, epoch, message)));
  }

  /** The log has moved; another epoch has begun, or only more was appended. */
  advanced(isAnother: boolean): void {
    if (isAnother) {
      this.#vouched = 0;
      this.#pages?.clear();
    }
    // Messages that came without our hearing of them are read from the log.
    if (isAnother || this.#tail.to < this.#view.head) this.forgetTail();
    this.#batches.clear();
  }

  /** Forgets the newest messages: nobody listens. */
  forgetTail(): void {
    this.#tail.reset(this.#view.head);
    this.#batches.clear();
  }

  /** Lets go of what was kept for readers that have moved on. */
  sweep(): void {
    this.#vouched = 0;
    this.#forgetPages();
  }

  /** What is too old is not delivered, even if it is still in memory. */
  expire(): void {
    this.#expire(this.#expiryLimit);
  }

  #expire(limitAt: number): void {
    if (!this.#tail.expire(limitAt)) return;
    // A store with a clock of its own says itself what has expired.
    if (this.#view.skew === undefined) this.#view.losesUpTo(this.#tail.from);
    this.#forgetPages();
  }

  /** See {@linkcode LogPagesHost.read}. */
  async read(after: number, limit: number): Promise<Page | undefined> {
    const page = await this.#host.read(after, limit);
    for (const { at, seq } of page?.messages ?? []) {
      if (at > this.#expiryLimit) break;
      this.#vouched = Math.max(this.#vouched, seq);
    }
    return page;
  }

  /** See {@linkcode LogPagesHost.loaded}. */
  loaded(): void {
    this.#host.loaded();
  }

  /** See {@linkcode LogPagesHost.unread}. */
  unread(): void {
    this.#host.unread();
  }

  #forgetPages(): void {
    this.#pages?.clear();
    this.#batches.clear();
  }

  get #expiryLimit(): number {
    const { clock, settings } = this.#host.context;
    return clock.now() + (this.#view.skew ?? 0) - settings.delivery.messageTtl;
  }

  #cut(after: number, maxCount: number, maxBytes: number): Batch | undefined {
    while (after < this.#view.head) {
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
    const tail = this.#tail;
    return after >= tail.from && tail.entries.length > 0 ? tail : this.#pageAt(after);
  }

  #pageAt(after: number): Stretch | undefined {
    return (this.#pages ??= new LogPages(this)).at(after);
  }
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
