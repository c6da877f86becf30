import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { lookAt } from "../../../server/stores/redis/session_look.ts";
import { startRedis } from "../../support/redis.ts";
import { Node } from "./session_bed.ts";

const redis = await startRedis({ appendonly: false });
Deno.test.afterAll(() => redis.stop());

let tests = 0;

/** Runs a test on a store of its own, with one node. */
function test(name: string, run: (a: Node, prefix: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const prefix = `p${++tests}:`;
    await using node = await Node.open(redis.port, { prefix });
    await run(node, prefix);
  });
}

/** Positions in a channel, by session. */
async function stored(node: Node, channel: string): Promise<string[]> {
  const keys = [node.keys.cursors(channel), node.keys.floors(channel), node.keys.check(channel)];
  const [cursors, floors, check] = await Promise.all([
    node.ask("HKEYS", keys[0]),
    node.ask("ZRANGE", keys[1], 0, -1),
    node.ask("ZRANGE", keys[2], 0, -1),
  ]) as string[][];
  assertEquals(floors.sort(), cursors.sort(), "what the log keeps, it keeps for a position");
  assertEquals(check.sort(), cursors, "each position is looked at some day");
  return cursors;
}

/** Stores a position in `c`, and sees that the session names it then: others would not find it. */
async function assertNamed(a: Node, generation: number, floor: number): Promise<void> {
  assertEquals(await a.stand("s", generation, "c", floor), true);
  assertEquals((await lookAt(a.parts, "s", ["c"])).news, [""]);
  assertEquals((await a.position("s", generation, "c"))?.floor, floor);
}

test(
  "a crash between a new position and its name leaves a position that ends by itself",
  async (a, prefix) => {
    await a.publish("c", 5);
    const generation = await a.attach("s");
    a.link.cut.add("name");
    await assertRejects(() => a.stand("s", generation, "c", 2), PushError, "cut");
    a.link.cut.clear();
    assertEquals(await stored(a, "c"), ["s"]);
    await using b = await Node.open(redis.port, { prefix, node: "b" });
    const claimed = await b.claim("s", { force: true });
    assertEquals(claimed.ok && [...claimed.channels], []);
    assertEquals(await b.position("s", claimed.ok ? claimed.generation : 0, "c"), undefined);
    await a.sweeper.sweepChannel("c");
    assertEquals(await stored(a, "c"), ["s"], "its holder may be at it still");
    a.pass(a.parts.lease + 1);
    await a.sweeper.sweepChannel("c");
    assertEquals(await stored(a, "c"), []);
  },
);

test("who was cut off between a new position and its name goes on when it tries again", async (a) => {
  await a.publish("c", 5);
  const generation = await a.attach("s");
  a.link.cut.add("name");
  await assertRejects(() => a.stand("s", generation, "c", 4), PushError);
  a.link.cut.clear();
  assertEquals(await a.stand("s", generation, "c", 2), true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 2, "the first was never begun");
  const claimed = await a.claim("s");
  assertEquals(claimed.ok && [...claimed.channels], ["c"]);
});

test("a position that is swept away while it begins is written again", async (a) => {
  await a.publish("c", 5);
  const generation = await a.attach("s");
  const { run } = a.link;
  a.link.run = async (...args) => {
    const answer = await run.apply(a.link, args);
    if (args[0].name === "commit more") {
      a.link.run = run;
      await a.positions.drop("s", generation, ["c"]);
    }
    return answer;
  };
  assertEquals(await a.stand("s", generation, "c", 3), true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 3);
});

test("a crash between the steps of forget() leaves a subscription with its position, or none", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 5);
  a.link.cut.add("unname");
  await assertRejects(() => a.positions.forget("s", generation, "c"), PushError);
  assertEquals((await a.position("s", generation, "c"))?.floor, 5);
  assertEquals(await a.stand("s", generation, "c", 6), true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 6);
  a.link.cut.clear();
  a.link.cut.add("drop");
  await assertRejects(() => a.positions.forget("s", generation, "c"), PushError);
  a.link.cut.clear();
  assertEquals(await stored(a, "c"), ["s"]);
  assertEquals(await a.position("s", generation, "c"), undefined);
  const claimed = await a.claim("s");
  assertEquals(claimed.ok && [...claimed.channels], []);
});

