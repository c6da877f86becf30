import type { PushError } from "@push/client/protocol";
import type { Appending } from "./committer.ts";
import { PublishIdsOf } from "./journal.ts";
import type { KvLog } from "./log.ts";
import { pack, type Packed } from "./segment.ts";
import type { KvTails } from "./tails.ts";
import type { Unit } from "./unit.ts";
import type { LogTerms, MemoryData } from "../memory/data.ts";
import type { Drawn } from "../memory/log.ts";
import type { AppendResult, Draft } from "../store.ts";

/** Parts of a store that an append works with. */
export interface AppendContext {
  readonly data: MemoryData;
  readonly tails: KvTails;
}

/**
 * One append. What it comes to is decided when its commit begins, and in memory it happens once it is
 * in the file: so nobody sees what may not last.
 */
export class KvAppend implements Appending {
  /** Its channel. */
  readonly channel: string;
  /** How many drafts it has. */
  readonly count: number;
  /** What it came to. */
  readonly result: Promise<AppendResult>;
  readonly #context: AppendContext;
  readonly #drafts: readonly Draft[];
  readonly #terms: LogTerms;
  readonly #now: number;
  readonly #resolve: (result: AppendResult) => void;
  readonly #reject: (error: unknown) => void;
  /** A short segment that it fills up. */
  #tail: Packed | undefined;

  constructor(
    context: AppendContext,
    channel: string,
    drafts: readonly Draft[],
    terms: LogTerms,
    now: number,
  ) {
    this.#context = context;
    this.channel = channel;
    this.#drafts = drafts;
    this.count = drafts.length;
    this.#terms = terms;
    this.#now = now;
    const { promise, resolve, reject } = Promise.withResolvers<AppendResult>();
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Reads the bytes that the append fills up, if they are not at hand. */
  async prepare(): Promise<void> {
    const { data, tails } = this.#context;
    const log = data.channels.get(this.channel) as KvLog | undefined;
    if (log === undefined) return;
    try {
      this.#tail = await tails.get(log);
    } catch {
      // Without it a new segment begins.
    }
  }

  /** It cannot be planned. */
  refuse(error: unknown): void {
    this.#reject(error);
  }

  /** Decides what it comes to. */
  plan(unit: Unit): void {
    const { data } = this.#context;
    try {
      const log = data.log(this.channel, this.#now, this.#terms) as KvLog;
      const drawn = data.draw(log, this.#drafts, this.#terms, this.#now);
      this.#write(unit, log, drawn);
    } catch (error) {
      this.#reject(error);
    }
  }

  #write(unit: Unit, log: KvLog, drawn: Drawn): void {
    const { data, tails } = this.#context;
    const { messages, ids } = drawn;
    const tail = this.#tail !== undefined && tails.fits(log, this.#tail) ? this.#tail : undefined;
    const packed = messages.length === 0 ? [] : pack(messages, tail);
    log.writeSegments(unit, packed);
    if (ids !== undefined) unit.remember(new PublishIdsOf(log.id, this.#now, ids));
    log.isAnnounced = true;
    log.isBusy = true;
    data.channels.settle(log, this.#now);
    unit.onDone(() => {
      log.isBusy = false;
      log.shelf.expect(packed);
      const result = data.add(log, drawn, this.#terms.retention, this.#now);
      if (packed.length > 0) tails.replace(tail, packed[packed.length - 1]);
      unit.onAnswer(() => this.#resolve(result));
    });
    unit.onFailed((error) => {
      log.isBusy = false;
      if (!log.isDurable) log.isAnnounced = false;
      data.channels.settle(log, this.#now);
      this.#reject(error);
    });
    unit.onUnsure((error) => this.#reject(error as PushError));
  }
}
