import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { startRedis } from "../../support/redis.ts";
import {
  type Node,
  type NodeOptions,
  type OnTwoNodes,
  onTwoNodes,
  refusal,
} from "./session_bed.ts";

const redis = await startRedis({ appendonly: false });
Deno.test.afterAll(() => redis.stop());

const onNodes = onTwoNodes(redis, "s");

function test(name: string, run: OnTwoNodes, options?: NodeOptions): void {
  Deno.test(name, onNodes(run, options));
}

/** Sessions that the index names, by the time since when they are away. */
async function indexed(node: Node): Promise<string[]> {
  const { sessions, ends } = node.keys;
  const [away, ending] = await Promise.all([
    node.ask("ZRANGE", sessions, 0, -1),
    node.ask("ZRANGE", ends, 0, -1),
  ]) as string[][];
  assertEquals([...away].sort(), [...ending].sort());
  return away;
}

test("a claim that a failover took back is lost, and not another's", async (a) => {
  const generation = await a.attach("s", { ttl: 60_000 });
  const renew = async (generation: number) =>
    await a.sessions.renew([{ key: "s", generation }], a.now);
  assertEquals(await renew(generation + 1), [
    { key: "s", held: false, lost: true, redriven: [] },
  ]);
  assertEquals(await renew(generation - 1), [{ key: "s", held: false, redriven: [] }]);
  assertEquals(await renew(generation), []);
});

test(
  "a session is held for others until its node's lease is over, and ends its ttl later",
  async (a, b) => {
    const { lease } = a.parts;
    const generation = await a.attach("s", { ttl: 60_000 });
    b.pass(lease - 1000);
    assertEquals(await refusal(b.claim("s")), "held");
    a.pass(lease - 1000);
    await a.sessions.renew([{ key: "s", generation }], a.now);
    b.pass(lease - 1000);
    assertEquals(await refusal(b.claim("s")), "held");
    b.pass(60_000);
    assertEquals((await b.claim("s", { existing: true })).ok, true);
    const other = await a.attach("other", { ttl: 60_000 });
    a.pass(lease + 60_001);
    assertEquals(await refusal(a.claim("other", { existing: true })), "unknown");
    const [renewed] = await a.sessions.renew([{ key: "other", generation: other }], a.now);
    assertEquals(renewed, { key: "other", held: false, lost: true, redriven: [] });
  },
);

test("renew() tells a session that another took from one that is no more", async (a, b) => {
  const told = async (key: string, generation: number) => {
    const [renewed] = await a.sessions.renew([{ key, generation }], a.now);
    return [renewed.held, renewed.lost];
  };
  await a.publish("c", 3);
  const taken = await a.attach("taken");
  await b.attach("taken", { force: true });
  assertEquals(await told("taken", taken), [false, undefined]);
  const gone = await a.attach("gone");
  await a.stand("gone", gone, "c", 2);
  await a.ask("DEL", a.keys.session("gone"));
  assertEquals(await a.stand("gone", gone, "c", 3), true, "it is known to be held a moment ago");
  assertEquals(await told("gone", gone), [false, true]);
  assertEquals(await a.stand("gone", gone, "c", 3), false);
  assertEquals(await a.positions.load("gone", gone, ["c"]), [undefined]);
  // Another took it, and ended it: nobody has it.
  const ended = await a.attach("ended");
  await b.sessions.end("ended", await b.attach("ended", { force: true }));
  assertEquals(await told("ended", ended), [false, true]);
  // It was taken, and its record waits to be cleared away.
  b.link.cut.add("clear");
  const left = await a.attach("left");
  await assertRejects(async () => b.sessions.end("left", await b.attach("left", { force: true })));
  assertEquals(await told("left", left), [false, undefined]);
});

test("a session that is no more can be begun anew by who has its connection", async (a, b) => {
  await a.publish("c", 9);
  const first = await a.attach("s", { holder: "h" });
  await a.stand("s", first, "c", 5);
  await a.ask("FLUSHALL");
  await a.publish("c", 9);
  assertEquals(await refusal(a.claim("s", { holder: "h2", from: "h" })), "unknown");
  const claimed = await a.claim("s", { holder: "h2" });
  assert(claimed.ok);
  assertEquals([claimed.resumed, claimed.previous, claimed.generation > first], [false, 0, true]);
  assertEquals(await a.stand("s", claimed.generation, "c", 5), true);
  assertEquals(await refusal(b.claim("s")), "held");
  assertEquals((await a.position("s", claimed.generation, "c"))?.floor, 5);
});

test("a node that renews late goes on, unless another took the session meanwhile", async (a, b) => {
  const generation = await a.attach("s");
  a.pass(a.parts.lease + 30_000);
  assertEquals(await a.sessions.renew([{ key: "s", generation }], a.now), []);
  b.pass(a.parts.lease + 30_000);
  assertEquals(await refusal(b.claim("s")), "held");
  b.pass(a.parts.lease + 1);
  const next = await b.attach("s");
  assertGreater(next, generation);
  const [renewed] = await a.sessions.renew([{ key: "s", generation }], a.now);
  assertEquals(renewed.held, false);
});

