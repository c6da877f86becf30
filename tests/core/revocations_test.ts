import { assertEquals, assertRejects } from "@std/assert";
import { type JsonObject, PushError } from "@push/client/protocol";
import { Revocations } from "../../server/nodes/revocations.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { MemoryData, MemoryStore } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import type { Revocation } from "../../server/stores/revocations.ts";
import { ManualClock, seededRandom } from "../../server/testing/mod.ts";
import { Interposed } from "./interposed.ts";
import { overNodes } from "./nodes_world.ts";

const DAY = 86_400_000;
const { push } = resolveOptions({ push: { enabled: true } });

/** A handle on data. */
function handle(data: MemoryData, maxRevocations?: number): MemoryStore {
  return new MemoryStore({
    retention: retentionOf(push),
    limits: { ...storeLimitsOf(push), maxRevocations },
    random: seededRandom(1).bytes,
    data,
  });
}

/** What one node knows, over data that others may share; nobody sends it notes. */
class Node {
  readonly store: Interposed;
  readonly revocations: Revocations;
  /** Names that were told as revoked, in order. */
  readonly told: string[] = [];
  failures = 0;

  constructor(clock: ManualClock, data: MemoryData, maxRevocations?: number) {
    this.store = new Interposed(handle(data, maxRevocations));
    this.revocations = new Revocations({
      store: this.store.store,
      clock,
      failed: () => this.failures++,
    });
    this.revocations.onChange((entries) => this.told.push(...entries.map(({ name }) => name)));
  }

  /** From now on everything that it asks the store for is refused. */
  cut(): void {
    this.store.before = () => {
      throw new PushError("unavailable");
    };
  }

  isVoid(name: string): boolean {
    return this.revocations.isVoid("subject", name, 0);
  }
}

function world(maxRevocations?: number) {
  const clock = new ManualClock();
  const data = new MemoryData();
  const revocation = (name: string, parts: Partial<Revocation> = {}): Revocation => {
    const at = clock.now();
    return { kind: "subject", name, at, until: at + DAY, ...parts };
  };
  const start = async () => {
    const node = new Node(clock, data, maxRevocations);
    await node.revocations.start();
    return node;
  };
  return { clock, data, revocation, start };
}

Deno.test("Revocations.isVoid() voids what was issued before, and what it is not known of when", async () => {
  const { clock, revocation, start } = world();
  const { revocations } = await start();
  const at = clock.now();
  await revocations.revoke(revocation("ann"));
  const issued = [at - 1, at, at + 1, undefined];
  assertEquals(issued.map((time) => revocations.isVoid("subject", "ann", time)), [
    true,
    false,
    false,
    true,
  ]);
  for (const [kind, name] of [["subject", "bob"], ["token", "ann"], ["client", "ann"]] as const) {
    assertEquals([revocations.isVoid(kind, name, 0), revocations.find(kind, name)], [
      false,
      undefined,
    ]);
  }
  await assertRejects(() => revocations.revoke(revocation("ann", { at: NaN })), TypeError);
  revocations.stop();
});

Deno.test("Revocations.start() knows everything that was revoked before", async () => {
  const { data, clock, revocation, start } = world();
  for (const name of ["ann", "bob"]) await handle(data).revoke(revocation(name), clock.now());
  const node = await start();
  assertEquals([node.isVoid("ann"), node.isVoid("bob"), node.revocations.size], [true, true, 2]);
  node.revocations.stop();
});

Deno.test("Revocations.start() rejects while the store cannot be reached, and leaves no timer", async () => {
  const { clock, data, revocation, start } = world();
  await (await start()).revocations.stop();
  const node = new Node(clock, data);
  node.cut();
  assertEquals(
    (await assertRejects(() => node.revocations.start(), PushError)).code,
    "unavailable",
  );
  node.revocations.stop();
  assertEquals(clock.pending, 0);
  node.store.before = undefined;
  await handle(data).revoke(revocation("ann"), clock.now());
});

