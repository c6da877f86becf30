import { assertEquals } from "@std/assert";
import type { Json } from "@push/client/protocol";
import { Roster } from "../../server/nodes/roster.ts";
import type { Cluster } from "../../server/stores/cluster.ts";
import {
  ManualClock,
  MemoryCluster,
  type MemoryNode,
  seededRandom,
} from "../../server/testing/mod.ts";

const LEASE = 10_000;
const QUARTER = LEASE / 4;

/** One node's roster, what its cluster was asked for, and what it has heard of other nodes' rows. */
interface Member {
  readonly node: MemoryNode;
  readonly roster: Roster;
  readonly heard: string[];
  readonly asked: string[];
  /** Rows of all other nodes, as heard. */
  readonly rows: Map<string, Json>;
}

class Nodes {
  readonly clock = new ManualClock();
  readonly cluster: MemoryCluster;
  readonly #members: Member[] = [];

  constructor(seed = 1) {
    this.cluster = new MemoryCluster({
      clock: this.clock,
      random: seededRandom(seed),
      lease: LEASE,
    });
  }

  async add(): Promise<Member> {
    const node = this.cluster.join();
    const asked: string[] = [];
    const counted = new Proxy<Cluster>(node, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...values: unknown[]) => {
          asked.push(String(name));
          return value.apply(target, values);
        };
      },
    });
    const roster = new Roster({ cluster: counted, clock: this.clock });
    const member: Member = { node, roster, heard: [], asked, rows: new Map() };
    roster.listen({
      rowChanged: (from, key, row, isNews) => {
        member.heard.push(`${key}=${JSON.stringify(row)}${isNews ? "" : " (old)"}`);
        if (row === null) member.rows.delete(`${from} ${key}`);
        else member.rows.set(`${from} ${key}`, row);
      },
    });
    await node.listen({
      rows: (from, version, changes) => roster.rows(from, version, changes),
      note: () => {},
      lapse: () => roster.lapse(),
    });
    this.#members.push(member);
    await roster.start();
    return member;
  }

  async end(): Promise<void> {
    for (const { roster } of this.#members) roster.stop();
    await this.clock.advance(0);
    assertEquals(this.clock.pending, 0, "Timers are left");
  }
}

Deno.test("Roster tells every node of a row at once, and gathers what follows", async () => {
  const nodes = new Nodes();
  const [one, two] = [await nodes.add(), await nodes.add()];
  await nodes.clock.advance(1000);
  one.roster.set("a", 1);
  await nodes.clock.advance(0);
  assertEquals(two.heard, ["a=1"]);
  for (let i = 2; i <= 9; i++) one.roster.set("a", i);
  one.roster.set("b", true);
  await nodes.clock.advance(99);
  assertEquals(two.heard, ["a=1"]);
  await nodes.clock.advance(1);
  assertEquals(two.heard, ["a=1", "a=9", "b=true"]);
  one.roster.set("a", null);
  await nodes.clock.advance(100);
  assertEquals(two.heard.slice(3), ["a=null"]);
  assertEquals(one.asked.filter((name) => name === "write").length, 3);
  assertEquals(one.heard, []);
  await nodes.end();
});

Deno.test("Roster counts a channel's subscribers on other nodes", async () => {
  const nodes = new Nodes();
  const [one, two, three] = [await nodes.add(), await nodes.add(), await nodes.add()];
  one.roster.setLive("news", 2);
  two.roster.setLive("news", 3);
  two.roster.setLive("news", 4);
  await nodes.clock.advance(100);
  assertEquals([one, two, three].map(({ roster }) => roster.liveElsewhere("news")), [4, 2, 6]);
  one.roster.setLive("news", 0);
  await nodes.clock.advance(100);
  assertEquals([one, two, three].map(({ roster }) => roster.liveElsewhere("news")), [4, 0, 4]);
  two.node.kill();
  two.roster.stop();
  await nodes.clock.advance(LEASE + QUARTER);
  assertEquals([one, three].map(({ roster }) => roster.liveElsewhere("news")), [0, 0]);
  await nodes.end();
});

Deno.test("Roster of a node that starts reads what was there before, as old news", async () => {
  const nodes = new Nodes();
  const one = await nodes.add();
  one.roster.set("a", 1);
  await nodes.clock.advance(100);
  const two = await nodes.add();
  assertEquals(two.heard, ["a=1 (old)"]);
  assertEquals(two.roster.isAlive(one.node.node), true);
  one.roster.set("b", 2);
  await nodes.clock.advance(0);
  assertEquals(two.heard, ["a=1 (old)", "b=2"]);
  await nodes.end();
});

Deno.test("Roster that could not read at first reads old rows as old when it can", async () => {
  const nodes = new Nodes();
  const one = await nodes.add();
  one.roster.set("a", 1);
  await nodes.clock.advance(100);
  const node = nodes.cluster.join();
  const heard: string[] = [];
  const roster = new Roster({ cluster: node, clock: nodes.clock });
  roster.listen({ rowChanged: (_, key, _row, isNews) => heard.push(`${key} ${isNews}`) });
  node.cut();
  roster.set("own", 1);
  await roster.start();
  await nodes.clock.advance(3000);
  assertEquals(heard, []);
  node.heal();
  await nodes.clock.advance(1000);
  assertEquals(heard, ["a false"]);
  assertEquals(one.heard, ["own=1"]);
  roster.stop();
  await nodes.end();
});

