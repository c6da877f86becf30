import { assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { Authorization, type Authorize } from "../../server/access/authorization.ts";
import type { Identity } from "../../server/access/identity.ts";
import { Permits } from "../../server/access/permits.ts";
import { knownTo } from "../../server/access/seen.ts";
import { silentLog } from "../../server/logging/log.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { type TestClient, World } from "./harness.ts";

/** Rights that a test gives and takes, and questions that it lets wait. */
function rightsTo(...given: string[]) {
  const rights = new Set(given);
  const gates = new Map<string, Promise<void>>();
  const authorize: Authorize = (_, action, channel) => {
    const name = `${action} ${channel}`;
    const gate = gates.get(name);
    return gate === undefined ? rights.has(name) : gate.then(() => rights.has(name));
  };
  /** Answers to a question wait until the returned function is called. */
  const hold = (name: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gates.set(name, promise);
    return () => {
      gates.delete(name);
      resolve();
    };
  };
  return { rights, authorize, hold };
}

/** Positions of a channel are stored only when the returned function is called. */
function holdCommits(w: World, channel: string): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  w.interposed.before = async ({ operation, args }) => {
    const commits = args[2] as { channel: string }[];
    if (operation === "commit" && commits.some((each) => each.channel === channel)) await promise;
  };
  return () => {
    w.interposed.before = undefined;
    resolve();
  };
}

function errorsOf(client: TestClient): unknown[] {
  return client.frames.filter((frame) => frame.type === "error")
    .map(({ code, channel }) => [code, channel]);
}

async function headOf(w: World, channel: string): Promise<number> {
  return (await w.hub.channels()).find(({ name }) => name === channel)?.head ?? 0;
}

Deno.test("a publish that waits behind another one is refused when its right is lost meanwhile", async () => {
  const { rights, authorize, hold } = rightsTo("publish slow", "publish c");
  const w = new World({ authorize });
  const client = await w.connect("a");
  const release = hold("publish slow");
  client.say({ type: "channel.publish", channel: "slow", data: 1 });
  client.say({ type: "channel.publish", channel: "c", data: 2 });
  await w.settle();
  rights.delete("publish c");
  await w.hub.reauthorize({});
  release();
  await w.settle();
  assertEquals(errorsOf(client), [["forbidden", "c"]]);
  assertEquals([await headOf(w, "slow"), await headOf(w, "c")], [1, 0]);
  await w.end();
});

for (const why of ["revoked", "expired"] as const) {
  Deno.test(`nothing is published for a token that is ${why} while its right is asked for`, async () => {
    const { authorize, hold } = rightsTo("publish c");
    const w = new World({ authorize });
    const now = w.clock.now();
    const ends = why === "expired" ? { expiresAt: now + 2_000 } : {};
    const identity: Identity = { subject: "ann", tokenId: "t-1", issuedAt: now, ...ends };
    const client = await w.connect("a", { identity });
    const release = hold("publish c");
    for (const data of [1, 2]) client.say({ type: "channel.publish", channel: "c", data });
    await w.settle();
    if (why === "expired") await w.pass(3_000);
    else await w.hub.revocations.revoke({ kind: "token", name: "t-1", at: now, until: Infinity });
    assertEquals(client.closed, why === "expired" ? "token_expired" : "token_invalid");
    release();
    await w.settle();
    assertEquals(await headOf(w, "c"), 0);
    await w.end();
  });
}

Deno.test("a client that closes behind a publish has published, however long its right is asked for", async () => {
  const { authorize, hold } = rightsTo("publish c");
  const w = new World({ authorize });
  const client = await w.connect("a");
  const release = hold("publish c");
  for (const data of [1, 2]) client.say({ type: "channel.publish", channel: "c", data });
  await client.leave();
  release();
  await w.settle();
  assertEquals(await headOf(w, "c"), 2);
  await w.end();
});

