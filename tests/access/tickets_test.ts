import { assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import type { Identity } from "../../server/access/identity.ts";
import { Tickets } from "../../server/access/tickets.ts";
import { ManualClock, MemoryCluster, seededRandom } from "../../server/testing/mod.ts";

const ANN: Identity = {
  subject: "ann",
  grants: [{ channels: ["news:*"], actions: ["subscribe"] }],
  expiresAt: 1e13,
  tokenId: "t-1",
};

/** Tickets of one process, or of two nodes. */
function make(nodes: 1 | 2) {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const cluster = new MemoryCluster({ clock, random });
  const all = Array.from({ length: nodes }, () =>
    new Tickets({
      clock,
      random: random.bytes,
      ttl: 30_000,
      ...(nodes === 1 ? {} : { cluster: cluster.join() }),
    }));
  return { clock, all, first: all[0], last: all.at(-1)! };
}

async function isInvalid(tickets: Tickets, ticket: string): Promise<void> {
  const error = await assertRejects(() => tickets.redeem(ticket), PushError);
  assertEquals(error.code, "token_invalid");
}

for (const nodes of [1, 2] as const) {
  const where = nodes === 1 ? "in one process" : "at any node";

  Deno.test(`a ticket stands for an identity once, ${where}`, async () => {
    const { first, last } = make(nodes);
    const ticket = await first.issue(ANN);
    assertEquals(ticket.length, 32);
    assertEquals(await last.redeem(ticket), ANN);
    await isInvalid(first, ticket);
    await isInvalid(last, ticket);
  });

  Deno.test(`of many that use a ticket at the same time one gets in, ${where}`, async () => {
    const { all, first } = make(nodes);
    const ticket = await first.issue(ANN);
    const tries = Array.from({ length: 20 }, (_, i) => all[i % nodes].redeem(ticket));
    const results = await Promise.allSettled(tries);
    assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
  });

  Deno.test(`a ticket is over after its time, ${where}`, async () => {
    const { clock, first, last } = make(nodes);
    const [early, late] = [await first.issue(ANN), await first.issue(ANN)];
    await clock.advance(29_999);
    assertEquals((await last.redeem(early)).subject, "ann");
    await clock.advance(1);
    await isInvalid(last, late);
  });

  Deno.test(`what is no ticket is refused, ${where}`, async () => {
    const { first } = make(nodes);
    await first.issue(ANN);
    for (const wrong of ["", "x", "0".repeat(32), "x".repeat(100_000), "__proto__"]) {
      await isInvalid(first, wrong);
    }
  });
}

Deno.test("tickets differ, and those that nobody uses are forgotten", async () => {
  const { clock, first } = make(1);
  const tickets = new Set<string>();
  for (let i = 0; i < 10_000; i++) tickets.add(await first.issue({ subject: `ann-${i % 5}` }));
  assertEquals(tickets.size, 10_000);
  const full = await assertRejects(() => first.issue(ANN), PushError);
  assertEquals(full.code, "rate_limited");
  await clock.advance(30_000);
  assertEquals((await first.redeem(await first.issue(ANN))).subject, "ann");
});

Deno.test("tickets of before the clock was set back are over", async () => {
  const { clock, first } = make(1);
  const before = await first.issue(ANN);
  for (let i = 1; i < 2_500; i++) await first.issue(ANN);
  clock.jump(-3_600_000);
  await isInvalid(first, before);
  assertEquals((await first.redeem(await first.issue(ANN))).subject, "ann");
});

for (const nodes of [1, 2] as const) {
  const where = nodes === 1 ? "in one process" : "at any node";

  Deno.test(`nobody takes the tickets of others, ${where}`, async () => {
    const { clock, first } = make(nodes);
    const issue = (subject: string) => first.issue({ subject });
    const tickets: string[] = [];
    for (let i = 0; i < 2_500; i++) tickets.push(await issue("eve"));
    const full = await assertRejects(() => issue("eve"), PushError);
    assertEquals(full.code, "rate_limited");
    assertEquals((await first.redeem(await issue("bob"))).subject, "bob");
    // One that was used makes room.
    await first.redeem(tickets[0]);
    await issue("eve");
    await assertRejects(() => issue("eve"), PushError);
    await clock.advance(30_000);
    await issue("eve");
  });
}