Deno.test("a node that hears no notes knows within a second what was revoked elsewhere", async () => {
  const { clock, revocation, start } = world();
  const [one, two] = [await start(), await start()];
  for (let i = 0; i < 20; i++) {
    await clock.advance(137);
    await one.revocations.revoke(revocation(`subject ${i}`));
    await clock.advance(999);
    assertEquals(two.isVoid(`subject ${i}`), true);
  }
  assertEquals(two.told.length, 20);
  // What is known costs a look, and tells nothing again.
  two.store.reset();
  await clock.advance(10_000);
  assertEquals([two.store.count("revocations"), two.told.length], [20, 20]);
  assertEquals(two.store.count("revoke"), 0);
  for (const node of [one, two]) node.revocations.stop();
  assertEquals(clock.pending, 0);
});

Deno.test("a revocation is in force at once on the node that is asked, and stays so whatever the store says", async () => {
  for (const code of ["unavailable", "outcome_unknown"] as const) {
    const { clock, revocation, start } = world();
    const [one, two] = [await start(), await start()];
    one.store.refuseOnce("revoke", new PushError(code));
    const asked = one.revocations.revoke(revocation("ann"));
    assertEquals([one.isVoid("ann"), one.told], [true, ["ann"]]);
    assertEquals((await assertRejects(() => asked, PushError)).code, code);
    await clock.advance(1_000);
    // It was written again, so all know it.
    assertEquals([one.isVoid("ann"), two.isVoid("ann"), one.told], [true, true, ["ann"]]);
    for (const node of [one, two]) node.revocations.stop();
  }
});

Deno.test("while the store is away what is known stays in force, and what came meanwhile is heard then", async () => {
  const { clock, revocation, start } = world();
  const [one, two] = [await start(), await start()];
  await one.revocations.revoke(revocation("ann"));
  await clock.advance(1_000);
  two.cut();
  await one.revocations.revoke(revocation("bob"));
  await clock.advance(3_600_000);
  assertEquals([two.isVoid("ann"), two.isVoid("bob")], [true, false]);
  assertEquals(two.failures > 0, true);
  two.store.before = undefined;
  await clock.advance(1_000);
  assertEquals([two.isVoid("ann"), two.isVoid("bob")], [true, true]);
  for (const node of [one, two]) node.revocations.stop();
});

Deno.test("what the store has lost is written again by whoever knows it, in full", async () => {
  const { clock, revocation, start } = world();
  const [one, two] = [await start(), await start()];
  const early = revocation("ann");
  const late = revocation("ann", { at: early.at + 5, until: early.until + DAY });
  for (let i = 0; i < 250; i++) await one.revocations.revoke(revocation(`subject ${i}`));
  await one.revocations.revoke(late);
  await clock.advance(1_000);
  // Another engine takes over: it has what was there a moment before, and what came since.
  const other = new MemoryData();
  for (const node of [one, two]) node.store.target = handle(other);
  await handle(other).revoke(early, clock.now());
  await handle(other).revoke(revocation("bob"), clock.now());
  assertEquals((await handle(other).revocations(undefined, clock.now())).entries.length, 2);
  await clock.advance(1_000);
  const { entries } = await handle(other).revocations(undefined, clock.now());
  assertEquals(entries.length, 252);
  assertEquals(entries.find(({ name }) => name === "ann"), late);
  assertEquals([one.isVoid("bob"), two.isVoid("bob")], [true, true]);
  // And then there is nothing left to write.
  for (const node of [one, two]) node.store.reset();
  await clock.advance(5_000);
  assertEquals([one, two].map(({ store }) => store.count("revoke")), [0, 0]);
  for (const node of [one, two]) node.revocations.stop();
});

Deno.test("what could not be written again is tried until it is", async () => {
  const { clock, revocation, start } = world();
  const node = await start();
  await node.revocations.revoke(revocation("ann"));
  const other = new MemoryData();
  node.store.target = handle(other);
  node.store.before = ({ operation }) => {
    if (operation === "revoke") throw new PushError("outcome_unknown");
  };
  await clock.advance(5_000);
  assertEquals((await handle(other).revocations(undefined, clock.now())).entries, []);
  node.store.before = undefined;
  await clock.advance(1_000);
  const { entries } = await handle(other).revocations(undefined, clock.now());
  assertEquals(entries.map(({ name }) => name), ["ann"]);
  node.revocations.stop();
});

