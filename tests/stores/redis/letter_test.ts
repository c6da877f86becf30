import { assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { startRedis } from "../../support/redis.ts";
import { Node, type NodeOptions } from "./session_bed.ts";

const redis = await startRedis({ appendonly: false });
Deno.test.afterAll(() => redis.stop());

let tests = 0;

/** Runs a test on a store of its own. */
function test(name: string, run: (a: Node) => Promise<void>, options: NodeOptions = {}): void {
  Deno.test(name, async () => {
    await using node = await Node.open(redis.port, { ...options, prefix: `l${++tests}:` });
    await run(node);
  });
}

/** Gives messages up, in one commit. */
async function giveUp(
  a: Node,
  session: string,
  generation: number,
  channel: string,
  seqs: readonly number[],
): Promise<void> {
  await a.publish(channel, Math.max(...seqs));
  const letters = await Promise.all(seqs.map((seq) => a.letter(session, channel, seq)));
  const floor = Math.max(...seqs);
  assertEquals(await a.stand(session, generation, channel, floor, {}, letters), true);
}

async function listed(a: Node): Promise<number[]> {
  return (await a.letters.deadLetters({ limit: 1000 })).map(({ message }) => message.seq);
}

async function redriven(a: Node, limit = 1000): Promise<number[]> {
  return (await a.letters.redrive({ limit })).map(({ message }) => message.seq);
}

async function late(a: Node, session: string, generation: number): Promise<number[]> {
  const cursor = await a.position(session, generation, "c");
  return cursor?.late.map(({ seq }) => seq) ?? [];
}

test("letters given up in one commit are listed in its order, across channels by time", async (a) => {
  const generation = await a.attach("s");
  await giveUp(a, "s", generation, "c", [2, 10, 1]);
  a.pass(5);
  await giveUp(a, "s", generation, "d", [7]);
  a.pass(5);
  const letter = await a.letter("s", "c", 9);
  await a.stand("s", generation, "c", 10, {}, [letter]);
  assertEquals(await listed(a), [2, 10, 1, 7, 9]);
});

test(
  "a commit of more letters than a subscription may have keeps the last, and counts",
  async (a) => {
    const generation = await a.attach("s");
    await giveUp(a, "s", generation, "c", [1, 2, 3, 4, 5]);
    assertEquals(await listed(a), [3, 4, 5]);
    await giveUp(a, "s", generation, "c", [6]);
    assertEquals(await listed(a), [4, 5, 6]);
    assertEquals(await a.letters.stats(), { deadLetters: 3, evicted: 3 });
  },
  { limits: { maxDeadLetters: 3 } },
);

test("a redrive that comes again has one effect and the same answer", async (a) => {
  const generation = await a.attach("s");
  await giveUp(a, "s", generation, "c", [1, 2]);
  a.link.sent.length = 0;
  assertEquals(await redriven(a), [1, 2]);
  const script = a.link.sent.find(([{ name }]) => name === "redrive")!;
  const answer = await a.link.again(script) as unknown[];
  assertEquals(answer.slice(1).length, 2);
  assertEquals(await late(a, "s", generation), [1, 2]);
  // Given up anew: that is no business of the first redrive.
  const letter = await a.letter("s", "c", 1);
  await a.stand("s", generation, "c", 2, {}, [letter]);
  await a.stand("s", generation, "c", 2);
  assertEquals(await redriven(a), [1]);
  assertEquals(await late(a, "s", generation), [1]);
});

test("a redrive that is cut off before it told the holder has lost nothing", async (a) => {
  const generation = await a.attach("s");
  await giveUp(a, "s", generation, "c", [1]);
  a.link.cut.add("news");
  await assertRejects(() => redriven(a), PushError);
  assertEquals(await listed(a), []);
  assertEquals(await a.sessions.renew([{ key: "s", generation }], a.now), []);
  await a.stand("s", generation, "c", 1);
  const next = await a.attach("s");
  assertEquals(await late(a, "s", next), [1]);
});

test("who gives a message up without knowing that it was put back does not take it away", async (a) => {
  const generation = await a.attach("s");
  await giveUp(a, "s", generation, "c", [1]);
  await redriven(a);
  const letter = await a.letter("s", "c", 1);
  await a.stand("s", generation, "c", 1, {}, [letter]);
  assertEquals(await listed(a), []);
  assertEquals(await late(a, "s", generation), [1]);
});

test("news that come while the last are heard are not lost", async (a) => {
  const generation = await a.attach("s");
  await giveUp(a, "s", generation, "c", [1, 2]);
  await a.letters.redrive({ seq: 1, limit: 1 });
  const { run } = a.link;
  a.link.run = async (...args) => {
    if (args[0].name === "heard") {
      a.link.run = run;
      await a.letters.redrive({ seq: 2, limit: 1 });
    }
    return await run.apply(a.link, args);
  };
  assertEquals(await late(a, "s", generation), [1]);
  const [renewed] = await a.sessions.renew([{ key: "s", generation }], a.now);
  assertEquals([renewed.held, [...renewed.redriven]], [true, ["c"]]);
  assertEquals(await late(a, "s", generation), [1, 2]);
  assertEquals(await a.sessions.renew([{ key: "s", generation }], a.now), []);
});

test("letters that cannot go back do not stand before those that can", async (a) => {
  const gone = await a.attach("gone");
  const generation = await a.attach("s");
  const seqs = Array.from({ length: 700 }, (_, i) => i + 1);
  await giveUp(a, "gone", gone, "c", seqs);
  await a.sessions.end("gone", gone);
  await giveUp(a, "s", generation, "c", [701, 702, 703]);
  assertEquals(await redriven(a, 2), [701, 702]);
  assertEquals(await redriven(a, 2), [703]);
  assertEquals((await listed(a)).length, 700);
}, { limits: { maxDeadLetters: 1000 } });

test("a letter of the epoch before goes back if its message is in both", async (a) => {
  const generation = await a.attach("s");
  await giveUp(a, "s", generation, "c", [1, 5]);
  const letter = await a.letter("s", "c", 5);
  await a.stand("s", generation, "c", 5, {}, [{
    ...letter,
    message: { ...letter.message, seq: 9 },
  }]);
  await a.ask("HSET", a.keys.meta("c"), "run", "another");
  await a.publish("c", 9);
  await a.stand("s", generation, "c", 14);
  assertEquals(await redriven(a), [1, 5]);
  assertEquals(await listed(a), [9], "number 9 is another message now");
  await a.stand("s", generation, "c", 14);
  assertEquals(await late(a, "s", generation), [1, 5]);
});

test("what is put back, and not loaded, goes on in an epoch that has its number", async (a) => {
  const generation = await a.attach("s");
  await giveUp(a, "s", generation, "c", [1, 5]);
  await redriven(a);
  await a.ask("HSET", a.keys.meta("c"), "run", "another");
  await a.publish("c", 1);
  await a.stand("s", generation, "c", 6);
  assertEquals(await late(a, "s", generation), [1, 5]);
});

test("a letter that nobody can read is moved aside, and the others are listed", async (a) => {
  const generation = await a.attach("s");
  const dead = a.keys.dead("c");
  await giveUp(a, "s", generation, "c", [1, 2, 3, 4]);
  const [first, second, third] = await a.ask("ZRANGE", a.keys.deadOrder("c"), 0, -1) as string[];
  await a.ask("HSET", dead, first, "nonsense", second, "4 timeout 7\n{}");
  await a.ask("HDEL", dead, third);
  await a.ask("ZADD", a.keys.deadOrder("c"), 2e15, "foreign");
  assertEquals(await listed(a), [4]);
  assertEquals(await redriven(a), [4]);
  assertEquals(await listed(a), []);
  assertEquals(await a.ask("HGET", `${dead}:aside`, first), "nonsense");
  assertEquals(a.parts.tally.quarantined, 4);
  assertEquals(await a.ask("EXISTS", dead, a.keys.deadOrder("c"), a.keys.deadSessions("c")), 0);
});

test("letters go when their time is over, and then the channel is no longer visited for them", async (a) => {
  const generation = await a.attach("s", { ttl: 86_400_000 });
  await giveUp(a, "s", generation, "c", [1, 2]);
  const channels = () => a.ask("ZRANGE", a.keys.letters, 0, -1);
  a.pass(3_600_000);
  await a.letters.sweep();
  assertEquals([await channels(), await listed(a)], [["c"], [1, 2]]);
  a.pass(3_600_001);
  assertEquals(await listed(a), []);
  await a.letters.sweep();
  assertEquals(await channels(), []);
  assertEquals(await a.ask("EXISTS", a.keys.dead("c"), a.keys.deadSessions("c")), 0);
  assertEquals(await a.letters.stats(), { deadLetters: 0, evicted: 0 });
});

test("a channel whose commit with letters never came is no longer visited after a while", async (a) => {
  const generation = await a.attach("s");
  await a.publish("c", 1);
  const letter = await a.letter("s", "c", 1);
  a.link.cut.add("commit more");
  await assertRejects(() => a.stand("s", generation, "c", 1, {}, [letter]), PushError);
  await a.letters.sweep();
  assertEquals(await a.ask("ZCARD", a.keys.letters), 1, "it may be on its way");
  a.pass(60_001);
  await a.letters.sweep();
  assertEquals(await a.ask("ZCARD", a.keys.letters), 0);
});
