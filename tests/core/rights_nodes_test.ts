import { assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { seededRandom } from "../../server/testing/mod.ts";
import { NodesWorld, overNodes } from "./nodes_world.ts";
import type { TestClient } from "./test_client.ts";

const SCHEDULES = 60;
const STEPS = 60;
const CHANNELS = ["x", "y"];
const NAMES = ["a", "b"];
/** Milliseconds within which every node has heard of a change. */
const HEARD = 1_000;

/** One client and one channel: what it may read, and what it was promised. */
interface Reading {
  readonly forbidden: Set<number>;
  /** Published while it took itself for subscribed, and was. */
  readonly owed: Set<number>;
  readonly got: Set<number>;
}

/** Clients move between nodes while rights are lost and given back at any of them. */
class Schedule {
  readonly script: string[] = [];
  readonly #random;
  readonly #world: NodesWorld;
  readonly #rights = new Set(CHANNELS);
  readonly #readings = new Map<string, Reading>();
  readonly #clients = new Map<string, TestClient>();
  /** Channels that a client takes itself for subscribed to. */
  readonly #believed = new Map<string, Set<string>>();
  /** How many frames of a client were read. */
  readonly #heard = new WeakMap<TestClient, number>();
  #next = 0;

  constructor(seed: number) {
    const random = this.#random = seededRandom(seed);
    const slowest = random.pick([0, 0, 30, 400]);
    const world: NodesWorld = this.#world = new NodesWorld({
      nodes: 3,
      seed,
      presence: { broadcastChanges: false },
      authorize: (_, _action, channel) => {
        if (slowest === 0) return this.#rights.has(channel!);
        const { promise, resolve } = Promise.withResolvers<boolean>();
        // What was true when it was asked for may not be so when it is heard.
        const said = this.#rights.has(channel!);
        world.clock.schedule(random.below(slowest), () => resolve(said));
        return promise;
      },
    });
    for (const name of NAMES) {
      this.#believed.set(name, new Set());
      for (const channel of CHANNELS) {
        this.#readings.set(`${name} ${channel}`, {
          forbidden: new Set(),
          owed: new Set(),
          got: new Set(),
        });
      }
    }
  }

  async run(): Promise<void> {
    await this.#world.start();
    this.#world.cluster.rumours = {
      loss: 0,
      repeats: this.#random.pick([0, 0.3]),
      delay: 0,
      jitter: this.#random.pick([0, 20, 200]),
    };
    for (let step = 0; step < STEPS; step++) await this.#step();
    for (const name of NAMES) await this.#connect(name);
    await this.#world.pass(5_000);
    for (const name of NAMES) this.#read(name);
    for (const [name, { owed, got }] of this.#readings) {
      assertEquals([...owed].filter((n) => !got.has(n)), [], `Lost by ${name}`);
    }
    await this.#world.end();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const [name, channel] = [random.pick(NAMES), random.pick(CHANNELS)];
    switch (random.below(9)) {
      case 0:
        return await this.#change(channel);
      case 1:
        return await this.#flicker(channel);
      case 2: {
        this.script.push(`drop ${name}`);
        await this.#clients.get(name)?.drop();
        this.#read(name);
        this.#clients.delete(name);
        return;
      }
      case 3:
      case 4:
        return await this.#connect(name);
      case 5:
        this.script.push("pass");
        return await this.#world.pass(random.below(3_000));
      default:
        return await this.#publish(channel);
    }
  }

  async #publish(channel: string): Promise<void> {
    const n = ++this.#next;
    this.script.push(`publish ${n} to ${channel}`);
    for (const name of NAMES) {
      this.#read(name);
      const { forbidden, owed } = this.#readings.get(`${name} ${channel}`)!;
      if (!this.#rights.has(channel)) forbidden.add(n);
      else if (this.#believed.get(name)!.has(channel)) owed.add(n);
    }
    await this.#world.publish(this.#random.below(3), channel, n);
  }

  /** A right is lost, or given back, and every node has heard of it. */
  async #change(channel: string): Promise<void> {
    const isTaken = this.#rights.delete(channel);
    if (!isTaken) this.#rights.add(channel);
    this.script.push(`${isTaken ? "take" : "give"} ${channel}`);
    await this.#reauthorize();
    this.#forget(channel, isTaken);
    if (isTaken) return;
    for (const [name, client] of this.#clients) await this.#subscribe(name, client, channel);
  }

  /** A right is lost and given back at once: whoever is not told of it has lost nothing. */
  async #flicker(channel: string): Promise<void> {
    if (!this.#rights.has(channel)) return;
    this.script.push(`flicker ${channel}`);
    const { nodes } = this.#world;
    const told: Promise<void>[] = [];
    for (const isTaken of [true, false]) {
      if (isTaken) this.#rights.delete(channel);
      else this.#rights.add(channel);
      told.push(nodes[this.#random.below(3)].hub.reauthorize({}).catch(ignored));
      await this.#world.pass(this.#random.pick([0, 0, 10, 150]));
    }
    await this.#world.pass(HEARD);
    await Promise.all(told);
    // A client that is away hears of it when it is back, as far as its wire can say so.
    for (const name of NAMES) {
      if (!this.#clients.has(name)) this.#believed.get(name)!.delete(channel);
      this.#readings.get(`${name} ${channel}`)!.owed.clear();
      this.#read(name);
    }
    for (const [name, client] of this.#clients) {
      if (!this.#believed.get(name)!.has(channel)) await this.#subscribe(name, client, channel);
    }
  }

  async #reauthorize(): Promise<void> {
    const told = this.#world.nodes[this.#random.below(3)].hub.reauthorize({}).catch(ignored);
    await this.#world.pass(HEARD);
    await told;
  }

  #forget(channel: string, isTaken: boolean): void {
    for (const name of NAMES) {
      this.#read(name);
      // What was on its way need not come any more, and may.
      this.#readings.get(`${name} ${channel}`)!.owed.clear();
      if (!isTaken) continue;
      if (this.#clients.has(name)) {
        assertEquals(this.#believed.get(name)!.has(channel), false, `${name} was not told`);
      }
      this.#believed.get(name)!.delete(channel);
    }
  }

  async #connect(name: string): Promise<void> {
    const at = this.#random.below(3);
    this.script.push(`connect ${name} at ${at}`);
    const client = await this.#world.connect(at, name, { wire: "fixed" });
    await this.#world.pass(HEARD);
    this.#read(name);
    this.#clients.set(name, client);
    for (const channel of CHANNELS) await this.#subscribe(name, client, channel);
  }

  async #subscribe(name: string, client: TestClient, channel: string): Promise<void> {
    client.say({ type: "channel.subscribe", channel });
    await this.#world.pass(HEARD);
    this.#read(name);
  }

  /** What a client was told since, in order. */
  #read(name: string): void {
    const client = this.#clients.get(name);
    if (client === undefined) return;
    const believed = this.#believed.get(name)!;
    const { frames } = client;
    const from = this.#heard.get(client) ?? 0;
    this.#heard.set(client, frames.length);
    for (const frame of frames.slice(from)) {
      if (frame.type === "channel_message") {
        const { forbidden, got } = this.#readings.get(`${name} ${frame.channel}`)!;
        const n = Number(frame.data);
        assertEquals(forbidden.has(n), false, `${name} got ${n}, which is forbidden`);
        got.add(n);
      } else if (frame.type === "channel.subscribed") believed.add(frame.channel);
      else if (frame.type === "error" && frame.code === "forbidden") {
        believed.delete(frame.channel!);
      }
    }
    if (client.closed !== undefined) this.#clients.delete(name);
  }
}

function ignored(error: unknown): void {
  if (!(error instanceof PushError)) throw error;
}

Deno.test(`in ${SCHEDULES} schedules of rights and clients that move between nodes nothing comes of the time between, and nothing else is lost`, async () => {
  const only = Deno.env.get("SEED");
  for (let seed = 1; seed <= SCHEDULES; seed++) {
    if (only && Number(only) !== seed) continue;
    const schedule = new Schedule(seed);
    try {
      await schedule.run();
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`With seed ${seed}, after ${schedule.script.join(", ")}: ${message}`, {
        cause: error,
      });
    }
  }
});

Deno.test(
  "a client is sent away for good however often it has changed nodes",
  overNodes({ limits: { maxTakeovers: 1 } }, async (world) => {
    const [one] = world.nodes;
    await world.connect(0, "a");
    await world.connect(0, "a");
    const client = await world.connect(1, "a");
    assertEquals(client.closed, undefined);
    const forgotten = one.hub.forget("anonymous", "a");
    await world.pass(3_000);
    await forgotten;
    assertEquals(client.closed, "replaced");
  }),
);
