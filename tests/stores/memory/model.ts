import { assert, assertEquals, assertGreaterOrEqual, assertStrictEquals } from "@std/assert";
import type {
  Cursor,
  DeadLetter,
  LateRecord,
  Retention,
  Store,
  StoredMessage,
  StoreLimits,
} from "../../../server/stores/store.ts";

/** One thing that happens to a store. Small numbers choose among few names. */
export type Step =
  | { do: "publish"; channel: number; id?: number; count: number }
  | {
    do: "claim";
    session: number;
    holder: "another" | "same" | "next" | "stranger";
    instance: number;
    attempt: number;
    ttl: number;
    force: boolean;
  }
  | { do: "renew"; session: number; stale: boolean }
  | { do: "commit"; session: number; stale: boolean; channel: number; by: number; late: boolean }
  | { do: "giveUp"; session: number; channel: number; by: number }
  | { do: "load"; session: number; channel: number }
  | { do: "forget" | "release" | "end"; session: number; stale: boolean; channel: number }
  | { do: "redrive"; session?: number; channel?: number; limit: number }
  | { do: "pass"; ms: number }
  | { do: "sweep" };

interface ModelChannel {
  readonly epoch: string;
  /** Every message ever stored; the index is its number less 1. */
  readonly messages: StoredMessage[];
  readonly ids: Map<string, { seq: number; at: number }>;
  /** Lowest number that the store was seen to keep. */
  oldest: number;
}

interface ModelPosition {
  cursor: Cursor;
  unseen: LateRecord[];
}

interface ModelSession {
  generation: number;
  previous: number;
  holder: string;
  /** Handle through which it was claimed; `undefined` once it was released. */
  node: number | undefined;
  /** When its lease ends, if it is attached. */
  heldUntil: number | undefined;
  instance: string;
  attempt: number;
  ttl: number;
  endsAt: number;
  readonly positions: Map<string, ModelPosition>;
}

/**
 * The same store, written down naively: everything is kept and scanned. Each step is done to both,
 * and what the store answers, keeps and counts is compared.
 */
export class StoreModel {
  readonly #stores: readonly Store[];
  readonly #retention: Retention;
  readonly #limits: StoreLimits;
  readonly #channels = new Map<string, ModelChannel>();
  readonly #sessions = new Map<string, ModelSession>();
  #letters: DeadLetter[] = [];
  #now = 1_000_000;
  #turn = 0;
  #claims = 0;
  readonly #lease: number | undefined;

  /** @param lease that of each store, where each is of another node */
  constructor(
    stores: readonly Store[],
    retention: Retention,
    limits: StoreLimits,
    lease?: number,
  ) {
    this.#lease = lease;
    this.#stores = stores;
    this.#retention = retention;
    this.#limits = limits;
  }

  /** Does one step to both, and compares. */
  async step(step: Step): Promise<void> {
    switch (step.do) {
      case "publish":
        return await this.#publish(`c${step.channel}`, step.count, step.id);
      case "claim":
        return await this.#claim(step);
      case "renew":
        return await this.#renew(step);
      case "commit":
        return await this.#commit(step);
      case "giveUp":
        return await this.#giveUp(step);
      case "load":
        return await this.#load(`s${step.session}`, `c${step.channel}`);
      case "redrive":
        return await this.#redrive(step);
      case "pass":
        this.#now += step.ms;
        return;
      case "sweep":
        return await this.#sweep();
      default:
        return await this.#leave(step);
    }
  }

  /** Compares everything. */
  async compare(swept = false): Promise<void> {
    for (const [name, channel] of this.#channels) await this.#compareLog(name, channel, swept);
    const letters = await this.#store.deadLetters({ limit: 1000 }, this.#now);
    assertEquals(letters, this.#livingLetters());
  }

  /** Either handle in turn. */
  get #store(): Store {
    return this.#stores[this.#node];
  }

  /** Index of the handle that has its turn. */
  get #node(): number {
    return this.#turn++ % this.#stores.length;
  }

  #session(key: string): ModelSession | undefined {
    const session = this.#sessions.get(key);
    if (session?.heldUntil !== undefined && session.heldUntil <= this.#now) {
      session.endsAt = session.heldUntil + session.ttl;
      session.heldUntil = undefined;
    }
    if (session === undefined || session.endsAt > this.#now) return session;
    this.#sessions.delete(key);
  }

