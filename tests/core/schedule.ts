import { assert, assertEquals } from "@std/assert";
import {
  type MessageFrame,
  parseEventId,
  type Position,
  PushError,
  RangeSet,
} from "@push/client/protocol";
import { type SeededRandom, seededRandom } from "../../server/testing/mod.ts";
import { numbers as numbersFrom, type TestClient, World } from "./harness.ts";

/** What a schedule may do beside its everyday work. */
export interface Troubles {
  /** Operations of the store take up to so many milliseconds. */
  readonly latency: number;
  /** Share of the operations that fail. */
  readonly failures: number;
  /** Whether the gateway crashes now and then. */
  readonly crashes: boolean;
  /** Whether channels are so small that messages are lost, and told as gaps. */
  readonly trims?: boolean;
}

const CHANNELS = ["x", "y"] as const;
const DURABLE = ["append", "commit", "read", "load", "create"];

/** One subscriber: what it received, and what it knows to be settled. */
class Reader {
  readonly name: string;
  client: TestClient | undefined;
  /** Received and not answered yet. */
  inbox: MessageFrame[] = [];
  /** Event ids in the order of their first deliveries. */
  readonly seen: string[] = [];
  /** Event ids whose acknowledgement was confirmed. */
  final: Set<string> = new Set();
  /** Acknowledgements on their way, by event id. */
  readonly asked: Map<string, TestClient> = new Map();
  /** By channel: the highest number received, and what is not answered of those below. */
  readonly positions: Map<string, { epoch: string; seq: number; open: RangeSet }> = new Map();
  /** By channel: the highest number that a gap was told of. */
  readonly gaps: Map<string, number> = new Map();

  constructor(name: string) {
    this.name = name;
  }
}

/** A gateway, its store, readers and a publisher in one random schedule. */
export class Schedule {
  readonly world: World;
  readonly #random: SeededRandom;
  readonly #troubles: Troubles;
  readonly #readers: Reader[];
  readonly #wire: ("fixed" | "extended")[];
  readonly #published: Promise<void>[] = [];
  readonly #stored: { channel: string; seq: number; n: number }[] = [];
  #n = 0;
  #healthy = false;
  #script: string[] = [];
  #instances = 0;
  #crashed = false;
  /** Own messages of the readers, as "name channel number". */
  readonly #own = new Set<string>();

  constructor(seed: number, troubles: Troubles) {
    const random = this.#random = seededRandom(seed);
    this.#troubles = troubles;
    this.world = new World(
      {
        delivery: {
          ackTimeout: 4_000,
          maxRetries: random.below(4),
          retryBackoff: 1 + random.next(),
          window: 1 + random.below(random.pick([1, 8])),
          windowBytes: random.pick([200, 2_000, 1_000_000]),
          ...(troubles.trims ? { maxChannelBytes: 1_000 + random.below(1_000) } : {}),
        },
      },
    );
    const { target } = this.world.interposed;
    const append = target.append.bind(target);
    target.append = async (channel, drafts, now) => {
      const result = await append(channel, drafts, now);
      for (const { seq, source } of result.messages) this.#own.add(`${source} ${channel} ${seq}`);
      return result;
    };
    this.#readers = ["ann", "bob", "cid"].map((name) => new Reader(name));
    this.#wire = this.#readers.map(() => random.pick(["fixed", "extended"] as const));
    this.world.interposed.before = ({ operation }) => this.#trouble(operation, "unavailable");
    this.world.interposed.after = ({ operation }) =>
      operation === "append" ? this.#trouble(operation, "outcome_unknown") : this.#linger();
  }

  /** What was done so far. */
  get script(): string {
    return this.#script.join(" ");
  }

