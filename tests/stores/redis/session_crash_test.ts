import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { startRedis } from "../../support/redis.ts";
import { Node } from "./session_bed.ts";

Deno.test("sessions, positions and dead letters survive kill -9 of a Redis that writes to disk", async () => {
  await using redis = await startRedis({ appendfsync: "always" });
  let generation: number;
  let epoch: string;
  {
    await using a = await Node.open(redis.port);
    await a.publish("c", 20);
    epoch = (await a.log.read("c", 0, 1)).epoch;
    generation = await a.attach("s", { secretHash: "secret" });
    const letters = [await a.letter("s", "c", 3), await a.letter("s", "c", 4)];
    const late = [{ seq: 5, attempts: 2 }];
    const rest = { sent: 19, settled: [12, 14], late };
    assertEquals(await a.stand("s", generation, "c", 10, rest, letters), true);
    assertEquals((await a.letters.redrive({ limit: 1 })).length, 1);
    await redis.kill();
  }
  await redis.restart();
  await using b = await Node.open(redis.port, { node: "b" });
  assertEquals(await b.ask("ZRANGE", b.keys.sessionsOf(""), 0, -1), ["s"]);
  const refused = await b.claim("s", { force: true });
  assertEquals(refused.ok ? "" : refused.reason, "bad_secret");
  const claimed = await b.claim("s", { force: true, secretHash: "secret" });
  assert(claimed.ok);
  assertEquals([claimed.previous, claimed.resumed], [generation, true]);
  assertEquals([...claimed.channels], ["c"]);
  const cursor = (await b.position("s", claimed.generation, "c"))!;
  assertEquals([cursor.epoch, cursor.floor, cursor.sent], [epoch, 10, 19]);
  assertEquals(cursor.settled, [12, 14]);
  const late = cursor.late.map(({ seq, attempts, redriven }) => [seq, attempts, redriven?.seq]);
  assertEquals(late, [[3, 0, 3], [5, 2, undefined]]);
  // The log has a new epoch that goes on with the old numbers, and so does what was given up.
  const page = await b.log.read("c", 0, 100);
  assertNotEquals(page.epoch, epoch);
  assertEquals(page.messages.length, 20);
  assertEquals(await b.stand("s", claimed.generation, "c", 10), true);
  assertEquals((await b.letters.redrive({ limit: 9 })).map(({ message }) => message.seq), [4]);
  const again = (await b.position("s", claimed.generation, "c"))!;
  assertEquals([again.epoch, again.late.map(({ seq }) => seq)], [page.epoch, [4]]);
});

Deno.test("with all data gone a holder is told that it holds nothing, and may begin anew", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using a = await Node.open(redis.port);
  await a.publish("c", 20);
  const generation = await a.attach("s");
  await a.stand("s", generation, "c", 10);
  await a.ask("FLUSHALL");
  const [renewed] = await a.sessions.renew([{ key: "s", generation }], a.now);
  assertEquals(renewed, { key: "s", held: false, lost: true, redriven: [] });
  assertEquals(await a.stand("s", generation, "c", 11), false);
  const next = await a.attach("s");
  assert(next > generation);
  assertEquals(await a.stand("s", next, "c", 0), true);
  await a.sessions.sweep(a.now);
  assertEquals((await a.sessions.stats()).sessions, 1);
});