test("what a cut forget() left does not stand in the way of a new subscription", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 5);
  a.link.cut.add("drop");
  await assertRejects(() => a.positions.forget("s", generation, "c"), PushError);
  a.link.cut.clear();
  assertEquals(await a.stand("s", generation, "c", 1), true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 1);
  const claimed = await a.claim("s");
  assertEquals(claimed.ok && [...claimed.channels], ["c"]);
});

test("what a session of the same name left does not stand in the way of a new one", async (a) => {
  await a.publish("c", 9);
  await a.stand("s", await a.attach("s"), "c", 8);
  await a.ask("DEL", a.keys.session("s"));
  const generation = await a.attach("s");
  assertEquals(await a.position("s", generation, "c"), undefined);
  assertEquals(await a.stand("s", generation, "c", 1), true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 1);
});

test("sweeping leaves what lives, and looks again when it may have ended", async (a) => {
  await a.publish("c", 1);
  const living = await a.attach("living", { ttl: 600_000 });
  const away = await a.attach("away", { ttl: 100_000 });
  for (const [key, generation] of [["living", living], ["away", away]] as const) {
    await a.stand(key, generation, "c", 1);
  }
  await a.sessions.release("away", away);
  a.pass(a.parts.lease + 1);
  await a.sessions.renew([{ key: "living", generation: living }], a.now);
  await a.positions.sweep();
  assertEquals(await stored(a, "c"), ["away", "living"]);
  // The index has lost the one that is away; its position is found all the same.
  await a.ask("ZREM", a.keys.ends, "away");
  a.pass(90_000);
  await a.sessions.sweep(a.now);
  await a.sweeper.sweepChannel("c");
  assertEquals(await stored(a, "c"), ["living"]);
});

test("a session whose record is gone holds nothing for long", async (a) => {
  await a.publish("c", 3);
  for (const key of ["s", "t"]) await a.stand(key, await a.attach(key), "c", 0);
  await a.ask("DEL", a.keys.session("s"));
  a.pass(a.parts.lease + 1);
  await a.sweeper.sweepChannel("c");
  assertEquals(await stored(a, "c"), ["t"]);
});

test("what is left in a channel that Redis has dropped at the end of its time is let go", async (a) => {
  await a.publish("c", 5);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 2);
  // No gateway ran for long.
  await a.ask("DEL", a.keys.meta("c"), a.keys.log("c"), a.keys.session("s"));
  a.pass(a.parts.lease + 60_001);
  await a.log.stats();
  await a.log.sweep();
  await a.sessions.sweep(a.now);
  assertEquals(await stored(a, "c"), ["s"]);
  await a.sweeper.sweep();
  assertEquals(await stored(a, "c"), []);
  a.pass(4 * 3_600_000 + 1);
  await a.log.sweep();
  assertEquals(await a.ask("EXISTS", a.keys.meta("c")), 0);
  assertEquals(await a.log.channels(), []);
});

test("what was lost of the bookkeeping beside positions is made anew", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 7, { late: [{ seq: 4, attempts: 1 }] });
  await a.ask("DEL", a.keys.floors("c"), a.keys.check("c"));
  await a.sweeper.sweepChannel("c");
  assertEquals(await stored(a, "c"), ["s"]);
  assertEquals(await a.ask("ZSCORE", a.keys.floors("c"), "s"), "3");
});

test("the log keeps what is late, but not what is redriven, and all of another epoch", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  const { messages: [message] } = await a.log.read("c", 1, 1);
  const kept = async (): Promise<number> => Number(await a.ask("ZSCORE", a.keys.floors("c"), "s"));
  await a.stand("s", generation, "c", 8, { late: [{ seq: 5, attempts: 1 }] });
  assertEquals(await kept(), 4);
  const late = [{ seq: 2, attempts: 0, redriven: message }];
  await a.stand("s", generation, "c", 8, { late });
  assertEquals(await kept(), 8);
  await a.stand("s", generation, "c", 8, { epoch: "other" });
  assertEquals(await kept(), 0);
});

