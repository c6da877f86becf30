import { assert, assertEquals } from "@std/assert";
import {
  type GatewayFrame,
  type MessageFrame,
  parseEventId,
  PushError,
  RangeSet,
} from "@push/client/protocol";
import type { SeededRandom } from "../../server/testing/mod.ts";
import { NodesWorld } from "../core/nodes_world.ts";
import type { TestClient } from "../core/test_client.ts";

/** What may happen beside everyday work. */
export interface NodesTroubles {
  /** Whether rumours are lost, doubled and late. */
  readonly rumours: boolean;
  /** Whether nodes are killed, and cut off from the store. */
  readonly deaths: boolean;
  /** Share of the operations of the store that fail, half of them after they had their effect. */
  readonly failures: number;
}

const NODES = 3;
const CHANNELS = ["x", "y"] as const;
const NAMES = ["ann", "bob", "cid"] as const;
/** Least times between two cycles, in milliseconds. */
const FLUSH_INTERVALS = [0, 3, 0, 20, 0];
const FALLIBLE = new Set([
  ...["append", "commit", "read", "load", "claim", "release", "renew", "states", "forget"],
]);

/** A connection of a reader, and what it has read of it. */
interface Line {
  readonly client: TestClient;
  readonly at: number;
  read: number;
  /** Received and not answered. */
  inbox: MessageFrame[];
}

/** One client, wherever it is connected; it leaves connections behind that still speak. */
class Reader {
  readonly name: string;
  readonly wire: "fixed" | "extended";
  readonly lines: Line[] = [];
  /** Event ids in the order of their first deliveries. */
  readonly seen: Set<string> = new Set();
  /** Acknowledged by the newest connection, confirmed, and not to be forgotten. */
  final: Set<string> = new Set();
  /** Acknowledged by a connection that was not stale then, confirmed or not. */
  readonly acknowledged: Set<string> = new Set();

  constructor(name: string, wire: "fixed" | "extended") {
    this.name = name;
    this.wire = wire;
  }

  get newest(): Line | undefined {
    return this.lines.at(-1);
  }

  /** Whether a newer connection has the session: what this one says must change nothing. */
  isStale(line: Line): boolean {
    const newer = this.lines.slice(this.lines.indexOf(line) + 1);
    return newer.some(({ client }) => client.frames.some(({ type }) => type !== "error"));
  }
}

/** Nodes, readers that move between them, and publishers, in one random schedule. */
export class NodesSchedule {
  readonly world: NodesWorld;
  readonly #random: SeededRandom;
  readonly #troubles: NodesTroubles;
  readonly #readers: Reader[];
  readonly #under: Promise<unknown>[] = [];
  /** Payloads by "channel number", of publishes that were answered. */
  readonly #stored = new Map<string, number>();
  readonly #down = new Set<number>();
  readonly #cut = new Set<number>();
  readonly #script: string[] = [];
  #healthy = true;
  #n = 0;

  constructor(seed: number, troubles: NodesTroubles) {
    this.#troubles = troubles;
    this.world = new NodesWorld({
      nodes: NODES,
      seed,
      flushInterval: FLUSH_INTERVALS[seed % FLUSH_INTERVALS.length],
      delivery: {
        ackTimeout: 4_000,
        maxRetries: seed % 4,
        retryBackoff: 1.2,
        window: 1 + seed % 7,
      },
    });
    this.#random = this.world.random;
    this.#readers = NAMES.map((name) =>
      new Reader(name, this.#random.pick(["fixed", "extended"] as const))
    );
  }

  /** What was done so far. */
  get script(): string {
    return this.#script.join(" ");
  }

  async run(steps: number): Promise<void> {
    await this.world.start();
    for (let at = 0; at < NODES; at++) this.#interpose(at);
    for (const reader of this.#readers) this.#move(reader);
    await this.world.pass(1_000);
    this.#healthy = false;
    for (let step = 0; step < steps; step++) await this.#step();
    await this.#heal();
    await this.#judge();
    await this.world.end();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const { rumours, deaths } = this.#troubles;
    const action = random.pick(
      [
        ...["publish", "publish", "publish", "publish", "answer", "answer", "answer"] as const,
        ...["answer", "answer", "pass", "pass", "move", "move", "stale", "drop"] as const,
        ...["redrive", ...(rumours ? ["rumours"] as const : [])] as const,
        ...(deaths ? ["kill", "cut", "heal"] as const : []),
      ] as const,
    );
    this.#script.push(action);
    const reader = random.pick(this.#readers);
    if (action === "publish") this.#publish();
    else if (action === "answer") this.#answer(reader, reader.newest);
    else if (action === "stale") this.#answer(reader, random.pick(reader.lines));
    else if (action === "pass") await this.world.pass(random.below(random.pick([30, 500, 5_000])));
    else if (action === "move") this.#move(reader);
    else if (action === "drop") await reader.newest?.client.drop();
    else if (action === "redrive") this.#redrive();
    else if (action === "rumours") this.#spoil();
    else if (action === "kill") await this.#kill();
    else if (action === "cut") this.#cutOff();
    else this.#join();
    await this.world.pass(random.below(40));
    this.#receiveAll();
  }

  /** A node that works. */
  #node(): number {
    const up = [0, 1, 2].filter((at) => !this.#down.has(at));
    return this.#random.pick(up);
  }

  #publish(): void {
    for (let count = 1 + this.#random.below(3); count > 0; count--) {
      const n = ++this.#n;
      const channel = this.#random.pick(CHANNELS);
      this.#under.push(
        this.world.nodes[this.#node()].hub.publish(channel, String(n), {}).then(
          ({ seq }) => void this.#stored.set(`${channel} ${seq}`, n),
          (error) => assert(error instanceof PushError, String(error)),
        ),
      );
    }
  }

