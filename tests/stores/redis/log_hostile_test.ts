import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { decodeNotice, SEPARATOR } from "../../../server/stores/redis/notice.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { contents, draft, drafts, type LogBed, numbers, openLog } from "./log_bed.ts";

const ENTRY = ["m", "[1,1,null,null,null]", "p", "{}"];

Deno.test("entries that another program put between are passed over, removed and counted", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  const key = bed.keys.log("c");
  for (const n of numbers(1, 5)) {
    await bed.log.append("c", drafts(n, n));
    await redis.ask("XADD", key, `${n}-1`, ...ENTRY);
    await redis.ask("XADD", key, `${n}-999`, "a", "\u0000\n");
  }
  assertEquals(await contents(bed, "c"), ["1:1", "2:2", "3:3", "4:4", "5:5"]);
  // Those behind the newest are nobody's concern until there is a newer one.
  assertEquals([bed.log.quarantined, await redis.ask("XLEN", key)], [8, 7]);
  await bed.log.append("c", drafts(6, 6));
  assertEquals((await contents(bed, "c")).length, 6);
  assertEquals([bed.log.quarantined, await redis.ask("XLEN", key)], [10, 6]);
});

Deno.test("an entry of a later id does not keep anybody from appending", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  await bed.log.append("c", drafts(1, 3));
  await redis.ask("XADD", bed.keys.log("c"), "*", ...ENTRY);
  await redis.ask("XADD", bed.keys.log("c"), "18446744073709551615-18446744073709551615", "a", "b");
  assertEquals(await contents(bed, "c"), ["1:1", "2:2", "3:3"]);
  const { appended, oldest } = await bed.log.append("c", drafts(4, 5));
  assertEquals([appended.map(({ seq }) => seq), oldest], [[4, 5], 1]);
  assertEquals(await contents(bed, "c"), ["1:1", "2:2", "3:3", "4:4", "5:5"]);
  assertEquals(bed.log.quarantined, 2);
});

const BROKEN: Record<string, string[]> = {
  "a payload that is no JSON": ["m", "[1,1,null,null,null]", "p", "{"],
  "no payload": ["m", "[1,1,null,null,null]"],
  "other fields": ["x", "[1,1,null,null,null]", "p", "{}"],
  "a time that is none": ["m", '["x",1,null,null,null]', "p", "{}"],
  "a negative sum": ["m", "[1,-1,null,null,null]", "p", "{}"],
  "an id that is none": ["m", "[1,1,7,null,null]", "p", "{}"],
  "a list that ends early": ["m", "[1,1,null", "p", "{}"],
  "no list": ["m", "", "p", "{}"],
};
for (const [what, fields] of Object.entries(BROKEN)) {
  Deno.test(`after a message with ${what} the log begins anew, and the state says so`, async () => {
    await using redis = await startRedis();
    await using bed = await openLog(redis.port);
    const { epoch } = await bed.log.append("c", drafts(1, 5));
    await replaceEntry(redis, bed, 4, fields);
    const { oldest, head, messages, ...state } = await bed.log.read("c", 0, 10);
    assertEquals([oldest, head, messages.map(({ seq }) => seq)], [5, 5, [5]]);
    assertEquals([state.epoch, bed.log.quarantined], [epoch, 1]);
    const { bytes } = await bed.log.stats();
    assertEquals(bytes, messages[0].bytes);
    assertEquals((await bed.log.append("c", drafts(6, 6))).appended[0].seq, 6);
    assertEquals(await contents(bed, "c"), ["5:5", "6:6"]);
  });
}

Deno.test("messages that are missing are a loss that the state tells, wherever they were", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  const { log, keys } = bed;
  const cases: [channel: string, missing: number[], oldest: number][] = [
    ["first", [1], 2],
    ["middle", [3, 4], 5],
    ["holes", [2, 5, 8], 9],
    ["last", [9, 10], 11],
    ["all", numbers(1, 10), 11],
  ];
  for (const [channel, missing, oldest] of cases) {
    await log.append(channel, drafts(1, 10));
    await redis.ask("XDEL", keys.log(channel), ...missing.map((seq) => `${seq}-0`));
    const page = await log.read(channel, 0, 100);
    assertEquals([channel, page.oldest, page.head], [channel, oldest, 10]);
    assertEquals(page.messages.map(({ seq }) => seq), numbers(oldest, 10));
    await log.append(channel, drafts(11, 11));
    assertEquals((await contents(bed, channel)).at(-1), "11:11");
  }
  assertEquals(log.quarantined, 1 + 2 + 3 + 2 + 10);
  await log.append("gone", drafts(1, 3));
  await redis.ask("DEL", keys.log("gone"));
  assertEquals((await log.append("gone", drafts(4, 4))).head, 4);
  const { oldest, messages } = await log.read("gone", 0, 10);
  assertEquals([oldest, messages.map(({ seq }) => seq)], [4, [4]]);
});