  async #publish(name: string, count: number, id: number | undefined): Promise<void> {
    const channel = await this.#channel(name);
    const drafts = Array.from({ length: count }, (_, i) => ({
      subject: "x",
      origin: null,
      source: null,
      payload: "1".repeat(1 + (channel.messages.length + i) % 40),
      ...(id !== undefined && i === 0 ? { id: `${id}` } : {}),
    }));
    const result = await this.#store.append(name, drafts, this.#now);
    let seq = channel.messages.length;
    const expected = drafts.map((draft) => {
      const known = draft.id === undefined ? undefined : channel.ids.get(draft.id);
      if (known !== undefined && known.at + this.#retention.idempotencyWindow > this.#now) {
        return { seq: known.seq, duplicate: true };
      }
      seq++;
      if (draft.id !== undefined) channel.ids.set(draft.id, { seq, at: this.#now });
      return { seq, duplicate: false };
    });
    assertEquals(result.appended, expected);
    assertEquals(result.head, seq);
    for (const message of result.messages) {
      channel.messages.push(message);
      assertEquals(message.seq, channel.messages.length);
    }
  }

  async #channel(name: string): Promise<ModelChannel> {
    const known = this.#channels.get(name);
    if (known !== undefined) return known;
    const { epoch } = await this.#store.read(name, 0, 0, this.#now);
    const channel = { epoch, messages: [], ids: new Map(), oldest: 1 };
    this.#channels.set(name, channel);
    return channel;
  }

  async #claim(step: Extract<Step, { do: "claim" }>): Promise<void> {
    const key = `s${step.session}`;
    const instance = `i${step.instance}`;
    const { attempt, ttl, force } = step;
    const held = this.#session(key);
    const fresh = `h${++this.#claims}`;
    const holder = step.holder === "same" ? held?.holder ?? fresh : fresh;
    const from = step.holder === "next"
      ? held?.holder
      : step.holder === "stranger"
      ? "nobody"
      : undefined;
    const node = this.#node;
    const claim = { key, holder, instance, attempt, ttl, force, from };
    const claimed = await this.#stores[node].claim(claim, this.#now);
    if (held === undefined && from !== undefined) {
      return assertEquals(claimed, { ok: false, reason: "unknown" });
    }
    if (held !== undefined && held.holder === holder) {
      assert(claimed.ok);
      assertEquals([claimed.generation, claimed.previous], [held.generation, held.previous]);
      if (held.node === node) this.#attach(held);
      return;
    }
    const isOld = held?.instance === instance && attempt <= held.attempt;
    const isSame = held?.instance === instance && held.attempt === attempt;
    const isStranger = from !== held?.holder && !isSame;
    if (held !== undefined && (from === undefined ? isOld : isStranger)) {
      return assertEquals(claimed, { ok: false, reason: "replaced" });
    }
    const elsewhere = this.#lease !== undefined && held?.heldUntil !== undefined &&
      held.node !== node;
    if (elsewhere && !force) {
      const name = this.#stores[held!.node!].cluster!.node;
      return assertEquals(claimed, { ok: false, reason: "held", node: name });
    }
    const living = [...this.#sessions.keys()].filter((other) => this.#session(other)).length;
    if (held === undefined && living >= this.#limits.maxSessions) {
      assertEquals(claimed, { ok: false, reason: "full" });
      return;
    }
    assert(claimed.ok);
    assertEquals(claimed.resumed, held !== undefined);
    assertEquals([...claimed.channels].sort(), [...held?.positions.keys() ?? []].sort());
    if (held !== undefined) assert(claimed.generation > held.generation);
    const positions = held?.positions ?? new Map();
    const { generation, previous } = claimed;
    assertEquals(previous, held?.generation ?? 0);
    const who = { generation, previous, holder, node, instance, attempt, ttl };
    const session = { ...who, heldUntil: Infinity, endsAt: Infinity, positions };
    this.#attach(session);
    this.#sessions.set(key, session);
  }

  #attach(session: ModelSession): void {
    if (this.#lease === undefined && session.heldUntil === undefined) return;
    session.heldUntil = this.#now + (this.#lease ?? Infinity);
    session.endsAt = Infinity;
  }

