import { backoffDelay } from "../backoff.ts";
import { type Cancel, type Clock, type RandomBytes, randomId } from "../clock.ts";
import { Deferred } from "../deferred.ts";
import type { KeeperHost, Published, PublishKeeper } from "../outbox.ts";
import type { Code } from "../protocol/codes.ts";
import { PushError } from "../protocol/error.ts";
import type { PublishFrame } from "../protocol/frames.ts";
import { IDEMPOTENCY_WINDOW } from "../protocol/limits.ts";
import type { Owners } from "./owners.ts";
import { type KeptPublish, keyOf, type OutboxStore, readKept } from "./store.ts";

/** What a {@linkcode Keeper} needs. */
export interface KeeperSettings {
  /** Name of the outbox. */
  readonly name: string;
  readonly store: OutboxStore;
  readonly owners: Owners;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Milliseconds after which what was never sent is given up. */
  readonly maxAge: number;
  /** Most publishes that are kept. */
  readonly maxPublishes: number;
  /** Most characters of payloads that are kept. */
  readonly maxSize: number;
}

/** A publish of this page: a promise tells what becomes of it. */
interface Live {
  kept: KeptPublish;
  readonly head: Omit<PublishFrame, "data">;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly answer: Deferred<Published>;
  cancel: Cancel;
}

/** What waits to be sent to one channel, in order: what pages before this one left, and what this one made. */
interface Lane {
  readonly channel: string;
  readonly left: KeptPublish[];
  readonly waiting: Live[];
  /** What is being written down, to be sent then. */
  writing: readonly Live[];
  isBusy: boolean;
  /** Refusals in a row of the first that was left. */
  tries: number;
  cancelRetry: Cancel | undefined;
}

/** Milliseconds in which a publish is sent again after a reload, as the client does without one. */
const RESEND_WINDOW = 1000 * (IDEMPOTENCY_WINDOW - 30);
/** Milliseconds that the machine's clock may be set back without a doubt about the age of a publish. */
const SLACK = 5000;
/** Milliseconds to wait for what earlier pages have left, or for what is to be written down. */
const STORE_TIMEOUT = 2000;
/** Refusals that say that nothing was stored. */
const NOT_STORED: readonly Code[] = [
  "rate_limited",
  "too_many_publishes",
  "unavailable",
  "store_full",
  "outbox_full",
];
/** Wait after a refusal that may be over later, in milliseconds. */
const RETRY_DELAY = { min: 1000, max: 30_000 };

/**
 * Writes each publish down before it is sent, and forgets it when its promise has settled. What is
 * found written down belongs to a page that is gone, and no promise told anybody what became of it.
 */
export class Keeper implements PublishKeeper {
  readonly #settings: KeeperSettings;
  readonly #owner: string;
  readonly #lanes: Map<string, Lane> = new Map();
  /** Keys that were taken over. */
  readonly #taken: Set<string> = new Set();
  #host: KeeperHost | undefined;
  #order = 0;
  #count = 0;
  #size = 0;
  #isFailing = false;
  /** Whether writing took too long, and has not ended since. */
  #isHanging = false;
  /** There while what earlier pages have left is looked for. */
  #cancelAdopt: Cancel | undefined;
  /** Writes under way, by key. */
  readonly #writes: Map<string, Promise<void>> = new Map();
  /** Ends of the waits for them. */
  readonly #waits: Set<() => void> = new Set();
  /** Changes when the client is closed. */
  #era = 0;

  /** @param settings what it needs */
  constructor(settings: KeeperSettings) {
    this.#settings = settings;
    this.#owner = randomId(settings.random);
  }

