import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Overrides, type TestClient, World } from "./harness.ts";
import type { Cancel } from "../../server/clock.ts";
import { Slices } from "../../server/slices.ts";
import { ManualClock } from "../../server/testing/mod.ts";

/**
 * A world whose clock waits for the sockets: until the test says that it has. Each look at how long
 * something takes finds that a quarter of a millisecond has passed.
 */
class Sliced extends World {
  #waiting = new Set<() => void>();
  #elapsed = 0;

  constructor(overrides: Overrides = {}, isTimed = true) {
    super(overrides);
    Object.assign(this.clock, {
      afterIo: (task: () => void): Cancel => {
        this.#waiting.add(task);
        return () => void this.#waiting.delete(task);
      },
      ...(isTimed ? { elapsed: () => this.#elapsed += 0.25 } : {}),
    });
  }

  /** Whether somebody waits for a turn. */
  get waits(): boolean {
    return this.#waiting.size > 0;
  }

  /** The runtime has looked at all sockets. */
  async turn(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = new Set();
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
  await w.turn();
  const second = published(flood) - first;
  assert(second > 0 && second <= 4 * (first + 1), `${second} in the second turn`);
  const turns = await w.turns();
  assert(turns > 5, `${turns} turns`);
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

Deno.test("under a clock that cannot tell how long something takes a turn is so many frames", async () => {
  const w = new Sliced({}, false);
  const client = w.dial("ann");
  client.say({ type: "ping" });
  await w.settle();
  for (const text of publishes(3000)) client.sayText(text);
  await w.settle();
  const first = published(client);
  await w.turn();
  // Each is eight units, as its answer leaves by itself.
  assertEquals(published(client) - first, 128);
  await w.turns();
  assertEquals(published(client), 3000);
  await w.end();
});

Deno.test("what is no frame is work, too: a thousand of them keep nobody waiting, with a session and without", async () => {
  for (const opens of [true, false]) {
    const w = new Sliced();
    const [flood, other] = [w.dial("flood"), w.dial("other")];
    if (opens) flood.say({ type: "ping" });
    other.say({ type: "ping" });
    await w.settle();
    const texts = opens
      ? ["nonsense", "{}", '{"type":"none"}']
      : ["nonsense", '{"type":"connect","version":1}'];
    for (let n = 0; n < 1000; n++) flood.sayText(texts[n % texts.length]);
    await w.settle();
    assert(flood.errors.length < 100, `${flood.errors.length} in the first turn`);
    other.say({ type: "channel.publish", channel: "d", data: 1 });
    await w.settle();
    assertEquals(published(other), 1, "it did not wait");
    assert(await w.turns() > 5);
    assertEquals(flood.errors.length, 1000);
    await w.end();
  }
});

Deno.test("acknowledgements that wait for a turn are given back what they cost before it is asked for", async () => {
  const w = new Sliced({ limits: { frameRate: 1, frameBurst: 100 } });
  const client = w.dial("ann");
  client.say({ type: "channel.subscribe", channel: "c" });
  await w.settle();
  await w.publish("c", ...Array(500).keys());
  const messages = client.take();
  assertEquals(messages.length, 500);
  for (const { event_id } of messages) client.say({ type: "message_ack", event_id });
  await w.settle();
  await w.turns();
  assertEquals([client.closed, client.errors], [undefined, []]);
  assertEquals(client.frames.filter(({ type }) => type === "ack_received").length, 500);
  await w.end();
});

Deno.test("acknowledgements of nothing are paid for, also those that waited", async () => {
  const w = new Sliced({ limits: { frameRate: 1, frameBurst: 100 } });
  const client = w.dial("ann");
  client.say({ type: "ping" });
  await w.settle();
  for (let n = 0; n < 500; n++) client.say({ type: "message_ack", event_id: `e:${n}:c` });
  await w.settle();
  await w.turns();
  assertEquals([client.closed, client.errors], ["too_many_frames", ["too_many_frames"]]);
  assertEquals(client.frames.filter(({ type }) => type === "ack_received").length, 99);
  await w.end();
});

Deno.test("whatever is thrown in a later turn closes that connection and none else", async () => {
  const w = new Sliced();
  const [bad, good] = [w.dial("bad"), w.dial("good")];
  for (const client of [bad, good]) client.say({ type: "ping" });
  await w.settle();
  for (const client of [bad, good]) for (const text of publishes(100)) client.sayText(text);
  await w.settle();
  const { presence } = w.hub;
  const seen = presence.seen.bind(presence);
  presence.seen = (session) => {
    if (session.owner.clientId === "bad") throw new Error("broken");
    seen(session);
  };
  await w.turns();
  presence.seen = seen;
  assertEquals([bad.closed, good.closed], ["internal", undefined]);
  assertEquals(published(good), 100);
  await w.end();
});

Deno.test("frames sent behind 'connect' wait for the session, and then for their turns, in order", async () => {
  const w = new Sliced();
  const client = w.dial();
  client.say({ type: "connect", version: 1, instance: "i", attempt: 1 });
  for (const text of publishes(300)) client.sayText(text);
  await w.settle();
  const first = published(client);
  assert(first > 0 && first < 100, `${first} in the first turn`);
  await w.turns();
  const { messages } = await w.interposed.store.read("c", 0, 1000, w.clock.now());
  assertEquals(messages.map(({ payload }) => payload), [...Array(300).keys()].map(String));
  await w.end();
});

Deno.test("clients that send as soon as they are answered keep none waiting: all have turns in the order in which they sent", async () => {
  const w = new Sliced({}, false);
  const clients = Array.from({ length: 300 }, (_, i) => w.dial(`c${i}`));
  for (let from = 0; from < 300; from += 30) {
    for (const client of clients.slice(from, from + 30)) client.say({ type: "ping" });
    await w.settle();
  }
  const often = clients.map(() => 0);
  const heard = clients.map(({ frames }) => frames.length);
  // A runtime that reads 128 sockets in a turn, and those first that were answered last.
  const unread = [...clients.keys()];
  for (let turn = 0; turn < 40; turn++) {
    for (const i of unread.splice(0, 128)) clients[i].say({ type: "ping" });
    await w.clock.turn();
    for (const [i, { frames }] of clients.entries()) {
      if (frames.length === heard[i]) continue;
      heard[i] = frames.length;
      often[i]++;
      unread.unshift(i);
    }
  }
  const [least, most] = [Math.min(...often), Math.max(...often)];
  assert(least >= 5 && most <= 2 * least, `${least} to ${most} answers`);
  await w.settle();
  await w.end();
});

for (const code of [1000, 1006]) {
  Deno.test(`what stands in line counts, also where it is all that a client has said before it closed (${code})`, async () => {
    const w = new Sliced({}, false);
    for (let i = 0; i < 100; i++) w.dial(`c${i}`).say({ type: "ping" });
    const last = w.dial("last");
    last.say({ type: "channel.publish", channel: "c", data: "last words" });
    await (code === 1000 ? last.leave() : last.drop());
    await w.turns();
    await w.settle();
    const { messages } = await w.interposed.store.read("c", 0, 10, w.clock.now());
    assertEquals(messages.map(({ payload }) => payload), ['"last words"']);
    assertEquals(w.hub.sessionCount, 100);
    await w.end();
  });
}

/** A clock whose sockets are asked in the next millisecond. */
class IoClock extends ManualClock {
  afterIo(task: () => void): Cancel {
    return this.schedule(1, task);
  }
}

Deno.test("Slices: one in which something is thrown keeps none of those waiting that stand behind it", async () => {
  for (const how of ["wait", "standInLine"] as const) {
    const clock = new IoClock();
    const slices = new Slices(clock);
    const done: string[] = [];
    const one = (name: string) => ({
      resume() {
        done.push(name);
        if (name === "bad") throw new Error("broken");
        return false;
      },
    });
    for (const name of ["first", "bad", "last"]) slices[how](one(name));
    await assertRejects(() => clock.advance(10), Error, "broken");
    assertEquals(done, ["first", "bad"]);
    await clock.advance(10);
    assertEquals([done, slices.size, clock.pending], [["first", "bad", "last"], 0, 0]);
  }
});

Deno.test("Slices: where nobody goes on any more no timer is left, and none comes", async () => {
  for (const how of ["wait", "standInLine"] as const) {
    const clock = new IoClock();
    const slices = new Slices(clock);
    const done: string[] = [];
    const one = (name: string) => ({ resume: () => (done.push(name), false) });
    slices[how](one("before"));
    assertEquals(clock.pending, 1);
    slices.stop();
    slices[how](one("behind"));
    assertEquals(clock.pending, 0);
    await clock.advance(10);
    assertEquals(done, []);
  }
});

Deno.test("a gateway that stops while clients have turns to come leaves no timer", async () => {
  const w = new Sliced();
  const client = w.dial("c");
  client.say({ type: "ping" });
  await w.settle();
  for (const text of publishes(100)) client.sayText(text);
  assertEquals(w.waits, true);
  w.hub.stop();
  assertEquals(w.waits, false);
});