  async #renew(step: Extract<Step, { do: "renew" }>): Promise<void> {
    const key = `s${step.session}`;
    const session = this.#session(key);
    const generation = (session?.generation ?? 0) - (step.stale ? 1 : 0);
    const node = this.#node;
    const renewed = await this.#stores[node].renew([{ key, generation }], this.#now);
    if (session === undefined || step.stale) {
      const lost = session === undefined ? { lost: true as const } : {};
      return assertEquals(renewed, [{ key, held: false, ...lost, redriven: [] }]);
    }
    if (session.node === node) this.#attach(session);
    const redriven = [...session.positions].flatMap(([name, { unseen }]) =>
      unseen.length > 0 ? [name] : []
    );
    assertEquals(renewed, redriven.length > 0 ? [{ key, held: true, redriven }] : []);
  }

  async #commit(step: Extract<Step, { do: "commit" }>): Promise<void> {
    const key = `s${step.session}`;
    const name = `c${step.channel}`;
    const channel = await this.#channel(name);
    const session = this.#session(key);
    const known = session?.positions.get(name);
    const head = channel.messages.length;
    const floor = Math.max(Math.min((known?.cursor.floor ?? head) + step.by, head), 0);
    const late = step.late && floor > 0 ? [{ seq: floor, attempts: 1 }] : [];
    const cursor = { epoch: channel.epoch, floor, sent: floor, own: 0, settled: [], late };
    const generation = (session?.generation ?? 0) - (step.stale ? 1 : 0);
    const done = await this.#store.commit(
      key,
      generation,
      [{ channel: name, cursor }],
      this.#now,
    );
    assertEquals(done, session !== undefined && !step.stale);
    if (done) this.#move(session!, name, cursor);
  }

  #move(session: ModelSession, name: string, cursor: Cursor): boolean {
    const known = session.positions.get(name);
    if (known !== undefined && cursor.floor < known.cursor.floor) return false;
    const told = new Set(cursor.late.map(({ seq }) => seq));
    const unseen = known?.unseen.filter(({ seq }) => !told.has(seq)) ?? [];
    session.positions.set(name, { cursor, unseen });
    return true;
  }

  async #giveUp(step: Extract<Step, { do: "giveUp" }>): Promise<void> {
    // The order of letters of one millisecond is not promised.
    this.#now++;
    const key = `s${step.session}`;
    const name = `c${step.channel}`;
    const channel = await this.#channel(name);
    const session = this.#session(key);
    const position = session?.positions.get(name);
    if (session === undefined || position === undefined) return;
    const floor = Math.min(position.cursor.floor + step.by, channel.messages.length);
    if (floor === 0) return;
    const { epoch } = channel;
    const letter: DeadLetter = {
      session: key,
      channel: name,
      epoch,
      message: channel.messages[floor - 1],
      attempts: 4,
      reason: "nack",
      at: this.#now,
    };
    const cursor = { epoch, floor, sent: floor, own: 0, settled: [], late: [] };
    const commit = { channel: name, cursor, deadLetters: [letter] };
    assertEquals(await this.#store.commit(key, session.generation, [commit], this.#now), true);
    if (!this.#move(session, name, cursor)) return;
    const isOfBox = (other: DeadLetter) => other.session === key && other.channel === name;
    this.#letters = this.#livingLetters().filter((other) =>
      !isOfBox(other) || other.message.seq !== floor
    );
    this.#letters.push(letter);
    const box = this.#letters.filter(isOfBox);
    const gone = new Set(box.slice(0, Math.max(box.length - this.#limits.maxDeadLetters, 0)));
    this.#letters = this.#letters.filter((other) => !gone.has(other));
  }

  async #load(key: string, name: string): Promise<void> {
    const { generation = 0 } = this.#session(key) ?? {};
    assertEquals(
      await this.#store.load(key, generation - 1, [name], this.#now),
      generation === 0 ? [undefined] : undefined,
    );
    const [cursor] = (await this.#store.load(key, generation, [name], this.#now))!;
    const position = this.#session(key)?.positions.get(name);
    if (position !== undefined) {
      const again = new Set(position.unseen.map(({ seq }) => seq));
      const late = position.cursor.late.filter(({ seq }) => !again.has(seq));
      late.push(...position.unseen);
      late.sort((a, b) => a.seq - b.seq);
      position.cursor = { ...position.cursor, late };
      position.unseen = [];
    }
    assertEquals(cursor, position?.cursor);
  }

  async #redrive(step: Extract<Step, { do: "redrive" }>): Promise<void> {
    const channel = step.channel === undefined ? undefined : `c${step.channel}`;
    const session = step.session === undefined ? undefined : `s${step.session}`;
    const moved = await this.#store.redrive({ channel, session, limit: step.limit }, this.#now);
    const expected = this.#livingLetters().filter((letter) =>
      (channel === undefined || letter.channel === channel) &&
      (session === undefined || letter.session === session) &&
      this.#session(letter.session)?.positions.has(letter.channel)
    ).slice(0, step.limit);
    assertEquals(moved, expected);
    for (const letter of moved) {
      const position = this.#session(letter.session)!.positions.get(letter.channel)!;
      const { message } = letter;
      position.unseen = position.unseen.filter(({ seq }) => seq !== message.seq);
      position.unseen.push({ seq: message.seq, attempts: 0, redriven: message });
    }
    this.#letters = this.#livingLetters().filter((letter) => !moved.includes(letter));
  }

  async #leave(step: Extract<Step, { do: "forget" | "release" | "end" }>): Promise<void> {
    const key = `s${step.session}`;
    const session = this.#session(key);
    const generation = (session?.generation ?? 0) - (step.stale ? 1 : 0);
    const store = this.#store;
    const done =
      await (step.do === "forget"
        ? store.forget(key, generation, `c${step.channel}`, this.#now)
        : store[step.do](key, generation, this.#now));
    assertEquals(done, session !== undefined && !step.stale);
    if (!done) return;
    if (step.do === "forget") session!.positions.delete(`c${step.channel}`);
    else if (step.do === "end") this.#sessions.delete(key);
    else {
      session!.node = undefined;
      if (session!.heldUntil === undefined) return;
      session!.heldUntil = undefined;
      session!.endsAt = this.#now + session!.ttl;
    }
  }

  async #sweep(): Promise<void> {
    await this.#store.sweep(this.#now);
    await this.compare(true);
    const stats = await this.#store.stats(this.#now);
    const living = [...this.#sessions.keys()].filter((key) => this.#session(key));
    const kept = [...this.#channels.values()].flatMap(({ messages, oldest }) =>
      messages.slice(oldest - 1)
    );
    assertEquals(stats.sessions, living.length);
    assertEquals(stats.messages, kept.length);
    assertEquals(stats.bytes, kept.reduce((sum, { bytes }) => sum + bytes, 0));
    assertEquals(stats.deadLetters, this.#livingLetters().length);
  }

  #livingLetters(): DeadLetter[] {
    return this.#letters.filter(({ at }) => at + this.#limits.deadLetterTtl > this.#now);
  }

  async #compareLog(name: string, channel: ModelChannel, swept: boolean): Promise<void> {
    const page = await this.#store.read(name, 0, 10_000, this.#now);
    const head = channel.messages.length;
    assertEquals([page.epoch, page.head], [channel.epoch, head]);
    const atLeast = Math.max(channel.oldest, this.#firstUnexpired(channel));
    const needed = Math.max(atLeast, Math.min(this.#firstOfHistory(channel), this.#need(name)));
    assertGreaterOrEqual(page.oldest, atLeast);
    assert(page.oldest <= needed, `${name} lost ${needed}: ${page.oldest} is the oldest`);
    if (swept) assertEquals(page.oldest, needed);
    channel.oldest = page.oldest;
    assertEquals(page.messages.length, head - page.oldest + 1);
    for (const [i, message] of page.messages.entries()) {
      assertStrictEquals(message, channel.messages[page.oldest - 1 + i]);
    }
  }

  #firstUnexpired({ messages }: ModelChannel): number {
    const index = messages.findIndex(({ at }) => at + this.#retention.messageTtl > this.#now);
    return index < 0 ? messages.length + 1 : index + 1;
  }

  #firstOfHistory({ messages }: ModelChannel): number {
    let bytes = 0;
    let seq = messages.length + 1;
    while (seq > 1 && messages.length - seq + 1 < this.#retention.historySize) {
      bytes += messages[seq - 2].bytes;
      if (bytes > this.#retention.historyBytes) break;
      seq--;
    }
    return seq;
  }

  /** Lowest number that a living session needs. */
  #need(name: string): number {
    let need = Infinity;
    for (const key of this.#sessions.keys()) {
      const cursor = this.#session(key)?.positions.get(name)?.cursor;
      if (cursor === undefined) continue;
      need = Math.min(need, cursor.floor + 1);
      for (const { seq, redriven } of cursor.late) {
        if (redriven === undefined) need = Math.min(need, seq);
      }
    }
    return need;
  }
}