  /** The client is made. @param host what it offers */
  attach(host: KeeperHost): void {
    if (this.#host) throw new TypeError("Cannot give one outbox to two clients");
    this.#host = host;
    host.client.on("state", ({ state, reason }) => {
      if (state === "closed") this.#close(reason);
      else this.#adopt();
      this.#pumpAll();
    });
  }

  /** Publishes: written down, then sent as soon as there is a connection. */
  publish(
    head: Omit<PublishFrame, "data">,
    data: string,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<Published> {
    const { clock, maxPublishes, maxSize } = this.#settings;
    const answer = new Deferred<Published>(signal);
    const isFull = this.#count >= maxPublishes || this.#size + data.length > maxSize;
    if (!answer.settled && isFull) answer.reject(new PushError("outbox_full"));
    if (answer.settled) return answer.promise;
    const { channel, id = "", echo = false } = head;
    const order = this.#order++;
    // Before another page could take what is written down for that of a page that is gone.
    void this.#settings.owners.hold(this.#owner);
    const key = keyOf(this.#owner, order);
    const { name } = this.#settings;
    const kept = { name, key, owner: this.#owner, order, channel, id, data, echo, at: clock.now() };
    const live: Live = {
      kept,
      head,
      timeout,
      signal,
      answer,
      cancel: clock.schedule(timeout, () => {
        const detail = `No connection came within ${timeout / 1000} s: nothing was sent.`;
        answer.reject(new PushError("disconnected", detail));
      }),
    };
    this.#counted(kept, 1);
    const lane = this.#lane(channel);
    lane.waiting.push(live);
    answer.whenSettled(() => {
      live.cancel();
      const index = lane.waiting.indexOf(live);
      if (index >= 0) lane.waiting.splice(index, 1);
      this.#forget(kept);
    });
    this.#pump(lane);
    // What is sent at once was written down with the time of its sending.
    if (lane.waiting.includes(live)) void this.#put(kept);
    return answer.promise;
  }

  /** Takes over what pages that are gone have left; until then nothing is sent, so that it goes first. */
  #adopt(): void {
    if (this.#cancelAdopt) return;
    const done = (): void => {
      cancel();
      if (this.#cancelAdopt === cancel) this.#cancelAdopt = undefined;
      this.#pumpAll();
    };
    // A database that another page blocks must not hold up what is published now.
    const cancel = this.#cancelAdopt = this.#settings.clock.schedule(STORE_TIMEOUT, done);
    this.#load().then(done, done);
  }

  async #load(): Promise<void> {
    const { name, store, owners, maxPublishes, maxSize } = this.#settings;
    const era = this.#era;
    const found: Map<string, KeptPublish[]> = new Map();
    await owners.hold(this.#owner);
    await this.#try(async () => {
      for (const value of await store.load()) {
        const kept = readKept(value);
        if (kept?.name !== name || kept.owner === this.#owner) continue;
        const list = found.get(kept.owner) ?? [];
        found.set(kept.owner, list);
        list.push(kept);
      }
    });
    const left: KeptPublish[] = [];
    for (const [owner, list] of found) {
      // Who was closed meanwhile leaves it to the next page.
      if (era !== this.#era) return;
      if (await owners.hold(owner)) left.push(...list.filter(({ key }) => !this.#taken.has(key)));
    }
    if (era !== this.#era) return;
    const begins = new Map<string, number>();
    for (const { owner, at } of left) begins.set(owner, Math.min(at, begins.get(owner) ?? at));
    // Within one page the order is known, whatever its clock did.
    left.sort((a, b) => {
      if (a.owner === b.owner) return a.order - b.order;
      return begins.get(a.owner)! - begins.get(b.owner)! || (a.owner < b.owner ? -1 : 1);
    });
    for (const kept of left) {
      if (this.#taken.has(kept.key)) continue;
      this.#taken.add(kept.key);
      if (this.#count >= maxPublishes || this.#size + kept.data.length > maxSize) {
        this.#giveUp(kept, new PushError("outbox_full", "More was kept than may be."));
        continue;
      }
      this.#counted(kept, 1);
      this.#lane(kept.channel).left.push(kept);
    }
  }

  #lane(channel: string): Lane {
    const known = this.#lanes.get(channel);
    const lane = known ??
      {
        channel,
        left: [],
        waiting: [],
        writing: [],
        isBusy: false,
        tries: 0,
        cancelRetry: undefined,
      };
    this.#lanes.set(channel, lane);
    return lane;
  }

  /** Sends what may be sent. */
  #pump(lane: Lane): void {
    if (lane.isBusy || lane.cancelRetry) return;
    if (lane.left.length === 0 && lane.waiting.length === 0) {
      this.#lanes.delete(lane.channel);
      return;
    }
    if (this.#host?.client.isConnected !== true || this.#cancelAdopt) return;
    lane.isBusy = true;
    const sent = lane.left.length > 0 ? this.#sendLeft(lane) : this.#sendAll(lane);
    const next = (): void => {
      lane.isBusy = false;
      this.#pump(lane);
    };
    if (sent) void sent.then(next);
    else next();
  }

  /** Sends the first that was left, and waits for its answer: if it is refused for now, none overtakes it. */
  async #sendLeft(lane: Lane): Promise<void> {
    const { clock, maxAge, random } = this.#settings;
    const [first] = lane.left;
    const now = clock.now();
    const done = (error?: unknown): void => {
      lane.left.shift();
      lane.tries = 0;
      this.#counted(first, -1);
      if (error === undefined) this.#forget(first, 0);
      else this.#giveUp(first, error);
    };
    const { sentAt } = first;
    if (sentAt !== undefined && (now - sentAt > RESEND_WINDOW || now < sentAt - SLACK)) {
      return done(new PushError("outcome_unknown"));
    }
    if (sentAt === undefined && now - first.at > maxAge) {
      const detail = "The publish was kept for too long: it was never sent.";
      return done(new PushError("disconnected", detail));
    }
    const marked = { ...first, sentAt: sentAt ?? now };
    if (sentAt === undefined) await this.#inTime(this.#put(marked));
    // The client was closed meanwhile: the next page goes on.
    if (lane.left[0] !== first) return;
    lane.left[0] = marked;
    const { channel, id, data, echo } = first;
    const head = { type: "channel.publish", channel, id, ...echo && { echo } } as const;
    let failure: PushError | undefined;
    try {
      await this.#host!.send(head, data, 1000 * IDEMPOTENCY_WINDOW, undefined);
    } catch (error) {
      failure = error as PushError;
    }
    const { code, retry } = failure ?? {};
    const isUnsent = code === "disconnected" || NOT_STORED.includes(code!);
    if (isUnsent && sentAt === undefined) await this.#inTime(this.#put(first));
    if (lane.left[0] !== marked) return;
    if (!failure || !retry) return done(failure);
    lane.left[0] = isUnsent ? first : marked;
    const delay = RETRY_DELAY.min + backoffDelay(lane.tries++, RETRY_DELAY, random);
    lane.cancelRetry = clock.schedule(delay, () => {
      lane.cancelRetry = undefined;
      this.#pump(lane);
    });
  }

  /** Sends all that waits, once it is written down that it was sent. */
  #sendAll(lane: Lane): Promise<void> | undefined {
    const sentAt = this.#settings.clock.now();
    const all = lane.writing = lane.waiting.splice(0);
    const written = all.map((live) => this.#put(live.kept = { ...live.kept, sentAt }))
      .filter((each) => each !== undefined);
    const send = (): void => {
      lane.writing = [];
      for (const live of all) {
        const { answer, head, kept, timeout, signal } = live;
        if (answer.settled) continue;
        live.cancel();
        this.#host!.send(head, kept.data, timeout, signal)
          .then((published) => answer.resolve(published), (error) => answer.reject(error));
      }
    };
    if (written.length === 0) return void send();
    return this.#inTime(Promise.all(written)).then(send);
  }

  /** The client is closed: whoever waits hears it, and what was left is left to the next page. */
  #close(reason: string): void {
    const error = new PushError("disconnected", reason);
    this.#era++;
    this.#cancelAdopt?.();
    this.#cancelAdopt = undefined;
    for (const lane of this.#lanes.values()) {
      lane.cancelRetry?.();
      lane.cancelRetry = undefined;
      for (const kept of lane.left.splice(0)) {
        this.#counted(kept, -1);
        this.#taken.delete(kept.key);
      }
      for (const { answer } of [...lane.waiting, ...lane.writing]) answer.reject(error);
    }
    for (const end of [...this.#waits]) end();
    this.#settings.owners.release();
  }

  #pumpAll(): void {
    for (const lane of this.#lanes.values()) this.#pump(lane);
  }

  #giveUp(kept: KeptPublish, error: unknown): void {
    this.#forget(kept, 0);
    this.#host!.report(error, kept.channel);
  }

  #forget(kept: KeptPublish, count = -1): void {
    if (count < 0) this.#counted(kept, count);
    const remove = () => this.#try(() => this.#settings.store.remove(kept.key));
    // What is written later would stay.
    const writing = this.#writes.get(kept.key);
    if (writing) void writing.then(remove);
    else void remove();
  }

  #counted({ data }: KeptPublish, count: number): void {
    this.#count += count;
    this.#size += count * data.length;
  }

  /** Writes down. @returns a promise, if the store needs time */
  #put(kept: KeptPublish): Promise<void> | undefined {
    const { store } = this.#settings;
    const written = this.#try(() => store.put(kept), () => {
      // What is there says that it was never sent.
      if (kept.sentAt !== undefined) void this.#try(() => store.remove(kept.key));
    });
    if (!written) return;
    const { key } = kept;
    const all = Promise.all([this.#writes.get(key), written]).then(() => {
      if (this.#writes.get(key) === all) this.#writes.delete(key);
    });
    this.#writes.set(key, all);
    return written;
  }

  /** Waits for what is written, but not for a store that hangs. */
  async #inTime(written: Promise<unknown> | undefined): Promise<void> {
    if (!written || this.#isHanging) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        this.#waits.delete(end);
        resolve();
      };
      const cancel = this.#settings.clock.schedule(STORE_TIMEOUT, () => {
        this.#isHanging = true;
        this.#failed(new DOMException("The store does not answer.", "TimeoutError"));
        end();
      });
      this.#waits.add(end);
      void written.then(end);
    });
  }

  #failed(error: unknown): void {
    if (!this.#isFailing) this.#host?.report(error, undefined);
    this.#isFailing = true;
  }

  /**
   * A store that fails costs the keeping, and nothing else: the first failure of a row is told.
   *
   * @param unwritten follows when what is to be written is not
   */
  #try(task: () => void | Promise<void>, unwritten?: () => void): Promise<void> | undefined {
    const failed = (error: unknown): void => {
      if (unwritten) this.#isHanging = false;
      this.#failed(error);
      unwritten?.();
    };
    const worked = (): void => {
      // What is full can be read, and lets remove.
      if (unwritten) this.#isHanging = this.#isFailing = false;
    };
    try {
      const result = task();
      if (result instanceof Promise) return result.then(worked, failed);
      worked();
    } catch (error) {
      failed(error);
    }
  }
}