Deno.test("many holes at once are read over at once", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  await bed.log.append("c", drafts(1, 2000));
  await redis.ask("XDEL", bed.keys.log("c"), ...numbers(1, 999).map((n) => `${2 * n}-0`));
  const { oldest, messages } = await bed.log.read("c", 0, 10_000);
  assertEquals([oldest, messages.length], [1999, 2]);
});

for (const type of ["string", "list", "hash", "set", "stream"] as const) {
  Deno.test(`keys that are a ${type} of another program are set aside, and the store goes on`, async () => {
    await using redis = await startRedis();
    await using bed = await openLog(redis.port);
    const { log, keys } = bed;
    const put = async (key: string): Promise<void> => {
      await redis.ask("DEL", key);
      if (type === "string") await redis.ask("SET", key, "x");
      if (type === "list") await redis.ask("RPUSH", key, "x");
      if (type === "hash") await redis.ask("HSET", key, "x", "y");
      if (type === "set") await redis.ask("SADD", key, "x");
      if (type === "stream") await redis.ask("XADD", key, "7-7", "x", "y");
    };
    const { epoch } = await log.append("c", [draft({ id: "i" })]);
    await put(keys.ids("c")[0]);
    await put(keys.ids("c")[1]);
    assertEquals((await log.append("c", [draft({ id: "j" })])).head, 2);
    await put(keys.log("c"));
    const page = await log.read("c", 0, 10);
    assertEquals([page.epoch, page.head, page.oldest, page.messages], [epoch, 2, 3, []]);
    await put(keys.log("c"));
    assertEquals((await log.append("c", drafts(3, 3))).appended[0].seq, 3);
    assertEquals(await contents(bed, "c"), ["3:3"]);
    await put(keys.floors("c"));
    await log.append("c", drafts(4, 4));
    await log.sweep();
    await put(keys.meta("c"));
    const anew = await log.append("c", drafts(1, 1));
    assertNotEquals(anew.epoch, epoch);
    assertEquals([anew.head, anew.earlier], [1, undefined]);
    assertEquals(await contents(bed, "c"), ["1:1"]);
    assert(log.quarantined >= 1);
    await log.sweep();
    assertEquals((await log.channels()).map(({ name, head }) => [name, head]), [["c", 1]]);
  });
}

const SPOILED: [field: string, value: string][] = [
  ["epoch", "A B"],
  ["epoch", "x".repeat(33)],
  ["head", "-1"],
  ["head", "1e3"],
  ["head", "9".repeat(30)],
  ["oldest", "0"],
  ["oldest", "99"],
  ["cum", "x"],
  ["gone", "999999"],
  ["at", "soon"],
];
Deno.test("a channel whose own record is spoiled begins anew under another epoch", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  for (const [field, value] of SPOILED) {
    const { epoch } = await bed.log.append("c", drafts(1, 3));
    const before = bed.log.quarantined;
    await redis.ask("HSET", bed.keys.meta("c"), field, value);
    const [state] = await bed.log.states(["c"]);
    assert(state !== undefined);
    assertNotEquals(state.epoch, epoch, field);
    assertEquals([field, state.head, state.oldest], [field, 0, 1]);
    assertEquals([state.earlier, bed.log.quarantined], [undefined, before + 1]);
  }
  await redis.ask("HSET", bed.keys.meta("c"), "earlier", "x,,:,A:1,ok:3", "metadata", "{");
  await bed.log.append("c", drafts(1, 1)).catch(() => {});
  await redis.ask(
    "HSET",
    bed.keys.meta("c"),
    "evicted",
    "x",
    "expired",
    "-1",
    "used",
    "",
    "kept",
    "?",
  );
  await bed.log.sweep();
});

