import { assert, assertEquals } from "@std/assert";
import type { Json } from "@push/client/protocol";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import { RedisLink } from "../../../server/stores/redis/link.ts";
import { RedisRoster, rowsMessageOf } from "../../../server/stores/redis/roster.ts";
import { startRedis } from "../../support/redis.ts";
import { redisSettings } from "./support/settings.ts";

const LEASE = 10_000;
const keys = new RedisKeys("r:");

function rosters(link: RedisLink, ...nodes: string[]): RedisRoster[] {
  return nodes.map((node) => new RedisRoster(link, keys, node, LEASE));
}

function changes(rows: Record<string, Json>): Map<string, Json> {
  return new Map(Object.entries(rows));
}

async function within(work: (link: RedisLink) => Promise<void>): Promise<void> {
  await using redis = await startRedis();
  await using link = new RedisLink({ settings: redisSettings({ port: redis.port }) });
  await link.open();
  await work(link);
}

Deno.test("RedisRoster tells who lives, and what each says of itself", () =>
  within(async (link) => {
    const [a, b] = rosters(link, "a", "b");
    assertEquals([...await a.renew()], [["a", 0]]);
    assertEquals(await a.write(changes({ x: 1, "{y}": { deep: [null, "ä"] }, z: "" })), 1);
    assertEquals(await a.write(changes({ x: null, z: "new" })), 2);
    assertEquals(new Map(await b.renew()), new Map([["a", 2], ["b", 0]]));
    const rows = changes({ "{y}": { deep: [null, "ä"] }, z: "new" });
    assertEquals(await b.rows("a"), { version: 2, rows });
    assertEquals(await b.rows("b"), { version: 0, rows: new Map() });
    assertEquals(await b.rows("c"), undefined);
    await a.leave();
    assertEquals([...await b.renew()], [["b", 0]]);
    assertEquals(await b.rows("a"), undefined);
  }));

Deno.test("RedisRoster removes a node whose lease is over, with its rows", () =>
  within(async (link) => {
    const [a, b] = rosters(link, "a", "b");
    await a.write(changes({ x: 1 }));
    await b.renew();
    link.timeOffset = LEASE / 2;
    await b.renew();
    link.timeOffset = LEASE + 1000;
    assertEquals(await b.rows("a"), undefined);
    assertEquals([...await b.renew()], [["b", 0]]);
    const left = await link.command("keys", "*");
    assertEquals(left, [keys.nodes("leases")]);
  }));

Deno.test("RedisRoster tells a node that its rows are gone, until it has written them again", () =>
  within(async (link) => {
    const [a, b] = rosters(link, "a", "b");
    await a.write(changes({ x: 1 }));
    const before = await a.write(changes({ y: 2 }));
    link.timeOffset = LEASE + 1000;
    await b.renew();
    assertEquals((await a.renew()).get("a"), 0);
    // Not as the change after the last: who has seen that must not take it for one.
    const after = await a.write(changes({ x: 1, y: 2 }));
    assert(after > before + 1, `${after}`);
    await link.command("flushall");
    assertEquals((await a.renew()).get("a"), 0);
    while ((await a.renew()).get("a") === 0) await a.write(changes({ x: 1, y: 2 }));
    assertEquals((await b.rows("a"))?.rows, changes({ x: 1, y: 2 }));
    assertEquals((await b.renew()).get("a"), (await a.renew()).get("a"));
  }));

Deno.test("RedisRoster notices by a change that its lease was over", () =>
  within(async (link) => {
    const [a, b] = rosters(link, "a", "b");
    await a.write(changes({ x: 1 }));
    link.timeOffset = LEASE + 1000;
    await b.renew();
    await a.write(changes({ y: 2 }));
    assertEquals((await b.rows("a"))?.rows, changes({ y: 2 }));
    assertEquals((await a.renew()).get("a"), 0);
  }));

Deno.test("RedisRoster's messages are read, and nothing else is", () => {
  assertEquals(rowsMessageOf({ rows: ["a", [["x", null]]], version: 3 }), {
    node: "a",
    version: 3,
    changes: new Map([["x", null]]),
  });
  const others: Record<string, unknown>[] = [
    {},
    { rows: ["a", []] },
    { rows: [1, []], version: 1 },
    { rows: ["a", [["x"]]], version: 1 },
    { rows: ["a", {}], version: 1 },
    { rows: "a", version: 1 },
    { rows: ["a", [[1, 2]]], version: "1" },
  ];
  for (const other of others) assertEquals(rowsMessageOf(other), undefined);
});