  #answer(reader: Reader, line: Line | undefined): void {
    if (line === undefined || line.client.closed !== undefined) return;
    for (let count = this.#random.below(5); count > 0 && line.inbox.length > 0; count--) {
      const [{ event_id }] = line.inbox.splice(this.#random.below(line.inbox.length), 1);
      const fate = this.#healthy ? 0 : this.#random.below(10);
      if (fate === 9) continue;
      if (fate === 8) line.client.say({ type: "message_nack", event_id });
      else {
        if (!reader.isStale(line)) reader.acknowledged.add(event_id);
        line.client.say({ type: "message_ack", event_id });
      }
    }
  }

  /** A new connection to some node, whether the old one is gone or not. */
  #move(reader: Reader): void {
    this.#receive(reader);
    // Without attempts to tell them apart, the newer of two that are being opened is not known.
    if (reader.wire === "fixed" && this.#isOpening(reader.newest)) return;
    // Where a node cannot let go in order, what it has not stored is forgotten.
    const { rumours, deaths, failures } = this.#troubles;
    if (rumours || deaths || failures > 0) this.#forget(reader);
    const at = this.#node();
    const client = this.world.dial(at, reader.wire === "fixed" ? reader.name : undefined);
    reader.lines.push({ client, at, read: 0, inbox: [] });
    if (reader.wire === "fixed") client.say({ type: "ping" });
    else {
      const { name: instance, lines: { length: attempt } } = reader;
      client.say({ type: "connect", version: 1, client_id: instance, instance, attempt });
    }
    for (const channel of CHANNELS) client.say({ type: "channel.subscribe", channel });
  }

