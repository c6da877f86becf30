import { assert, assertEquals } from "@std/assert";
import { type TestClient, World } from "./harness.ts";

/** A world whose clock waits for the sockets: until the test says that it has. */
class Sliced extends World {
  #waiting: (() => void)[] = [];

  constructor() {
    super();
    Object.assign(this.clock, { afterIo: (task: () => void) => void this.#waiting.push(task) });
  }

  /** Whether somebody waits for a turn. */
  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  /** The runtime has looked at all sockets. */
  async turn(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const task of waiting) task();
    await this.settle();
  }

  async turns(): Promise<number> {
    let turns = 0;
    for (; this.waits; turns++) await this.turn();
    return turns;
  }
}

function published(client: TestClient): number {
  return client.frames.filter(({ type }) => type === "channel.published").length;
}

function publishes(count: number): string[] {
  return Array.from(
    { length: count },
    (_, i) => JSON.stringify({ type: "channel.publish", channel: "c", data: i, request_id: i }),
  );
}

Deno.test("a client that sends a thousand frames at once keeps nobody waiting: others are answered between", async () => {
  const w = new Sliced();
  const [flood, other] = [w.dial("flood"), w.dial("other")];
  for (const client of [flood, other]) client.say({ type: "ping" });
  await w.settle();
  for (const text of publishes(1000)) flood.sayText(text);
  await w.settle();
  const first = published(flood);
  assert(first > 0 && first < 100, `${first} in the first turn`);
  other.say({ type: "channel.publish", channel: "d", data: 1 });
  await w.settle();
  assertEquals(published(other), 1, "it did not wait");
  const turns = await w.turns();
  assert(turns > 10, `${turns} turns`);
  assertEquals(published(flood), 1000);
  assertEquals((await w.interposed.store.read("c", 0, 1, w.clock.now())).head, 1000);
  await w.end();
});

Deno.test("frames that wait are handled in the order in which they came, those of one array, too", async () => {
  const w = new Sliced();
  const client = w.dial();
  client.say({ type: "connect", version: 1, instance: "i", attempt: 1 });
  await w.settle();
  const texts = publishes(600);
  client.sayText(`[${texts.slice(0, 300).join(",")}]`);
  client.sayText("nonsense");
  client.sayText(`[${texts.slice(300).join(",")}]`);
  await w.settle();
  await w.turns();
  const answers = client.frames.flatMap((frame): unknown[] =>
    frame.type === "channel.published"
      ? [frame.request_id]
      : frame.type === "error"
      ? ["error"]
      : []
  );
  const numbers = [...texts.keys()];
  assertEquals(answers.filter((each) => each !== "error"), numbers);
  assertEquals(answers.filter((each) => each === "error").length, 1);
  await w.end();
});

Deno.test("what a client sent before it closed counts, and its end comes behind it", async () => {
  const w = new Sliced();
  const client = w.dial("ann");
  client.say({ type: "ping" });
  await w.settle();
  for (const text of publishes(500)) client.sayText(text);
  await client.leave();
  assert(w.waits);
  await w.turns();
  assertEquals((await w.interposed.store.read("c", 0, 1, w.clock.now())).head, 500);
  assertEquals(w.hub.presence.size, 0, "it has left");
  await w.end();
});

Deno.test("what waits when the gateway closes the connection is not done", async () => {
  const w = new Sliced();
  const client = w.dial("ann");
  client.say({ type: "ping" });
  await w.settle();
  for (const text of publishes(500)) client.sayText(text);
  client.connection.close("token_expired");
  await w.settle();
  await w.turns();
  assert((await w.interposed.store.read("c", 0, 1, w.clock.now())).head < 100);
  assertEquals(w.hub.presence.size, 1, "it may come back");
  await w.end();
});

Deno.test("nothing counts behind a disconnect that waited", async () => {
  const w = new Sliced();
  const client = w.dial();
  client.say({ type: "connect", version: 1, instance: "i", attempt: 1 });
  await w.settle();
  for (const text of publishes(100)) client.sayText(text);
  client.say({ type: "disconnect" });
  for (const text of publishes(100)) client.sayText(text);
  await w.settle();
  await w.turns();
  assertEquals((await w.interposed.store.read("c", 0, 1, w.clock.now())).head, 100);
  assertEquals(client.closed, "normal");
  await w.end();
});

Deno.test("many that send too much share a turn: each goes on, and the turns stay short", async () => {
  const w = new Sliced();
  const clients = Array.from({ length: 20 }, (_, i) => w.dial(`c${i}`));
  for (const client of clients) client.say({ type: "ping" });
  await w.settle();
  for (const client of clients) for (const text of publishes(200)) client.sayText(text);
  await w.settle();
  const before = clients.map(published).reduce((a, b) => a + b);
  await w.turn();
  const done = clients.map(published).reduce((a, b) => a + b) - before;
  assert(done > 0 && done < 200, `${done} in a turn`);
  await w.turns();
  for (const client of clients) assertEquals(published(client), 200);
  await w.end();
});
