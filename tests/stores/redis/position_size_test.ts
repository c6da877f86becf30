import { assert, assertEquals } from "@std/assert";
import { startRedis } from "../../support/redis.ts";
import { Node } from "./session_bed.ts";

const COUNT = 10_000;

Deno.test("ten thousand offline subscribers cost their positions, whatever is published", async () => {
  await using redis = await startRedis({ appendonly: false });
  await using a = await Node.open(redis.port, { limits: { maxSessions: 2 * COUNT } });
  await a.publish("c", 10);
  const keys = Array.from({ length: COUNT }, (_, i) => `n:client-${i}:anonymous`);
  for (let i = 0; i < COUNT; i += 500) {
    await Promise.all(
      keys.slice(i, i + 500).map(async (key) => {
        const generation = await a.attach(key, { ttl: 86_400_000 });
        await a.stand(key, generation, "c", 10);
        await a.sessions.release(key, generation);
      }),
    );
  }
  const bytes = async (names: readonly string[]): Promise<number> => {
    const sizes = await Promise.all(
      names.map((key) => a.ask("MEMORY", "USAGE", key, "SAMPLES", 0)),
    );
    return sizes.reduce((sum: number, size) => sum + Number(size ?? 0), 0);
  };
  const { cursors, floors, check } = {
    cursors: a.keys.cursors("c"),
    floors: a.keys.floors("c"),
    check: a.keys.check("c"),
  };
  const positions = () => bytes([cursors, floors, check]);
  const indexes = [a.keys.sessions, a.keys.ends, a.keys.sessionsOf("anonymous")];
  const sessions = () => bytes([...indexes, ...keys.map((key) => a.keys.session(key))]);
  const before = [await positions(), await sessions()];
  const log = await bytes([a.keys.log("c")]);
  for (let i = 0; i < 10; i++) await a.publish("c", 100);
  const after = [await positions(), await sessions()];
  const per = before.map((size) => Math.round(size / COUNT));
  console.log(
    `${COUNT} positions: ${before[0]} bytes (${per[0]} each), sessions: ${before[1]} bytes ` +
      `(${per[1]} each); after 1000 messages: ${after[0]} and ${after[1]}; ` +
      `log: ${log} bytes, then ${await bytes([a.keys.log("c")])}`,
  );
  assertEquals(after, before);
  assertEquals(await a.ask("HLEN", cursors), COUNT);
  assert(per[0] < 600 && per[1] < 800);
});