  async run(steps: number): Promise<void> {
    this.#healthy = true;
    for (const reader of this.#readers) await this.#connect(reader);
    this.#healthy = false;
    for (let step = 0; step < steps; step++) await this.#step();
    await this.#heal();
    await this.#judge();
    await this.world.end();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const action = random.pick(
      [
        ...["publish", "publish", "publish", "publish", "publish"] as const,
        ...["answer", "answer", "answer", "answer", "answer", "answer", "answer"] as const,
        ...["pass", "pass", "pass", "connect", "drop", "subscribe", "redrive", "crash"] as const,
        ...["say", "say", "slow", "drain", "jump"] as const,
      ] as const,
    );
    this.#script.push(action);
    const reader = random.pick(this.#readers);
    if (action === "publish") this.#publish();
    else if (action === "answer") this.#answer(reader);
    else if (action === "pass") await this.world.pass(random.below(random.pick([50, 500, 5_000])));
    else if (action === "connect") this.#redial(reader);
    else if (action === "drop") await this.#drop(reader);
    else if (action === "subscribe") this.#subscribe(reader);
    else if (action === "redrive") this.#redrive();
    else if (action === "say") this.#say(reader);
    else if (action === "slow") this.#slow(reader);
    else if (action === "drain") await reader.client?.drain(1 + random.below(5));
    else if (action === "jump" && random.below(5) === 0) {
      this.world.clock.jump(random.pick([1, -1]) * 3_600_000);
    } else if (this.#troubles.crashes && random.below(6) === 0) this.#crash();
    await this.world.pass(random.below(3));
    for (const each of this.#readers) this.#receive(each);
  }

  #publish(): void {
    for (let count = 1 + this.#random.below(3); count > 0; count--) {
      const n = ++this.#n;
      const channel = this.#random.pick(CHANNELS);
      this.#published.push(
        this.world.hub.publish(channel, String(n), {}).then(
          ({ seq }) => void this.#stored.push({ channel, seq, n }),
          (error) => assert(error instanceof PushError, String(error)),
        ),
      );
    }
  }

  /** A reader publishes: it does not want its own message. */
  #say(reader: Reader): void {
    const data = ++this.#n;
    reader.client?.say({ type: "channel.publish", channel: this.#random.pick(CHANNELS), data });
  }

  #slow({ client }: Reader): void {
    if (client !== undefined) client.connection.capacity = this.#random.below(3);
  }

  #answer(reader: Reader): void {
    const { client } = reader;
    if (client === undefined || client.closed !== undefined) return;
    for (let count = this.#random.below(5); count > 0 && reader.inbox.length > 0; count--) {
      const [message] = reader.inbox.splice(this.#random.below(reader.inbox.length), 1);
      const { event_id } = message;
      const fate = this.#healthy ? 0 : this.#random.below(10);
      if (fate === 9) continue;
      if (fate === 8) {
        client.say({ type: "message_nack", event_id, delay: this.#random.below(3) });
      } else {
        reader.asked.set(event_id, client);
        const { channel, seq } = parseEventId(event_id)!;
        reader.positions.get(channel)?.open.delete(seq);
        client.say({ type: "message_ack", event_id });
      }
    }
  }

  #receive(reader: Reader): void {
    const { client } = reader;
    if (client === undefined) return;
    for (const { event_id, ok } of client.connection.take("ack_received")) {
      if (ok && reader.asked.get(event_id) === client) reader.final.add(event_id);
    }
    for (const message of client.take()) {
      const { event_id, _redelivered, _retry_count, _redriven } = message;
      assert(
        !reader.final.has(event_id) || _redriven,
        `${event_id} came after its acknowledgement`,
      );
      const again = reader.seen.includes(event_id);
      if (!again) reader.seen.push(event_id);
      assert(
        !again || _redelivered === true || this.#crashed,
        `${event_id} came again without a mark`,
      );
      assert(message.source !== reader.name, `${event_id} is the reader's own`);
      const { channel, epoch, seq } = parseEventId(event_id)!;
      const position = reader.positions.get(channel) ?? { epoch, seq: 0, open: new RangeSet() };
      reader.positions.set(channel, position);
      position.seq = Math.max(position.seq, seq);
      position.open.add(seq);
      const { maxRetries } = this.world.settings.delivery;
      assert((_retry_count ?? 0) <= maxRetries, `${event_id}: attempt ${_retry_count}`);
      reader.inbox.push(message);
    }
    for (const { channel, seq } of client.connection.take("channel.gap")) {
      this.#gap(reader, channel, seq);
    }
    const unexpected = client.connection.take("error").filter(({ code, channel, message }) => {
      if (code !== "gap") {
        return code !== "unavailable" && code !== "replaced" && code !== "outcome_unknown";
      }
      this.#gap(reader, channel!, Number(/number (\d+)/.exec(message)![1]));
      return false;
    });
    assertEquals(unexpected, []);
  }

  #gap(reader: Reader, channel: string, seq: number): void {
    assert(this.#troubles.trims, "Nothing was lost");
    reader.gaps.set(channel, Math.max(reader.gaps.get(channel) ?? 0, seq));
    const position = reader.positions.get(channel);
    if (position !== undefined) position.seq = Math.max(position.seq, seq);
  }

  /** A new connection, whether the old one is gone or not; it subscribes now or later. */
  #redial(reader: Reader): void {
    if (reader.client !== undefined) this.#receive(reader);
    // What was received over the old connection may still be answered over the new one.
    if (this.#random.below(2) === 0) reader.inbox = [];
    const i = this.#readers.indexOf(reader);
    const client = reader.client = this.world.dial(
      this.#wire[i] === "fixed" ? reader.name : undefined,
    );
    if (this.#wire[i] === "extended") {
      const subscriptions = this.#random.below(2) === 0
        ? CHANNELS.map((channel) => ({ channel, position: this.#positionOf(reader, channel) }))
        : [];
      client.say({
        type: "connect",
        version: 1,
        client_id: reader.name,
        instance: `${++this.#instances}`,
        attempt: 0,
        subscriptions,
      });
    } else client.say({ type: "ping" });
    if (this.#random.below(3) > 0) this.#subscribe(reader);
  }

  /** What a client says that it has, if it is one that says so. */
  #positionOf(reader: Reader, channel: string): Position | undefined {
    const position = reader.positions.get(channel);
    if (position === undefined || this.#random.below(2) === 0) return undefined;
    const { epoch, seq, open } = position;
    return { epoch, seq, open: open.toRanges() };
  }

  #subscribe(reader: Reader): void {
    const channels = this.#random.below(2) === 0 ? CHANNELS : [this.#random.pick(CHANNELS)];
    for (const channel of channels) reader.client?.say({ type: "channel.subscribe", channel });
  }

  async #connect(reader: Reader): Promise<void> {
    this.#redial(reader);
    for (const channel of CHANNELS) reader.client!.say({ type: "channel.subscribe", channel });
    await this.world.settle();
  }

  async #drop(reader: Reader): Promise<void> {
    if (reader.client === undefined) return;
    this.#receive(reader);
    await reader.client.drop();
    reader.client = undefined;
  }

  #redrive(): void {
    if (this.#random.below(3) > 0) return;
    const redriven = this.world.hub.redrive({ limit: 3 }).then(
      () => {},
      () => {},
    );
    this.#published.push(redriven);
  }

  #crash(): void {
    this.world.crash();
    // How far was sent is not stored with each message: a crash forgets marks.
    this.#crashed = true;
    this.#published.length = 0;
    for (const reader of this.#readers) {
      reader.client = undefined;
      // Acknowledgements of the last second may be forgotten; while the store fails, older ones.
      reader.final = new Set();
    }
  }

  #trouble(operation: string, code: "unavailable" | "outcome_unknown"): Promise<void> | void {
    if (this.#healthy) return;
    const { latency, failures } = this.#troubles;
    const fails = DURABLE.includes(operation) && this.#random.next() < failures;
    const ms = code === "unavailable" ? this.#random.below(latency + 1) : 0;
    if (ms === 0 && !fails) return;
    return new Promise((resolve, reject) => {
      this.world.clock.schedule(ms, () => fails ? reject(new PushError(code)) : resolve());
    });
  }

  /** The answer of the store comes later than it was given. */
  #linger(): Promise<void> | void {
    const ms = this.#healthy ? 0 : this.#random.below(this.#troubles.latency + 1);
    if (ms === 0) return;
    return new Promise((resolve) => void this.world.clock.schedule(ms, resolve));
  }

  /**
   * No more troubles, everybody connected: after a while nothing may be owed. A new connection would
   * wake whatever has fallen asleep, so some keep theirs.
   */
  async #heal(): Promise<void> {
    this.#healthy = true;
    await this.world.pass(2_000);
    for (const reader of this.#readers) {
      const { client } = reader;
      const isWell = client?.closed === undefined && client?.connection.capacity === Infinity;
      if (isWell && this.#random.below(2) === 0) {
        for (const channel of CHANNELS) client.say({ type: "channel.subscribe", channel });
        await this.world.settle();
        continue;
      }
      await this.#drop(reader);
      await this.#connect(reader);
    }
    for (let round = 0; round < 300; round++) {
      for (const reader of this.#readers) {
        this.#receive(reader);
        while (reader.inbox.length > 0) this.#answer(reader);
      }
      await this.world.pass(round < 250 ? 100 : 2_000);
    }
    await Promise.all(this.#published);
  }

  async #judge(): Promise<void> {
    const { world } = this;
    const letters = await world.hub.deadLetters({ limit: 100_000 });
    for (const channel of CHANNELS) {
      const { messages, epoch } = await world.store.read(channel, 0, 100_000, world.clock.now());
      const numbers = messages.filter(({ source }) => source === null)
        .map(({ payload }) => Number(payload));
      assertEquals(numbers, numbers.toSorted((a, b) => a - b), "Stored in sending order");
      const first = messages[0]?.seq ?? 0;
      for (const stored of this.#stored.filter((each) => each.channel === channel)) {
        const { payload } = messages[stored.seq - first] ?? {};
        assert(payload === String(stored.n) || stored.seq < first, "An answered publish");
      }
      for (const { name, seen, final, gaps } of this.#readers) {
        const places = seen.map((id) => parseEventId(id)!).filter((at) => at.channel === channel);
        const seqs = places.map(({ seq }) => seq);
        assertEquals(seqs, seqs.toSorted((a, b) => a - b), `First deliveries to ${name}`);
        const dead = letters.filter((letter) =>
          letter.channel === channel && letter.session === `n:${name}:anonymous`
        ).map(({ message }) => message.seq);
        assertEquals(new Set(dead).size, dead.length, "One dead letter each");
        const owed = messages.filter(({ seq, source }) =>
          source !== name && !final.has(`${epoch}:${seq}:${channel}`) && !dead.includes(seq) &&
          seq > (gaps.get(channel) ?? 0)
        ).map(({ seq }) => seq);
        const lost = numbersFrom(1, first - 1).filter((seq) =>
          seq > (gaps.get(channel) ?? 0) && !seqs.includes(seq) &&
          !this.#own.has(`${name} ${channel} ${seq}`)
        );
        assertEquals(lost, [], `Lost in silence by ${name} on ${channel}`);
        const position = await world.position(name, channel);
        // What a crash made forget was answered false, or is settled by an older acknowledgement.
        const settled = owed.filter((seq) =>
          seq <= position!.floor && !position!.late.some((late) => late.seq === seq) &&
          seqs.includes(seq)
        );
        assertEquals(owed, settled, `Owed to ${name} on ${channel}`);
        const head = messages.at(-1)?.seq ?? 0;
        // What is gone, and was told, stays late until a later message was acknowledged.
        const late = position?.late.filter(({ seq }) => seq >= first);
        assertEquals([position?.floor, late], [head, []], `${name} on ${channel}`);
      }
    }
  }
}