Deno.test("a clock that jumps a day ahead and back forgets no revocation, and one that is right does", async () => {
  const { clock, data, revocation, start } = world();
  const node = await start();
  await node.revocations.revoke(revocation("ann", { until: clock.now() + 60_000 }));
  clock.jump(DAY);
  await clock.advance(30_000);
  assertEquals(node.isVoid("ann"), true);
  clock.jump(-DAY);
  await clock.advance(20_000);
  assertEquals(node.isVoid("ann"), true);
  // A node that starts now finds it in the store, too.
  const second = await start();
  assertEquals(second.isVoid("ann"), true);
  clock.jump(-3_600_000);
  await clock.advance(20_000);
  assertEquals([node.isVoid("ann"), second.isVoid("ann")], [true, true]);
  clock.jump(3_600_000);
  await clock.advance(3_600_000);
  assertEquals([node.revocations.size, second.revocations.size], [0, 0]);
  assertEquals((await handle(data).revocations(undefined, clock.now())).entries, []);
  for (const each of [node, second]) each.revocations.stop();
});

Deno.test("a revocation that the store has no room for is refused, and asked for no more", async () => {
  const { clock, revocation, start } = world(1);
  const [one, two] = [await start(), await start()];
  await one.revocations.revoke(revocation("ann"));
  const refused = await assertRejects(() => one.revocations.revoke(revocation("bob")), PushError);
  assertEquals(refused.code, "store_full");
  one.store.reset();
  await clock.advance(5_000);
  assertEquals([one.isVoid("ann"), one.isVoid("bob"), two.isVoid("bob")], [true, false, false]);
  assertEquals(one.store.count("revoke"), 0);
  for (const node of [one, two]) node.revocations.stop();
});

Deno.test("notes that make no sense revoke nothing, and those of other things are left to others", async () => {
  const { clock, start } = world();
  const { revocations } = await start();
  const good = { type: "revoked", kind: "subject", name: "ann", at: 5, until: clock.now() + DAY };
  const bad: JsonObject[] = [
    { ...good, kind: "channel" },
    { ...good, name: 7 },
    { ...good, at: "5" },
    { ...good, until: null },
    { ...good, until: clock.now() },
    { type: "revoked" },
  ];
  for (const note of bad) assertEquals(revocations.hear(note), true);
  assertEquals(revocations.hear({ ...good, type: "yield" }), false);
  assertEquals(revocations.size, 0);
  assertEquals(revocations.hear(good), true);
  assertEquals(revocations.isVoid("subject", "ann", 4), true);
  revocations.stop();
  assertEquals(revocations.hear({ ...good, name: "bob" }), true);
  assertEquals(revocations.find("subject", "bob"), undefined);
});

Deno.test("onChange() tells what is new or reaches further, once, and nothing after it was stopped", async () => {
  const { clock, revocation, start } = world();
  const { revocations, told } = await start();
  const heard: Revocation[] = [];
  const stop = revocations.onChange((entries) => heard.push(...entries));
  const ann = revocation("ann");
  await revocations.revoke(ann);
  await revocations.revoke(ann);
  await revocations.revoke({ ...ann, at: ann.at - 1, until: ann.until + 1 });
  assertEquals(heard, [ann, { ...ann, until: ann.until + 1 }]);
  await clock.advance(2_000);
  stop();
  await revocations.revoke(revocation("bob"));
  assertEquals([heard.length, told], [2, ["ann", "ann", "bob"]]);
  revocations.stop();
});

Deno.test(
  "every gateway hears of a revocation by a note at once, and where notes are lost within a second",
  overNodes({ nodes: 3 }, async (world) => {
    const [one, two, three] = world.nodes.map(({ hub }) => hub.revocations);
    const voids = (name: string) => [one, two, three].map((each) => each.isVoid("client", name, 0));
    const revoke = (name: string) =>
      one.revoke({ kind: "client", name, at: world.clock.now(), until: world.clock.now() + DAY });
    await revoke("ann");
    await world.settle();
    assertEquals(voids("ann"), [true, true, true]);
    world.cluster.rumours = { loss: 1, repeats: 0, delay: 0, jitter: 0 };
    await revoke("bob");
    await world.settle();
    assertEquals(voids("bob"), [true, false, false]);
    await world.pass(999);
    assertEquals(voids("bob"), [true, true, true]);
    // One that is cut off hears as soon as it is not.
    world.nodes[2].member.cut();
    await revoke("cid");
    await world.pass(5_000);
    assertEquals(voids("cid"), [true, true, false]);
    world.nodes[2].member.heal();
    await world.settle();
    assertEquals(voids("cid"), [true, true, true]);
  }),
);
