import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { numbers } from "../../../server/testing/store_trial.ts";
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

const onNodes = onTwoNodes(redis, "u");

function test(name: string, run: OnTwoNodes, options?: NodeOptions): void {
  Deno.test(name, onNodes(run, options));
}

const ann = (id: number | string) => `n:${id}:ann`;
const bob = (id: number | string) => `n:${id}:bob`;

/** Begins a session and leaves it. */
async function leave(node: Node, key: string, most?: number, ttl = 60_000): Promise<void> {
  await node.sessions.release(key, await node.attach(key, { most, ttl }));
  node.pass(10);
}

/** Sessions that the index has of a subject, the one longest away first. */
function indexed(node: Node, subject: string): Promise<unknown> {
  return node.ask("ZRANGE", node.keys.sessionsOf(subject), 0, -1);
}

/** Keys of the index of subjects. */
function indexes(node: Node): Promise<unknown> {
  return node.ask("KEYS", `${node.keys.sessionsOf("")}*`);
}

/** Makes the store look as one that an earlier version wrote, which knew no subjects. */
async function forgetSubjects(node: Node, ...subjects: string[]): Promise<void> {
  await node.ask("DEL", ...subjects.map((subject) => node.keys.sessionsOf(subject)));
}

test("subjects that come and go leave nothing in the index", async (a, b) => {
  for (const i of numbers(1, 30)) await leave(a, `n:1:s${i}`);
  for (const i of numbers(31, 60)) await a.sessions.end(`n:1:s${i}`, await a.attach(`n:1:s${i}`));
  for (const i of numbers(61, 90)) await leave(a, `m:1:s${i}`, undefined, 0);
  assertEquals((await indexes(a) as string[]).length, 30);
  a.pass(61_000);
  b.pass(62_000);
  await b.sessions.sweep(b.now);
  assertEquals(await indexes(a), []);
});

test("a subject's index ends in Redis itself where no gateway is left, and not before its sessions", async (a) => {
  const life = async () => Number(await a.ask("PTTL", a.keys.sessionsOf("ann")));
  await leave(a, ann(1), undefined, 60_000);
  assertGreater(await life(), 60_000);
  await leave(a, ann(2), undefined, 86_400_000);
  assertGreater(await life(), 86_400_000);
  await leave(a, ann(3), undefined, 1000);
  assertGreater(await life(), 86_400_000);
  const generation = await a.attach(bob(1), { ttl: 86_400_000 });
  a.pass(80_000_000);
  await a.sessions.renew([{ key: bob(1), generation }], a.now);
  const left = Number(await a.ask("PTTL", a.keys.sessionsOf("bob")));
  assertGreater(left, 86_400_000);
});

test(
  "sessions of a version that knew no subjects are counted once a sweep has seen them",
  async (a, b) => {
    for (const i of numbers(1, 3)) await leave(a, ann(i));
    for (const i of numbers(1, 3)) await leave(a, bob(i));
    await forgetSubjects(a, "ann", "bob");
    b.pass(100);
    await b.sessions.sweep(b.now);
    assertEquals(await indexed(a, "ann"), [1, 2, 3].map(ann));
    assertGreater(Number(await a.ask("PTTL", a.keys.sessionsOf("bob"))), 60_000);
    await b.attach(ann(4), { most: 3 });
    assertEquals(await indexed(a, "ann"), [2, 3, 4].map(ann));
    assertEquals(await indexed(a, "bob"), [1, 2, 3].map(bob));
  },
);

test("a sweep looks at some sessions at a time, and comes round", async (a) => {
  const keys = numbers(1, 2000).map((i) => `n:${i}:s${i % 7}`);
  await Promise.all(keys.map((key) => a.attach(key)));
  const subjects = numbers(0, 6).map((i) => `s${i}`);
  await forgetSubjects(a, ...subjects);
  let sweeps = 0;
  const count = async () => {
    const sizes = await Promise.all(
      subjects.map((subject) => a.ask("ZCARD", a.keys.sessionsOf(subject))),
    );
    return sizes.reduce((sum: number, size) => sum + Number(size), 0);
  };
  while (await count() < keys.length && sweeps < 20) {
    await a.sessions.sweep(a.now);
    sweeps++;
  }
  assert(sweeps > 1 && sweeps < 20, `${sweeps} sweeps`);
  // Round again.
  await forgetSubjects(a, ...subjects);
  for (let i = 0; i < 20; i++) await a.sessions.sweep(a.now);
  assertEquals(await count(), keys.length);
}, { limits: { maxSessions: 5000 } });