test("a position of the epoch before keeps what both epochs have", async (a) => {
  await a.publish("c", 9);
  const { epoch } = await a.log.read("c", 0, 1);
  const generation = await a.attach("s");
  await a.ask("HSET", a.keys.meta("c"), "run", "another");
  await a.publish("c", 9);
  assertNotEquals((await a.log.read("c", 0, 1)).epoch, epoch);
  await a.stand("s", generation, "c", 4, { epoch });
  assertEquals(await a.ask("ZSCORE", a.keys.floors("c"), "s"), "4");
  await a.stand("s", generation, "c", 12, { epoch });
  assertEquals(await a.ask("ZSCORE", a.keys.floors("c"), "s"), "9");
});

test("a position that is gone is told as a gap, not passed over", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 5);
  await a.ask("HDEL", a.keys.cursors("c"), "s");
  const { epoch } = await a.log.read("c", 0, 1);
  const lost = await a.position("s", generation, "c");
  assertEquals(lost?.floor, 0);
  assertNotEquals(lost?.epoch, epoch);
  assertEquals(await a.stand("s", generation, "c", 7), true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 7);
});

test("a position that nobody can read is moved aside, counted, and told as a gap", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  const good = async (): Promise<string> => {
    await a.stand("s", generation, "c", 5);
    return await a.ask("HGET", a.keys.cursors("c"), "s") as string;
  };
  const text = await good();
  const broken = [
    "",
    "nonsense",
    text.replace(/^1 /, "2 "),
    text.replace(/ 5 /, " x "),
    text.replace(/ 5 5 /, " 9999999999999999999 5 "),
    text.replace(/ - - (\S+)$/, " 1,2,3 - $1"),
    text.replace(/ - - (\S+)$/, " - 3.r,1 $1"),
  ];
  for (const [i, value] of broken.entries()) {
    await a.ask("HSET", a.keys.cursors("c"), "s", value);
    const lost = await a.position("s", generation, "c");
    assertEquals([lost?.epoch, lost?.floor], ["lost", 0], value);
    assertEquals(a.parts.tally.quarantined, 2 * i + 1, value);
    // Who knows where it stands in memory just writes it.
    await a.ask("HSET", a.keys.cursors("c"), "s", "nonsense");
    await good();
    assertEquals((await a.position("s", generation, "c"))?.floor, 5);
  }
  assertEquals(await a.ask("HGET", `${a.keys.cursors("c")}:aside`, "s"), "nonsense");
});

test("keys of another type are moved aside, and everything goes on", async (a) => {
  await a.publish("c", 9);
  const { keys } = a;
  const all = [
    keys.cursors("c"),
    keys.floors("c"),
    keys.check("c"),
    keys.redriven("c"),
    keys.dead("c"),
    keys.deadOrder("c"),
    keys.deadSessions("c"),
  ];
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 3);
  for (const [i, key] of all.entries()) {
    await a.ask("SET", key, "foreign");
    assertEquals(await a.stand("s", generation, "c", 4 + (i % 2)), true, key);
    assertEquals(await a.ask("GET", `${key}:aside`), "foreign");
    assertEquals(a.parts.tally.quarantined, i + 1);
  }
  await a.sweeper.sweepChannel("c");
  assertEquals(await stored(a, "c"), ["s"]);
  for (const key of all) await a.ask("SET", key, "foreign");
  await a.sweeper.sweepChannel("c");
  assertEquals((await a.position("s", generation, "c"))?.epoch, "lost");
});

test("a commit that comes again, or after a newer one, changes nothing", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 5, { sent: 9, settled: [7, 7] });
  a.link.sent.length = 0;
  const letter = await a.letter("s", "c", 2);
  await a.stand("s", generation, "c", 5, { sent: 9, settled: [7, 8] }, [letter]);
  const older = a.link.sent.find(([{ name }]) => name === "commit more")!;
  assertEquals((await a.letters.redrive({ limit: 9 })).length, 1);
  await a.link.again(older);
  assertEquals(await a.letters.deadLetters({ limit: 9 }), [], "what was put back is not dead");
  await a.stand("s", generation, "c", 5, { sent: 9, settled: [7, 9] });
  await a.link.again(older);
  const cursor = (await a.position("s", generation, "c"))!;
  assertEquals([cursor.settled, cursor.late.map(({ seq }) => seq)], [[7, 9], [2]]);
});

