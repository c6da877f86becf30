import { assertEquals } from "@std/assert";
import type { Identity } from "../../server/access/identity.ts";
import { clientName } from "../../server/access/validity.ts";
import type { World } from "../core/harness.ts";
import { inWorld } from "../core/harness.ts";

/** An identity that ends so many milliseconds from now. */
function ann(world: World, left?: number): Identity {
  const { clock } = world;
  return {
    subject: "ann",
    issuedAt: clock.now(),
    tokenId: "t-1",
    ...(left === undefined ? {} : { expiresAt: clock.now() + left }),
  };
}

Deno.test(
  "nothing is sent to a connection whose token has ended, from the second in which it does",
  inWorld({}, async (world) => {
    const client = await world.subscriber("desk", "news", { identity: ann(world, 10_000) });
    await world.pass(10_999);
    assertEquals(client.closed, "token_expired");
    const count = client.frames.length;
    await world.publish("news", 1);
    assertEquals(client.frames.length, count);
    assertEquals(world.hub.sessionCount, 0);
  }),
);

Deno.test(
  "thousands of connections cost one timer, and none once they have gone",
  inWorld({ presence: { enabled: false } }, async (world) => {
    const before = world.clock.pending;
    const clients = [];
    for (let i = 0; i < 1_000; i++) {
      clients.push(await world.connect(`desk-${i}`, { identity: ann(world, 60_000) }));
    }
    assertEquals(world.clock.pending, before + 1);
    for (const client of clients) await client.leave();
    await world.pass(2_000);
    assertEquals(world.clock.pending, before);
  }),
);

Deno.test(
  "who is revoked while its session is on its way does not get it",
  inWorld({}, async (world) => {
    const release = world.interposed.hold("claim");
    const client = world.dial("desk", {}, ann(world));
    client.say({ type: "ping" });
    await world.settle();
    const at = world.clock.now();
    await world.hub.revocations.revoke({ kind: "token", name: "t-1", at, until: Infinity });
    release();
    await world.settle();
    assertEquals(client.closed, "token_invalid");
    assertEquals(world.hub.sessionCount, 0);
  }),
);

Deno.test(
  "who is revoked takes a session from nobody",
  inWorld({}, async (world) => {
    const holder = await world.subscriber("desk", "news", {
      identity: { subject: "ann", tokenId: "t-2" },
    });
    const at = world.clock.now();
    await world.hub.revocations.revoke({ kind: "token", name: "t-1", at, until: Infinity });
    const client = world.dial("desk", {}, ann(world));
    client.say({ type: "ping" });
    await world.settle();
    assertEquals([client.closed, holder.closed], ["token_invalid", undefined]);
    await world.publish("news", 1);
    assertEquals(holder.messages.length, 1);
  }),
);

Deno.test(
  "another identity of the same session counts: its end, and what it is called",
  inWorld({}, async (world) => {
    const { session, connection } = await world.hubClient("desk", "news", {}, {}, 0);
    await world.hub.identify(session, ann(world, 5_000));
    await world.hub.identify(session, { ...ann(world, 20_000), tokenId: "t-2" });
    const at = world.clock.now();
    await world.hub.revocations.revoke({ kind: "token", name: "t-1", at, until: Infinity });
    await world.pass(19_000);
    assertEquals(connection.closed, undefined);
    await world.pass(2_000);
    assertEquals(connection.closed?.code, "token_expired");
  }),
);

Deno.test(
  "a client that was sent away comes back at once, without what waited for it",
  inWorld({}, async (world) => {
    const identity = { subject: "ann" };
    const first = await world.subscriber("desk", "news", { identity });
    await world.publish("news", 1);
    await world.pass(1);
    const at = world.clock.now();
    const name = clientName("ann", "desk");
    await world.hub.revocations.revoke({ kind: "client", name, at, until: at + 60_000 });
    assertEquals(first.closed, "unknown_session");
    await world.settle();
    const second = await world.subscriber("desk", "news", { identity });
    assertEquals(second.messages.length, 0);
    await world.publish("news", 2);
    assertEquals(second.messages.map(({ data }) => data), [2]);
  }),
);
