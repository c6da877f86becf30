import { assertEquals } from "@std/assert";
import { seededRandom } from "../../server/testing/mod.ts";
import { type TestClient, World } from "./harness.ts";

const SCHEDULES = 150;
const STEPS = 80;
const CHANNELS = ["x", "y"];
const NAMES = ["ann", "bob"];

/** One client and one channel: what it may read, and what it was promised. */
interface Reading {
  /** Whether it may subscribe now. */
  isAllowed: boolean;
  /** Whether it subscribed since it got the right. */
  isSubscribed: boolean;
  /** Published while it had no right: must never come. */
  readonly forbidden: Set<number>;
  /** Published while it was subscribed, since the right was given last: must come. */
  owed: Set<number>;
  readonly got: Set<number>;
}

/** Rights are lost and given back, connections are lost and taken over: what comes is what may come. */
class Schedule {
  readonly script: string[] = [];
  readonly #random;
  readonly #world: World;
  readonly #readings = new Map<string, Reading>();
  readonly #clients = new Map<string, TestClient | undefined>();
  #next = 0;

  constructor(seed: number) {
    const random = this.#random = seededRandom(seed);
    const isLate = random.below(2) === 1;
    this.#world = new World({
      authorize: ({ subject }, action, channel) => {
        const said = action === "presence" || this.#reading(subject, channel!).isAllowed;
        return isLate ? Promise.resolve(said) : said;
      },
    });
    for (const name of NAMES) for (const channel of CHANNELS) this.#reading(name, channel);
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) await this.#step();
    for (const name of NAMES) await this.#connect(name);
    await this.#world.pass(1_000);
    for (const name of NAMES) this.#read(name);
    for (const [name, { owed, got }] of this.#readings) {
      assertEquals([...owed].filter((n) => !got.has(n)), [], `Lost by ${name}`);
    }
    await this.#world.end();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const [name, channel] = [random.pick(NAMES), random.pick(CHANNELS)];
    const world = this.#world;
    switch (random.below(10)) {
      case 0:
        return await this.#change(name, channel);
      case 1:
        this.script.push(`drop ${name}`);
        await this.#clients.get(name)?.drop();
        this.#read(name);
        this.#clients.delete(name);
        return;
      case 2:
      case 3:
        this.script.push(`connect ${name}`);
        return await this.#connect(name);
      case 4: {
        this.script.push("pass");
        return await world.pass(random.below(3_000));
      }
      default: {
        const n = ++this.#next;
        this.script.push(`publish ${n} to ${channel}`);
        for (const name of NAMES) {
          const { isAllowed, isSubscribed, forbidden, owed } = this.#reading(name, channel);
          if (!isAllowed) forbidden.add(n);
          else if (isSubscribed) owed.add(n);
        }
        return await world.publish(channel, n);
      }
    }
  }

  /** Gives or takes a right; the gateway is told once it has happened. */
  async #change(name: string, channel: string): Promise<void> {
    const reading = this.#reading(name, channel);
    this.script.push(`${reading.isAllowed ? "take" : "give"} ${name} ${channel}`);
    reading.isAllowed = !reading.isAllowed;
    // What was on its way need not come any more, and may.
    reading.owed = new Set();
    reading.isSubscribed = false;
    await this.#world.hub.reauthorize({ subject: name });
    if (!reading.isAllowed) return;
    const client = this.#clients.get(name);
    if (client !== undefined) await this.#subscribe(name, client, channel);
  }

  async #connect(name: string): Promise<void> {
    const before = this.#clients.get(name);
    const client = await this.#world.connect(name, { identity: { subject: name } });
    this.#clients.set(name, client);
    if (before !== undefined) this.#readFrom(name, before);
    for (const channel of CHANNELS) await this.#subscribe(name, client, channel);
  }

  async #subscribe(name: string, client: TestClient, channel: string): Promise<void> {
    const reading = this.#reading(name, channel);
    client.say({ type: "channel.subscribe", channel });
    await this.#world.settle();
    if (reading.isAllowed) reading.isSubscribed = true;
  }

  #read(name: string): void {
    const client = this.#clients.get(name);
    if (client !== undefined) this.#readFrom(name, client);
  }

  #readFrom(name: string, client: TestClient): void {
    for (const { channel, data } of client.take()) {
      const { forbidden, got } = this.#reading(name, channel);
      assertEquals(forbidden.has(Number(data)), false, `${name} got ${data}, which is forbidden`);
      got.add(Number(data));
    }
  }

  #reading(name: string, channel: string): Reading {
    const key = `${name} ${channel}`;
    let reading = this.#readings.get(key);
    if (reading === undefined) {
      reading = {
        isAllowed: true,
        isSubscribed: false,
        forbidden: new Set(),
        owed: new Set(),
        got: new Set(),
      };
      this.#readings.set(key, reading);
    }
    return reading;
  }
}

Deno.test(`in ${SCHEDULES} schedules of rights lost and given back nothing comes of the time between, and nothing else is lost`, async () => {
  for (let seed = 1; seed <= SCHEDULES; seed++) {
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