  #isOpen(line: Line | undefined): boolean {
    if (line === undefined) return false;
    const { client, at } = line;
    return client.closed === undefined && !client.isGone &&
      client.connection.onClose !== undefined &&
      this.world.nodes[at].clients.includes(client);
  }

  #isOpening(line: Line | undefined): boolean {
    return this.#isOpen(line) && line?.client.frames.length === 0;
  }

  #forget(reader: Reader): void {
    reader.final = new Set([...reader.final].filter((id) => this.#isStored(reader, id)));
  }

  #isStored({ name }: Reader, id: string): boolean {
    const { channel, seq } = parseEventId(id)!;
    const position = this.world.position(name, channel);
    if (position === undefined || position.late.some((late) => late.seq === seq)) return false;
    return seq <= position.floor || new RangeSet(position.settled).has(seq);
  }

  #redrive(): void {
    if (this.#random.below(3) > 0) return;
    const { hub } = this.world.nodes[this.#node()];
    this.#under.push(hub.redrive({ limit: 3 }).then(() => {}, () => {}));
  }

  #spoil(): void {
    this.world.cluster.rumours = {
      loss: this.#random.pick([0, 0.3, 1]),
      repeats: this.#random.pick([0, 0.5]),
      delay: this.#random.pick([0, 3, 200]),
      jitter: this.#random.pick([0, 50]),
    };
  }

  async #kill(): Promise<void> {
    if (this.#random.below(2) === 0) return;
    const at = this.#node();
    for (const reader of this.#readers) {
      this.#receive(reader);
      this.#forget(reader);
    }
    this.world.kill(at);
    this.#cut.delete(at);
    await this.world.startNode(at);
    this.#interpose(at);
  }

  #cutOff(): void {
    const at = this.#node();
    this.world.nodes[at].member.cut();
    this.#cut.add(at);
  }

  #join(): void {
    for (const at of this.#cut) this.world.nodes[at].member.heal();
    this.#cut.clear();
  }

  #interpose(at: number): void {
    const { interposed } = this.world.nodes[at];
    const fail = (operation: string, code: "unavailable" | "outcome_unknown") => {
      if (this.#healthy || !FALLIBLE.has(operation)) return;
      if (this.#random.next() < this.#troubles.failures / 2) throw new PushError(code);
    };
    interposed.before = ({ operation }) => fail(operation, "unavailable");
    interposed.after = ({ operation }) => fail(operation, "outcome_unknown");
  }

  #receiveAll(): void {
    for (const reader of this.#readers) this.#receive(reader);
  }

  #receive(reader: Reader): void {
    for (const line of reader.lines) {
      const { frames } = line.client;
      while (line.read < frames.length) this.#take(reader, line, frames[line.read++]);
    }
  }

  #take(reader: Reader, line: Line, frame: GatewayFrame): void {
    if (frame.type === "ack_received") {
      const counts = frame.ok && line === reader.newest && reader.acknowledged.has(frame.event_id);
      if (counts) reader.final.add(frame.event_id);
    } else if (frame.type === "channel_message") {
      this.#takeMessage(reader, line, frame);
    } else if (frame.type === "channel.gap" || (frame.type === "error" && frame.code === "gap")) {
      throw new Error(`${reader.name} was told of a gap where none is`);
    }
  }

  #takeMessage(reader: Reader, line: Line, message: MessageFrame): void {
    const { event_id, _redelivered, _redriven, _retry_count } = message;
    line.inbox.push(message);
    // An older connection may be sent what the newer one has settled, until it is closed.
    if (line !== reader.newest) return void reader.seen.add(event_id);
    assert(
      _redriven === true || !reader.final.has(event_id),
      `${reader.name}: ${event_id} came after its acknowledgement`,
    );
    const { maxRetries } = this.world.settings.delivery;
    assert((_retry_count ?? 0) <= maxRetries, `${event_id}: attempt ${_retry_count}`);
    const again = reader.seen.has(event_id);
    const { deaths, rumours, failures } = this.#troubles;
    const mayLackMark = deaths || rumours || failures > 0;
    assert(!again || _redelivered || mayLackMark, `${event_id} came again without a mark`);
    if (again) return;
    const { channel, seq } = parseEventId(event_id)!;
    const before = [...reader.seen].map((id) => parseEventId(id)!)
      .filter((place) => place.channel === channel).at(-1);
    assert((before?.seq ?? 0) < seq, `${reader.name}: ${seq} came first after ${before?.seq}`);
    reader.seen.add(event_id);
  }

  /** No more troubles, everybody connected: after a while nothing may be owed. */
  async #heal(): Promise<void> {
    this.#healthy = true;
    this.world.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
    this.#join();
    await this.world.pass(2_000);
    // Who is connected gets what it missed without doing anything, unless a subscribe was refused.
    const { deaths, failures } = this.#troubles;
    const mayLack = deaths || failures > 0;
    for (const reader of this.#readers) {
      if (mayLack || !this.#isOpen(reader.newest)) this.#move(reader);
    }
    for (let round = 0; round < 100 && !(round > 10 && await this.#isDone()); round++) {
      await this.world.pass(round < 50 ? 300 : 3_000);
      this.#receiveAll();
      for (const reader of this.#readers) {
        // A redrive of the end may come between.
        for (let i = 0; i < 20; i++) this.#answer(reader, reader.newest);
      }
    }
    await Promise.all(this.#under);
    await this.world.pass(8_000);
    this.#receiveAll();
  }

  async #isDone(): Promise<boolean> {
    const { world } = this;
    for (const channel of CHANNELS) {
      // What was stored is owed, also where its publisher was told that it may not be.
      const { head } = await world.nodes[0].interposed.target.read(
        channel,
        0,
        1,
        world.clock.now(),
      );
      for (const { name } of this.#readers) {
        const position = world.position(name, channel);
        if (position?.late.length !== 0 || position.floor < head) return false;
      }
    }
    return this.#readers.every(({ newest }) => newest?.inbox.length === 0);
  }

  async #judge(): Promise<void> {
    const { world } = this;
    const store = world.nodes[0].interposed.target;
    const now = world.clock.now();
    const letters = await store.deadLetters({ limit: 100_000 }, now);
    for (const channel of CHANNELS) {
      const { messages, epoch, head } = await store.read(channel, 0, 100_000, now);
      const payloads = new Map(messages.map(({ seq, payload }) => [seq, payload]));
      for (const [place, n] of this.#stored) {
        const [name, seq] = place.split(" ");
        if (name === channel) assertEquals(payloads.get(Number(seq)), String(n), place);
      }
      for (const reader of this.#readers) {
        const { name, acknowledged } = reader;
        const who = `${name} on ${channel}`;
        const dead = letters.filter((letter) =>
          letter.channel === channel && letter.session === `n:${name}:anonymous`
        ).map(({ message }) => message.seq);
        assertEquals(dead.length, new Set(dead).size, `${who}: one dead letter each`);
        const owed = messages.map(({ seq }) => seq).filter((seq) =>
          !acknowledged.has(`${epoch}:${seq}:${channel}`) && !dead.includes(seq)
        );
        assertEquals(owed, [], `${who} is owed messages`);
        const position = world.position(name, channel);
        assertEquals([position?.floor, position?.late], [head, []], who);
      }
    }
    for (const { name, lines } of this.#readers) {
      const open = lines.filter((line) => this.#isOpen(line));
      assert(
        open.length <= 1 && open[0] === lines.at(-1),
        `${name} has ${open.length} connections`,
      );
    }
  }
}
