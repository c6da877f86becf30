import { assert, assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { readLetterId } from "../../../server/stores/redis/letter_lua.ts";
import { readPosition } from "../../../server/stores/redis/position_text.ts";
import { lookAt } from "../../../server/stores/redis/session_look.ts";
import type { Cursor } from "../../../server/stores/store.ts";
import { type SeededRandom, seededRandom } from "../../../server/testing/seeded_random.ts";
import { startRedis } from "../../support/redis.ts";
import { Node } from "./session_bed.ts";

const redis = await startRedis({ appendonly: false });
Deno.test.afterAll(() => redis.stop());

const SEED = Number(Deno.env.get("PUSH_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const SCHEDULES = Number(Deno.env.get("PUSH_SEEDS") ?? (Deno.env.has("PUSH_SEED") ? 1 : 25));
const STEPS = 60;
const KEYS = ["s", "t", "u"];
const CHANNELS = ["c", "d"];
const HEAD = 50;

/** Scripts whose caller may have crashed before them: each one between two steps of something. */
const CUTS = [
  "name",
  "mark",
  "unname",
  "drop",
  "clear",
  "commit",
  "commit more",
  "news",
  "heard",
  "place",
  "displace",
  "settle positions",
  "redrive",
];

/** One node: the sessions that it believes to hold, and where they stand. */
interface Actor {
  readonly node: Node;
  readonly held: Map<string, { generation: number; cursors: Map<string, Cursor> }>;
}

/** What an actor does next. What it rejects with was meant to happen. */
async function act(
  { node, held }: Actor,
  random: SeededRandom,
  epochs: ReadonlyMap<string, string>,
  alone: boolean,
): Promise<void> {
  const key = random.pick(KEYS);
  const channel = random.pick(CHANNELS);
  const epoch = epochs.get(channel)!;
  const mine = held.get(key);
  switch (random.below(mine === undefined ? 4 : 18)) {
    case 0:
    case 1: {
      // Who holds it seldom has a reason to.
      if (mine !== undefined && random.below(2) === 0) return;
      held.delete(key);
      const claimed = await node.claim(key, {
        force: true,
        ttl: random.pick([0, 5000, 50_000, 50_000, 50_000]),
      });
      if (claimed.ok) held.set(key, { generation: claimed.generation, cursors: new Map() });
      return;
    }
    case 2:
      await node.letters.redrive({ limit: 1 + random.below(3) });
      return;
    case 3:
      await node.sessions.sweep(node.now);
      await node.sweeper.sweepChannel(channel);
      return;
    case 4: {
      const loaded = await node.positions.load(key, mine!.generation, [channel]);
      if (loaded?.[0] !== undefined) mine!.cursors.set(channel, loaded[0]);
      return;
    }
    case 5:
      mine!.cursors.delete(channel);
      await node.positions.forget(key, mine!.generation, channel);
      return;
    case 6:
      if (random.below(3) > 0) return;
      held.delete(key);
      await node.sessions.end(key, mine!.generation);
      return;
    case 7:
      if (random.below(3) > 0) return;
      await node.sessions.release(key, mine!.generation);
      return;
    case 8: {
      const [renewed] = await node.sessions.renew([{ key, ...mine! }], node.now);
      if (renewed?.held === false) held.delete(key);
      return;
    }
    default: {
      const known = mine!.cursors.get(channel) ??
        { epoch, floor: random.below(5), sent: 0, own: 0, settled: [], late: [] };
      const floor = Math.min(known.floor + random.below(4), HEAD);
      const seq = Math.max(floor, 1);
      const gives = random.below(3) === 0;
      const letters = gives ? [await node.letter(key, channel, seq)] : [];
      // What is given up is late no more.
      const late = known.late.filter((record) => !gives || record.seq !== seq)
        .slice(random.below(2));
      const cursor = { ...known, epoch, floor, sent: floor, late };
      const commits = [{ channel, cursor, deadLetters: letters }];
      const commit = () => node.positions.commit(key, mine!.generation, commits, node.now);
      const stored = await commit().catch((error) => {
        // It lives on, and tries again.
        if (random.below(2) === 0) throw error;
        node.link.cut.clear();
        return commit();
      });
      if (stored) {
        mine!.cursors.set(channel, cursor);
        if (alone) await assertStored(node, key, mine!.generation, channel, cursor);
      }
    }
  }
}

/** What was answered as stored is there, under its name; unless the holder is one no more. */
async function assertStored(
  node: Node,
  key: string,
  generation: number,
  channel: string,
  cursor: Cursor,
): Promise<void> {
  const look = await lookAt(node.parts, key, [channel]);
  if (look.generation !== generation) return;
  assert(
    look.news[0] !== undefined,
    `'${key}' has a position in '${channel}' and does not name it`,
  );
  const text = await node.ask("HGET", node.keys.cursors(channel), key);
  const stored = readPosition(String(text), new Map())!;
  assertEquals([stored.epoch, stored.floor >= cursor.floor], [cursor.epoch, true], String(text));
}

/** Everything that is stored about positions, checked against each other. */
async function check(node: Node): Promise<void> {
  const [all, ofSubject] = await Promise.all(
    [node.keys.sessions, node.keys.sessionsOf("")].map((key) =>
      node.ask("ZRANGE", key, 0, -1, "WITHSCORES")
    ),
  );
  assertEquals(ofSubject, all, "a subject's sessions are listed as all are");
  for (const channel of CHANNELS) {
    const { keys } = node;
    const [cursors, floors, checks, order, dead, sessions, redriven] = await Promise.all([
      node.ask("HGETALL", keys.cursors(channel)),
      node.ask("ZRANGE", keys.floors(channel), 0, -1),
      node.ask("ZRANGE", keys.check(channel), 0, -1),
      node.ask("ZRANGE", keys.deadOrder(channel), 0, -1),
      node.ask("HKEYS", keys.dead(channel)),
      node.ask("ZCARD", keys.deadSessions(channel)),
      node.ask("HKEYS", keys.redriven(channel)),
    ]) as [string[], string[], string[], string[], string[], number, string[]];
    const positions = new Map(
      cursors.flatMap((name, i) => i % 2 === 0 ? [[name, cursors[i + 1]] as const] : []),
    );
    const names = [...positions.keys()].sort();
    assertEquals(floors.sort(), names);
    assertEquals(checks.sort(), names);
    assertEquals([...dead].sort(), [...order].sort());
    assertEquals(sessions, dead.length);
    for (const key of KEYS) {
      const { generation, news: [named] } = await lookAt(node.parts, key, [channel]);
      const [, own, isNamed] = positions.get(key)?.split(" ") ?? [];
      assert(
        isNamed !== "1" || Number(own) !== generation || named !== undefined,
        `'${key}' does not name '${channel}', and its holder relies on that`,
      );
      assert(
        named === undefined || positions.has(key),
        `'${key}' names '${channel}' without a position`,
      );
    }
    const held: string[] = [];
    for (const [name, text] of positions) {
      const cursor = readPosition(text, new Map());
      assert(cursor !== undefined, text);
      const [unseen, loaded, whole] = text.split(" ").slice(7, 10);
      for (const seq of whole === "-" ? [] : whole.split(",")) held.push(`${seq}:${name}`);
      const back = [unseen, loaded].filter((list) => list !== "-").flatMap((list) =>
        list.split(",")
      );
      for (const id of dead) {
        const about = readLetterId(id)!;
        const both = about.session === name && back.includes(String(about.seq));
        assert(!both, `${id} is dead, and was put back: ${text}`);
      }
    }
    assertEquals(redriven.sort(), held.sort(), "a redriven message is there while it is needed");
  }
}

/** Everything ends: nothing may be left. */
async function end(node: Node): Promise<void> {
  node.link.cut.clear();
  node.pass(200_000);
  await node.sessions.sweep(node.now);
  for (const channel of CHANNELS) await node.sweeper.sweepChannel(channel);
  // Those whose look was put off while their session lived are due by now.
  const { keys } = node;
  const left = CHANNELS.flatMap((channel) => [
    keys.cursors(channel),
    keys.floors(channel),
    keys.check(channel),
    keys.redriven(channel),
  ]);
  const subject = keys.sessionsOf("");
  assertEquals(await node.ask("EXISTS", ...left, keys.sessions, keys.ends, subject), 0);
  node.pass(7_200_000);
  await node.letters.sweep();
  assertEquals(await node.letters.stats(), { deadLetters: 0, evicted: 0 });
}

/**
 * Runs schedules of two nodes; `width` things are done at once. Where it is one, what was cut may be
 * carried out later.
 */
function schedules(name: string, width: number): void {
  Deno.test(name, async () => {
    for (let i = 0; i < SCHEDULES; i++) {
      const seed = SEED + i;
      const random = seededRandom(seed);
      const prefix = `x${width}.${i}:`;
      await using a = await Node.open(redis.port, { prefix });
      await using b = await Node.open(redis.port, { prefix, node: "b" });
      const actors: Actor[] = [a, b].map((node) => ({ node, held: new Map() }));
      try {
        for (const channel of CHANNELS) await a.publish(channel, HEAD);
        const epochs = new Map<string, string>();
        for (const channel of CHANNELS) {
          epochs.set(channel, (await a.log.read(channel, 0, 1)).epoch);
        }
        for (let step = 0; step < STEPS; step++) {
          const ms = random.pick([0, 0, 0, 0, 0, 0, 0, 0, 100, 1000, 1000, 9000, 30_000]);
          for (const { node } of actors) {
            node.pass(ms);
            node.link.cut.clear();
            if (random.below(width === 1 ? 2 : 4) === 0) node.link.cut.add(random.pick(CUTS));
          }
          await Promise.all(Array.from({ length: width }, async () => {
            try {
              await act(random.pick(actors), random, epochs, width === 1);
            } catch (error) {
              if (!(error instanceof PushError) || !error.message.startsWith("cut")) throw error;
            }
          }));
          for (const { node: { link } } of actors) {
            if (width > 1 || link.lost.length === 0 || random.below(3) > 0) continue;
            const [late] = link.lost.splice(random.below(link.lost.length), 1);
            // A name may come when its position was swept away: its subscriber is told of a gap.
            if (late[0].name !== "name") await link.again(late);
          }
          await check(a);
        }
        await end(a);
      } catch (error) {
        throw new Error(`With PUSH_SEED=${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
    console.log(`${SCHEDULES} schedules of ${STEPS} steps from PUSH_SEED=${SEED}`);
  });
}

schedules("whatever is cut off where, positions, names and letters go together", 1);
schedules("whatever two nodes do at once, positions, names and letters go together", 4);