test("a forget() that is carried out after all does not end a later subscription", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 5);
  a.link.sent.length = 0;
  await a.positions.forget("s", generation, "c");
  const [mark, unname, drop] = a.link.sent.map((sent) => sent);
  assertEquals([mark, unname, drop].map(([{ name }]) => name), ["mark", "unname", "drop"]);
  await a.stand("s", generation, "c", 2);
  for (const belated of [mark, unname]) await a.link.again(belated);
  assertEquals(await a.stand("s", generation, "c", 3), true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 3);
  await a.link.again(drop);
  assertEquals((await a.position("s", generation, "c"))?.floor, 3);
});

test("a forget() that is carried out after its subscription goes on leaves it its name", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 5);
  const [ending, goOn] = await a.link.holdBack("unname", () => {
    return a.positions.forget("s", generation, "c");
  });
  // Who asked has given up, and goes on.
  assertEquals((await a.position("s", generation, "c"))?.floor, 5);
  a.link.cut.add("mark").add("drop");
  goOn();
  await assertRejects(() => ending, PushError, "cut");
  a.link.cut.clear();
  await assertNamed(a, generation, 6);
});

test("what is carried out after its subscription has ended does not stand for the next one", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  const mark = await a.link.sentBy("mark", () => a.stand("s", generation, "c", 2));
  a.parts.leases.drop("s", generation);
  const commit = await a.link.sentBy("commit", () => a.stand("s", generation, "c", 3));
  const load = await a.link.sentBy("load", () => a.position("s", generation, "c"));
  await a.sessions.renew([{ key: "s", generation }], a.now);
  for (const [i, belated] of [mark, load].entries()) {
    a.link.cut.add("drop");
    await assertRejects(() => a.positions.forget("s", generation, "c"), PushError, "cut");
    a.link.cut.clear();
    await a.link.again(belated);
    await assertNamed(a, generation, 4 + i);
  }
  await a.positions.forget("s", generation, "c");
  await a.link.again(commit);
  await assertNamed(a, generation, 6);
});

test("a subscription that begins while one ends, and is cut off, has its position", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 5);
  const [ending, goOn] = await a.link.holdBack("drop", () => {
    return a.positions.forget("s", generation, "c");
  });
  a.link.cut.add("mark");
  await assertRejects(() => a.stand("s", generation, "c", 2), PushError, "cut at mark");
  goOn();
  assertEquals(await ending, true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 2);
});

test("a subscription that ends while it begins is not named without its position", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  const [beginning, goOn] = await a.link.holdBack("name", () => a.stand("s", generation, "c", 5));
  assertEquals(await a.positions.forget("s", generation, "c"), true);
  a.link.cut.add("mark").add("commit").add("commit more");
  goOn();
  await assertRejects(() => beginning, PushError, "cut at commit more");
  a.link.cut.clear();
  assertEquals((await lookAt(a.parts, "s", ["c"])).news, [undefined]);
  assertEquals(await a.stand("s", generation, "c", 4), true);
  assertEquals((await a.position("s", generation, "c"))?.floor, 4);
});

test("a subscription that ends after one that was asked later ends whole", async (a) => {
  for (const channel of ["c", "d"]) await a.publish(channel, 9);
  const generation = await a.attach("s");
  for (const channel of ["c", "d"]) await a.stand("s", generation, channel, 5);
  const [ending, goOn] = await a.link.holdBack("unname", () => {
    return a.positions.forget("s", generation, "c");
  });
  assertEquals(await a.positions.forget("s", generation, "d"), true);
  goOn();
  assertEquals(await ending, true);
  assertEquals((await lookAt(a.parts, "s", ["c", "d"])).news, [undefined, undefined]);
  for (const channel of ["c", "d"]) assertEquals(await stored(a, channel), []);
});