test("a claim puts a session among those of its subject that was left out", async (a, b) => {
  await leave(a, ann(1));
  await forgetSubjects(a, "ann");
  await b.attach(ann(1));
  assertEquals(await indexed(a, "ann"), [ann(1)]);
  await forgetSubjects(a, "ann");
  const generation = await b.attach(ann(1));
  await forgetSubjects(a, "ann");
  await b.sessions.renew([{ key: ann(1), generation }], b.now);
  assertEquals(await indexed(a, "ann"), [ann(1)]);
});

test("what an earlier version did not take out of a subject's index keeps no place", async (a) => {
  for (const i of numbers(1, 3)) await leave(a, ann(i));
  const { sessions, ends } = a.keys;
  // As that version ends a session.
  await a.ask("DEL", a.keys.session(ann(1)));
  await a.ask("ZREM", sessions, ann(1));
  await a.ask("ZREM", ends, ann(1));
  await a.attach(ann(4), { most: 3 });
  assertEquals(await indexed(a, "ann"), [2, 3, 4].map(ann));
  assertEquals(a.parts.tally.sessionsForgotten, 0);
});

test("an index that is wrong takes no session from another subject", async (a) => {
  await leave(a, bob(1), undefined, 600_000);
  await a.attach(bob(2));
  await a.attach(ann(1));
  // Said to have ended, each.
  for (const key of [bob(1), bob(2), ann(1)]) await a.ask("ZADD", a.keys.ends, 1, key);
  assertEquals(await refusal(a.claim(ann(2))), "full");
  assertEquals(await refusal(a.claim(ann(2), { most: 1 })), "subject_full");
  const living = await a.ask("EXISTS", a.keys.session(bob(1)), a.keys.session(bob(2)));
  assertEquals(living, 2);
  assertEquals((await a.sessions.stats()).sessions, 3);
}, { limits: { maxSessions: 3 } });

test(
  "a session that ended without a sweep makes room, of its own subject or where all are too many",
  async (a) => {
    await leave(a, bob(1), undefined, 10);
    await leave(a, ann(1), undefined, 10);
    await leave(a, ann(2), undefined, 600_000);
    a.pass(20);
    await a.attach(ann(3), { most: 2 });
    assertEquals(await indexed(a, "ann"), [ann(2), ann(3)]);
    await a.attach("n:1:cid");
    await a.attach("n:2:cid");
    assertEquals(await indexed(a, "bob"), []);
    assertEquals(await indexed(a, "ann"), [ann(2), ann(3)]);
    assertEquals(a.parts.tally.sessionsForgotten, 0);
  },
  { limits: { maxSessions: 4 } },
);

test(
  "a place that was kept for a claim which came to nothing is given to another of its subject",
  async (a, b) => {
    a.link.cut.add("begin");
    await assertRejects(() => a.claim(ann(1), { most: 1 }));
    assertEquals(await refusal(b.claim(ann(2), { most: 1 })), "subject_full");
    b.pass(b.parts.lease + 1);
    await b.attach(ann(2), { most: 1 });
    assertEquals(await indexed(b, "ann"), [ann(2)]);
    assertEquals(b.parts.tally.sessionsForgotten, 0);
  },
);

test(
  "a node that dies while it makes room has taken nothing from another subject",
  async (a, b) => {
    for (const i of numbers(1, 3)) await leave(a, ann(i));
    await leave(a, bob(1));
    for (const step of ["clear", "displace", "begin", "reserve"]) {
      a.link.cut.add(step);
      await assertRejects(() => a.claim(ann(9), { most: 3 }));
      a.link.cut.clear();
    }
    b.pass(100 + b.parts.lease);
    await b.attach(ann(10), { most: 3 });
    await b.sessions.sweep(b.now);
    const of = await indexed(b, "ann") as string[];
    assert(of.length <= 3 && of.includes(ann(10)), `${of}`);
    assertEquals(await indexed(b, "bob"), [bob(1)]);
    assertEquals(await b.ask("EXISTS", b.keys.session(bob(1))), 1);
    // What was begun and came to nothing ends by itself.
    b.pass(b.parts.lease + 60_001);
    await b.sessions.sweep(b.now);
    assertEquals(await indexes(b), []);
  },
);

test("a key of another type in place of a subject's index is moved aside", async (a) => {
  const key = a.keys.sessionsOf("ann");
  await a.attach(ann(1));
  await a.ask("DEL", key);
  await a.ask("RPUSH", key, "foreign");
  await a.attach(ann(2), { most: 2 });
  assertEquals(await a.ask("LRANGE", `${key}:aside`, 0, -1), ["foreign"]);
  assertEquals(a.parts.tally.quarantined, 1);
  await a.sessions.sweep(a.now);
  assertEquals((await indexed(a, "ann") as string[]).sort(), [ann(1), ann(2)]);
});