Deno.test("a right that is lost and given back before the answer to 'connect' has left is told", async () => {
  const { rights, authorize } = rightsTo("subscribe c", "subscribe d");
  const w = new World({ authorize });
  const release = holdCommits(w, "d");
  const client = await w.connect("a", {
    wire: "extended",
    subscriptions: [{ channel: "c" }, { channel: "d" }],
  });
  rights.delete("subscribe c");
  const lost = w.hub.reauthorize({});
  await w.settle();
  rights.add("subscribe c");
  const back = w.hub.reauthorize({});
  await w.settle();
  release();
  await w.settle();
  await Promise.all([lost, back]);
  // The answer says that it is subscribed.
  assertEquals(errorsOf(client), [["forbidden", "c"]]);
  await w.publish("d", 1);
  assertEquals(client.data, [1]);
  await w.end();
});

Deno.test("a right that is lost and given back while a subscribe is under way reads nothing of the time between", async () => {
  const { rights, authorize } = rightsTo("subscribe c");
  const w = new World({ authorize });
  const client = await w.subscriber("a", "c");
  const release = holdCommits(w, "c");
  client.say({ type: "channel.subscribe", channel: "c" });
  await w.settle();
  rights.delete("subscribe c");
  const lost = w.hub.reauthorize({});
  await w.settle();
  await w.publish("c", "between");
  rights.add("subscribe c");
  const back = w.hub.reauthorize({});
  await w.settle();
  release();
  await w.settle();
  await Promise.all([lost, back]);
  // The answer says that it is subscribed.
  assertEquals(errorsOf(client).at(-1), ["forbidden", "c"]);
  assertEquals(client.frames.at(-1)?.type, "error");
  await client.subscribe("c");
  await w.publish("c", "after");
  assertEquals(client.data, ["after"]);
  await w.end();
});

Deno.test("a token that was revoked while it was looked at ends the connection that shows it", async () => {
  const w = new World();
  const { session, connection } = await w.hubClient("a", "c");
  const at = w.clock.now();
  await w.hub.revocations.revoke({ kind: "token", name: "t-2", at, until: Infinity });
  await w.hub.identify(session, { subject: "anonymous", tokenId: "t-2" });
  assertEquals(connection.closed?.code, "token_invalid");
  await w.end();
});

Deno.test("a program that throws for one channel and rejects for another harms nobody else", async () => {
  const clock = new ManualClock();
  const authorize: Authorize = (_, _action, channel) => {
    if (channel === "a") return Promise.reject(new Error("Nobody knows"));
    throw new Error("Nobody knows either");
  };
  const authorization = new Authorization({ clock, log: silentLog(clock), authorize });
  const permits = new Permits(authorization, { subject: "ann" });
  const error = await assertRejects(() => knownTo(permits, ["a", "b"]), PushError);
  assertEquals(error.code, "unavailable");
  // What nobody has caught ends the process in another turn of the event loop.
  await new Promise((resolve) => setTimeout(resolve, 0));
});

for (const isAway of [false, true]) {
  const where = isAway ? "that is away" : "that is there";
  Deno.test(`what a client ${where} has lost while the store could not end it is ended when it comes back`, async () => {
    const { rights, authorize } = rightsTo("subscribe c", "subscribe d");
    const w = new World({ authorize });
    let client = await w.subscriber("a", "c");
    await client.subscribe("d");
    if (isAway) await client.drop();
    rights.delete("subscribe c");
    w.interposed.refuseOnce("forget", new PushError("unavailable"));
    await w.hub.reauthorize({});
    await w.publish("c", "between");
    await w.publish("d", 1);
    rights.add("subscribe c");
    await w.hub.reauthorize({});
    client = await w.subscriber("a", "c");
    await client.subscribe("d");
    await w.publish("c", "after");
    assertEquals(client.data.sort(), [1, "after"]);
    await w.end();
  });
}

Deno.test("what has ended though nobody knew it begins anew, and stays", async () => {
  const { rights, authorize } = rightsTo("subscribe c");
  const w = new World({ authorize });
  let client = await w.subscriber("a", "c");
  rights.delete("subscribe c");
  // The store has done it, and its answer is lost.
  w.interposed.after = ({ operation }) => {
    if (operation !== "forget") return;
    w.interposed.after = undefined;
    throw new PushError("outcome_unknown");
  };
  await w.hub.reauthorize({});
  rights.add("subscribe c");
  for (const data of [1, 2, 3]) {
    client = await w.subscriber("a", "c");
    assertEquals(client.data, data === 1 ? [] : [data]);
    for (const message of client.take()) await client.ack(message);
    await client.drop();
    await w.publish("c", data + 1);
  }
  await w.end();
});