test("a renewal that comes after the release does not attach the session again", async (a, b) => {
  const generation = await a.attach("s");
  await a.sessions.release("s", generation);
  assertEquals(await a.sessions.renew([{ key: "s", generation }], a.now), []);
  await b.attach("s");
});

test(
  "a claim that comes again after the release does not attach the session again",
  async (a, b) => {
    const terms = { holder: "h", instance: "i", attempt: 1 };
    const generation = await a.attach("s", terms);
    await a.sessions.release("s", generation);
    assertEquals(await a.attach("s", terms), generation);
    await b.attach("s");
  },
);

test(
  "a claim that is carried out after all, when its node has given up, takes nothing over",
  async (a, b) => {
    await a.attach("other");
    a.link.sent.length = 0;
    await a.attach("s");
    const late = a.link.sent.findLast(([{ name }]) => name === "begin")!;
    await a.ask("DEL", a.keys.session("s"));
    const generation = await b.attach("s", { force: true });
    a.pass(a.parts.patience + 1);
    b.pass(a.parts.patience + 1);
    const [bad, status] = await a.link.again(late) as unknown[];
    assertEquals([bad, status], [0, "late"]);
    assertEquals(await b.sessions.renew([{ key: "s", generation }], b.now), []);
  },
);

test("a node whose clock jumps can claim all the same", async (a) => {
  await a.attach("s");
  for (const ms of [-3_600_000, 3_600_000]) {
    const now = a.now + ms;
    const claim = { key: "s", holder: `h${ms}`, instance: `j${ms}`, attempt: 1, ttl: 1000 };
    assertEquals((await a.sessions.claim(claim, now)).ok, true);
  }
});

test("a crash between the steps of an end is gone on with by the next claim", async (a, b) => {
  await a.publish("c", 3);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 2);
  a.link.cut.add("drop");
  await assertRejects(() => a.sessions.end("s", generation), PushError);
  assertEquals(await a.ask("HLEN", a.keys.cursors("c")), 1);
  assertEquals(await a.stand("s", generation, "d", 2), false);
  const claimed = await b.claim("s");
  assert(claimed.ok);
  assertEquals([claimed.resumed, claimed.previous, [...claimed.channels]], [false, 0, []]);
  assertEquals(await b.ask("EXISTS", b.keys.cursors("c"), b.keys.floors("c")), 0);
  assertGreater(claimed.generation, generation);
});

test("a crash between the steps of an end is gone on with by the sweep", async (a, b) => {
  await a.publish("c", 3);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 2);
  a.link.cut.add("clear");
  await assertRejects(() => a.sessions.end("s", generation), PushError);
  b.pass(b.parts.lease + 60_001);
  await b.sessions.sweep(b.now);
  assertEquals(await b.ask("EXISTS", b.keys.session("s"), b.keys.sessions, b.keys.ends), 0);
});

test("who ends or releases a session again goes on with what was cut off", async (a) => {
  await a.publish("c", 3);
  for (const how of ["end", "release"] as const) {
    const generation = await a.attach("s", { ttl: 0 });
    await a.stand("s", generation, "c", 2);
    a.link.cut.add("drop");
    await assertRejects(() => a.sessions[how]("s", generation), PushError);
    a.link.cut.clear();
    assertEquals(await a.ask("EXISTS", a.keys.cursors("c")), 1);
    assertEquals(await a.sessions[how]("s", generation), true);
    assertEquals(await a.ask("EXISTS", a.keys.session("s"), a.keys.cursors("c")), 0);
    assertEquals(await a.sessions[how]("s", generation), false);
  }
});

test(
  "a session that has ended and was not swept leaves nothing to the next of its name",
  async (a, b) => {
    await a.publish("c", 3);
    const generation = await a.attach("s", { ttl: 1000 });
    await a.stand("s", generation, "c", 3);
    await a.sessions.release("s", generation);
    b.pass(1001);
    assertEquals(await refusal(b.claim("s", { existing: true })), "unknown");
    assertEquals(await b.ask("EXISTS", b.keys.session("s"), b.keys.cursors("c")), 0);
    const next = await b.attach("s");
    assertEquals(await b.position("s", next, "c"), undefined);
  },
);

test("generations grow though every trace of the session is gone", async (a) => {
  let last = 0;
  for (let i = 0; i < 20; i++) {
    const generation = await a.attach("s");
    assertGreater(generation, last);
    last = generation;
    if (i % 2 === 0) await a.sessions.end("s", generation);
    else await a.ask("DEL", a.keys.session("s"));
  }
});

test("the index is put right where it differs from the sessions", async (a) => {
  const generation = await a.attach("s", { ttl: 60_000 });
  await a.ask("DEL", a.keys.sessions, a.keys.ends);
  await a.sessions.renew([{ key: "s", generation }], a.now);
  assertEquals(await indexed(a), ["s"]);
  // Said to be over, and to have been away for long.
  await a.ask("ZADD", a.keys.ends, 1, "s", 1, "ghost", 1, "%zz");
  await a.ask("ZADD", a.keys.sessions, 1, "s", 1, "ghost", 1, "%zz");
  await a.sessions.sweep(a.now);
  assertEquals(await indexed(a), ["s"]);
  assertEquals((await a.sessions.stats()).sessions, 1);
  assertEquals(a.parts.tally.quarantined, 1);
});