test("a redriven message is sent to the store once, and again only if it is gone there", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  const { messages: [first, second] } = await a.log.read("c", 0, 2);
  const late = [{ seq: 1, attempts: 1, redriven: first }, {
    seq: 2,
    attempts: 0,
    redriven: second,
  }];
  const size = (): number => JSON.stringify(a.link.sent.map(([, , args]) => args)).length;
  await a.stand("s", generation, "c", 3, { late });
  const whole = size();
  a.link.sent.length = 0;
  await a.stand("s", generation, "c", 4, { late });
  assert(size() < whole / 2, `${size()} after ${whole}`);
  assertEquals(await a.ask("HLEN", a.keys.redriven("c")), 2);
  await a.ask("HDEL", a.keys.redriven("c"), "2:s");
  await a.stand("s", generation, "c", 5, { late });
  assertEquals((await a.position("s", generation, "c"))?.late, late);
  await a.stand("s", generation, "c", 6, { late: late.slice(1) });
  assertEquals(await a.ask("HKEYS", a.keys.redriven("c")), ["2:s"]);
  await a.positions.forget("s", generation, "c");
  assertEquals(await a.ask("EXISTS", a.keys.redriven("c")), 0);
});

test("a holder that was not renewed for long asks before it writes", async (a) => {
  await a.publish("c", 9);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 1);
  a.pass(a.parts.lease + 60_001);
  assertEquals(await a.stand("s", generation, "c", 2), false, "it has ended");
});

test("with no memory left acknowledgements go on, and what grows is refused", async () => {
  await using small = await startRedis({ appendonly: false });
  await using a = await Node.open(small.port);
  await a.publish("c", 9);
  const generation = await a.attach("s");
  for (const channel of ["c", "d"]) await a.stand("s", generation, channel, 1);
  const letter = await a.letter("s", "c", 2);
  await a.ask("CONFIG", "SET", "maxmemory", 1);
  // Reading a log may write, too.
  const { epoch } = letter;
  const cursor = { epoch, floor: 4, sent: 4, own: 0, settled: [], late: [] };
  const commit = { channel: "c", cursor };
  assertEquals(await a.positions.commit("s", generation, [commit], a.now), true);
  const full = (work: Promise<unknown>) => assertRejects(() => work, PushError, "memory");
  await full(a.positions.commit("s", generation, [{ ...commit, channel: "e" }], a.now));
  await full(a.positions.commit("s", generation, [{ ...commit, deadLetters: [letter] }], a.now));
  await full(a.claim("t"));
  assertEquals(await a.sessions.renew([{ key: "s", generation }], a.now), []);
  const next = await a.attach("s");
  assertEquals((await a.position("s", next, "c"))?.floor, 4);
  assertEquals(await a.positions.forget("s", next, "d"), true);
  assertEquals(await a.sessions.release("s", next), true);
  assertEquals(await a.sessions.end("s", await a.attach("s")), true);
  await a.sessions.sweep(a.now);
  await a.sweeper.sweepChannel("c");
  await a.ask("CONFIG", "SET", "maxmemory", 0);
  assertEquals((await a.sessions.stats()).sessions, 0);
});

test(
  "what is stored while its name goes is asked for again where the removal behind that is lost",
  async (a) => {
    await a.publish("c", 5);
    const generation = await a.attach("s");
    await assertNamed(a, generation, 1);
    // Who was not renewed for long asks its session.
    a.parts.leases.drop("s", generation);
    const forget = () => a.positions.forget("s", generation, "c");
    const [forgotten, mark] = await a.link.holdBack("mark", forget);
    // It has seen the name, and stores by that once the name has gone.
    const [standing, store] = await a.link.holdBack(
      "commit",
      () => a.stand("s", generation, "c", 2),
    );
    a.link.cut.add("drop");
    mark();
    await assertRejects(() => forgotten, PushError, "cut");
    a.link.cut.clear();
    store();
    assertEquals(await standing, true);
    // From here on it need not ask.
    await a.sessions.renew([{ key: "s", generation }], a.now);
    await assertNamed(a, generation, 3);
  },
);