Deno.test("an index that another program has written into still serves", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  const { log, keys } = bed;
  await log.append("c", drafts(1, 1));
  await redis.ask("ZADD", keys.channels, 0, "%zz", 0, "{", 0, "%007b", 0, "nowhere");
  await redis.ask("HSET", keys.sizes, "c", "x", "nowhere", "1 2 3 4");
  await redis.ask("HSET", keys.totals, "evicted", "7");
  await log.sweep();
  assertEquals((await log.channels()).map(({ name }) => name), ["c"]);
  assertEquals((await log.stats()).channels, 1);
  await redis.ask("SET", keys.channels, "x");
  assertEquals((await log.append("c", drafts(2, 2))).head, 2);
  assertEquals((await log.append("d", drafts(1, 1))).head, 1);
  assertEquals((await log.read("e", 0, 1)).head, 0);
  await redis.ask("SET", keys.ages, "x");
  await redis.ask("SET", keys.totals, "x");
  await redis.ask("SET", keys.sizes, "x");
  await log.sweep();
  await log.append("c", drafts(3, 3));
  const { channels, messages } = await log.stats();
  assertEquals([channels, messages], [1, 3]);
  await redis.ask("DEL", keys.channels);
  await redis.ask("RPUSH", keys.channels, "x");
  assertEquals(await log.channels(), []);
  await log.append("c", drafts(4, 4));
  assertEquals((await log.channels()).map(({ name }) => name), ["c"]);
});

Deno.test("data of another format is refused with what to do", async () => {
  await using redis = await startRedis();
  {
    await using bed = await openLog(redis.port);
    await bed.log.append("c", drafts(1, 1));
    await redis.ask("SET", bed.keys.format, "2");
  }
  const { message } = await assertRejects(() => openLog(redis.port), TypeError);
  assertEquals(
    message,
    "Cannot open the Redis store as 'praison:push:{index}:format' must be 1, the format of this version: " +
      "current value is '2'. Use the version of Push that wrote it, or another prefix.",
  );
  await using other = await openLog(redis.port, { redis: { prefix: "another:" } });
  assertEquals((await other.log.append("c", drafts(1, 1))).head, 1);
});

Deno.test("a notice that is foreign, cut or spoiled is none", () => {
  const head = "push1 abc 2 1 1700000000000 old:1,older:0";
  const parts = [
    "[1700000000000,66,null,null,null]",
    "{}",
    '[1700000000000,132,"i","o","s"]',
    "[]",
  ];
  const text = [head, ...parts].join(SEPARATOR);
  assertEquals(decodeNotice(text), {
    epoch: "abc",
    head: 2,
    oldest: 1,
    time: 1_700_000_000_000,
    earlier: [{ epoch: "old", base: 1 }, { epoch: "older", base: 0 }],
    messages: [
      { seq: 1, at: 1_700_000_000_000, bytes: 66, origin: null, source: null, payload: "{}" },
      {
        id: "i",
        seq: 2,
        at: 1_700_000_000_000,
        bytes: 66,
        origin: "o",
        source: "s",
        payload: "[]",
      },
    ],
  });
  assertEquals(decodeNotice("push1 abc 2 1 1700000000000 ")?.messages, []);
  // Cut anywhere it is none, or one with less that is true all the same.
  for (let end = 0; end < text.length; end++) {
    const notice = decodeNotice(text.slice(0, end));
    assert(notice === undefined || notice.messages.length <= 1 && end < text.length);
  }
  const spoiled = [
    "",
    "{}",
    "push2" + text.slice(5),
    text.replace("push1", "push10"),
    text.replace("abc", "ABC"),
    text.replace(" 2 1 ", " 2 4 "),
    text.replace(" 2 1 ", " -2 1 "),
    text.replace(" 2 1 ", " 1 1 "),
    text.replace("older:0", "older"),
    text.replace("{}", "{"),
    text.replace("66", "x"),
    text + SEPARATOR,
    `${text}${SEPARATOR}1${SEPARATOR}2`,
    head + " more",
  ];
  for (const foreign of spoiled) assertEquals(decodeNotice(foreign), undefined, foreign);
});

/** Replaces an entry by one with other fields. */
async function replaceEntry(
  redis: RedisServer,
  bed: LogBed,
  seq: number,
  fields: readonly string[],
): Promise<void> {
  const key = bed.keys.log("c");
  const entries = await redis.ask("XRANGE", key, "-", "+") as [string, string[]][];
  await redis.ask("DEL", key);
  for (const [id, old] of entries) {
    await redis.ask("XADD", key, id, ...(id === `${seq}-0` ? fields : old));
  }
}