test("an attached session is never forgotten, whatever the index says", async (a) => {
  const generations: number[] = [];
  for (const key of ["s", "t"]) generations.push(await a.attach(key));
  await a.ask("ZADD", a.keys.sessions, 1, "s", 2, "t");
  assertEquals(await refusal(a.claim("u")), "full");
  const known = ["s", "t"].map((key, i) => ({ key, generation: generations[i] }));
  assertEquals(await a.sessions.renew(known, a.now), []);
  assertEquals((await a.sessions.stats()).sessionsForgotten, 0);
}, { limits: { maxSessions: 2 } });

test("a session that has ended makes room before one that lives", async (a) => {
  const lives = await a.attach("lives", { ttl: 60_000 });
  await a.sessions.release("lives", lives);
  a.pass(10);
  const ends = await a.attach("ends", { ttl: 10 });
  await a.sessions.release("ends", ends);
  a.pass(11);
  await a.attach("new");
  assertEquals((await indexed(a)).sort(), ["lives", "new"]);
  assertEquals(a.parts.tally.sessionsForgotten, 0);
}, { limits: { maxSessions: 2 } });

test(
  "of many new sessions at once those that fit are taken, and those away go in their order",
  async (a, b) => {
    for (let i = 0; i < 10; i++) {
      const generation = await a.attach(`old ${i}`);
      await a.sessions.release(`old ${i}`, generation);
      a.pass(10);
      b.pass(10);
    }
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? a : b).claim(`new ${i}`)),
    );
    assertEquals(claims.filter(({ ok }) => ok).length, 8);
    const left = await indexed(a);
    const old = left.filter((key) => key.startsWith("old"));
    assert(left.length <= 10 && old.length <= 2, `${left}`);
    assertEquals(old, [8, 9].slice(2 - old.length).map((i) => `old ${i}`));
  },
  { limits: { maxSessions: 10 } },
);

test("of what nobody can read in a session the rest is kept", async (a, b) => {
  await a.publish("c", 3);
  for (const [i, field] of ["generation", "ttl", "until", "previous", "attempt"].entries()) {
    const key = `s${i}`;
    const generation = await a.attach(key);
    await a.stand(key, generation, "c", 2);
    for (const value of ["nonsense", "-1", "nan", ""]) {
      await a.ask("HSET", a.keys.session(key), field, value);
      const claimed = await b.claim(key, { force: true });
      assert(claimed.ok, `${field} ${value}`);
      assertEquals([claimed.resumed, [...claimed.channels]], [true, ["c"]]);
      assertEquals((await b.position(key, claimed.generation, "c"))?.floor, 2);
    }
    assertEquals(b.parts.tally.quarantined, 4 * (i + 1), field);
  }
});

test("keys of another type are moved aside, and everything goes on", async (a) => {
  const all = [a.keys.session("s"), a.keys.sessions, a.keys.ends];
  await a.attach("s");
  for (const [i, key] of all.entries()) {
    await a.ask("DEL", key);
    await a.ask("RPUSH", key, "foreign");
    const generation = await a.attach("s");
    assertEquals(await a.sessions.renew([{ key: "s", generation }], a.now), []);
    assertEquals(await a.ask("LRANGE", `${key}:aside`, 0, -1), ["foreign"]);
    assertEquals(a.parts.tally.quarantined, i + 1);
  }
  for (const key of all) await a.ask("SET", key, "foreign");
  await a.sessions.sweep(a.now);
  assertEquals((await a.sessions.stats()).sessions, 0);
  await a.attach("s");
});

test("a session and its traces end in Redis itself where no gateway is left", async (a) => {
  const generation = await a.attach("s", { ttl: 60_000 });
  const life = Number(await a.ask("PTTL", a.keys.session("s")));
  assertGreater(life, 60_000);
  await a.sessions.release("s", generation);
  assertGreater(Number(await a.ask("PTTL", a.keys.session("s"))), 60_000);
});

test("thousands of sessions are renewed in a few steps", async (a) => {
  const keys = Array.from({ length: 2000 }, (_, i) => `s${i}`);
  const generations = await Promise.all(keys.map((key) => a.attach(key)));
  const known = keys.map((key, i) => ({ key, generation: generations[i] }));
  a.link.sent.length = 0;
  a.pass(10_000);
  assertEquals(await a.sessions.renew(known, a.now), []);
  assert(a.link.sent.length <= 30, `${a.link.sent.length} scripts`);
  a.pass(10_000);
  assertEquals((await a.sessions.stats()).sessions, 2000);
  a.pass(a.parts.lease + 60_000);
  await a.sessions.sweep(a.now);
  assertEquals((await indexed(a)).length, 0);
  assertEquals(await a.ask("EXISTS", ...keys.map((key) => a.keys.session(key))), 0);
}, { limits: { maxSessions: 5000 } });