Deno.test("Roster finds a change that it missed within a quarter of a lease", async () => {
  const nodes = new Nodes();
  const [one, two] = [await nodes.add(), await nodes.add()];
  nodes.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
  one.roster.set("a", 1);
  await nodes.clock.advance(0);
  nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
  assertEquals(two.heard, []);
  await nodes.clock.advance(QUARTER + 250);
  assertEquals(two.heard, ["a=1"]);

  // A later change shows at once that one is missing.
  nodes.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
  one.roster.set("b", 1);
  await nodes.clock.advance(0);
  nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
  one.roster.set("c", 1);
  await nodes.clock.advance(100);
  assertEquals(two.heard, ["a=1", "b=1", "c=1"]);
  await nodes.end();
});

Deno.test("Roster reads nothing again while rumours arrive, though a comparison overtakes them", async () => {
  const nodes = new Nodes();
  const [one, two] = [await nodes.add(), await nodes.add()];
  await nodes.clock.advance(QUARTER - 50);
  nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 100, jitter: 0 };
  one.roster.set("a", 1);
  await nodes.clock.advance(LEASE);
  assertEquals(two.heard, ["a=1"]);
  assertEquals(two.asked.filter((name) => name === "rows"), []);
  await nodes.end();
});

Deno.test("Roster drops the rows of a killed node within a lease and a quarter", async () => {
  const nodes = new Nodes();
  const [one, two] = [await nodes.add(), await nodes.add()];
  one.roster.set("a", 1);
  await nodes.clock.advance(100);
  one.node.kill();
  one.roster.stop();
  await nodes.clock.advance(LEASE - QUARTER - 200);
  assertEquals(two.heard, ["a=1"]);
  await nodes.clock.advance(2 * QUARTER + 200);
  assertEquals(two.heard, ["a=1", "a=null"]);
  assertEquals(two.roster.isAlive(one.node.node), false);
  assertEquals(two.roster.nodes, [two.node.node]);
  await nodes.end();
});

Deno.test("Roster that leaves has written what was removed; what it still says lapses", async () => {
  const nodes = new Nodes();
  const [one, two] = [await nodes.add(), await nodes.add()];
  one.roster.set("a", 1);
  one.roster.set("b", 1);
  await nodes.clock.advance(100);
  one.roster.set("a", null);
  await one.roster.leave();
  await nodes.clock.advance(0);
  assertEquals(two.heard, ["a=1", "b=1", "a=null", "leaving=true"]);
  assertEquals(two.roster.isAlive(one.node.node), false);
  await nodes.clock.advance(LEASE - 100);
  assertEquals(two.heard.length, 4);
  await nodes.clock.advance(QUARTER + 100);
  assertEquals(two.heard.slice(4), ["b=null", "leaving=null"]);
  await nodes.end();
});

Deno.test("Roster of a node whose lease has lapsed writes all its rows anew", async () => {
  const nodes = new Nodes();
  const [one, two] = [await nodes.add(), await nodes.add()];
  one.roster.set("a", 1);
  one.roster.set("b", 1);
  two.roster.set("c", 1);
  await nodes.clock.advance(200);
  one.node.cut();
  one.roster.set("b", null);
  await nodes.clock.advance(2 * LEASE);
  // Others have dropped it; itself, it knows what it knew.
  assertEquals([...two.rows.values()], []);
  assertEquals([...one.rows.values()], [1]);
  one.node.heal();
  await nodes.clock.advance(1000);
  assertEquals(two.heard, ["a=1", "b=1", "a=null", "b=null", "a=1"]);
  assertEquals(one.heard, ["c=1"]);
  await nodes.end();
});

Deno.test("Roster takes flushed data for no node's death", async () => {
  const nodes = new Nodes();
  const [one, two, three] = [await nodes.add(), await nodes.add(), await nodes.add()];
  const all = [one, two, three];
  all.forEach(({ roster }, i) => roster.set(`row ${i}`, i));
  await nodes.clock.advance(500);
  const heard = all.map((member) => member.heard.length);
  nodes.cluster.flush();
  await nodes.clock.advance(2 * LEASE);
  assertEquals(all.map((member) => member.heard.length), heard);
  for (const { node } of all) {
    assertEquals((await one.node.rows(node.node))?.rows.size, 1);
  }
  await nodes.end();
});

Deno.test("Roster converges however rumours and nodes fail", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const nodes = new Nodes(seed);
    const random = seededRandom(seed);
    const members = [await nodes.add(), await nodes.add(), await nodes.add()];
    const own = new Map<Member, Map<string, Json>>(members.map((member) => [member, new Map()]));
    nodes.cluster.rumours = { loss: 0.2, repeats: 0.2, delay: 20, jitter: 400 };
    for (let step = 0; step < 200; step++) {
      const member = random.pick(members);
      const what = random.below(20);
      if (what === 0) member.node.cut();
      else if (what === 1) member.node.heal();
      else if (what === 2 && step % 10 === 0) nodes.cluster.flush();
      else {
        const [key, row] = [`row ${random.below(8)}`, random.below(3) || null];
        member.roster.set(key, row);
        if (row === null) own.get(member)!.delete(key);
        else own.get(member)!.set(key, row);
      }
      await nodes.clock.advance(random.below(random.below(30) === 0 ? LEASE : 300));
    }
    for (const { node } of members) node.heal();
    nodes.cluster.rumours = { loss: 0, repeats: 0, delay: 0, jitter: 0 };
    await nodes.clock.advance(3 * LEASE);
    for (const member of members) {
      const expected = members.filter((other) => other !== member).flatMap((other) =>
        [...own.get(other)!].map(([key, row]) => `${other.node.node} ${key}=${row}`)
      );
      const found = [...member.rows].map(([key, row]) => `${key}=${row}`);
      assertEquals(found.sort(), expected.sort(), `seed ${seed}`);
    }
    await nodes.end();
  }
});
