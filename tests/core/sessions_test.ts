import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { inWorld, numbers, type TestClient, World } from "./harness.ts";

const SECOND = 1_000;
const DAY = 86_400_000;

/** The answer to a client's `connect`. */
function terms(client: TestClient) {
  return client.frames.find((frame) => frame.type === "connected")!;
}

async function sessions(w: World): Promise<number> {
  await w.pass(3 * SECOND);
  return (await w.hub.stats()).sessions;
}

// How long a session lives.

Deno.test(
  "a named client's session outlives its connection by messageTtl",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await bob.drop();
    await w.publish("c", 1);
    await w.pass(DAY - 10 * SECOND);
    assertEquals(await sessions(w), 1);
    await w.pass(10 * SECOND);
    assertEquals(await sessions(w), 0);
    const again = await w.subscriber("bob", "c");
    assertEquals(again.data, []);
  }),
);

Deno.test(
  "a minted client's session outlives its connection by sessionGrace, and resumes with its secret",
  inWorld({}, async (w) => {
    const bob = await w.extended();
    const { client_id, secret, resumed, session_ttl } = terms(bob);
    assertMatch(client_id, /^[0-9a-f]{32}$/);
    assertEquals([typeof secret, resumed, session_ttl], ["string", false, 60]);
    await bob.subscribe("c");
    await bob.drop();
    await w.publish("c", 1);
    await w.pass(55 * SECOND);
    const again = await w.extended(client_id, { secret });
    assertEquals(
      [terms(again).client_id, terms(again).secret, terms(again).resumed],
      [client_id, undefined, true],
    );
    await again.subscribe("c");
    assertEquals(again.data, [1]);
    await again.drop();
    await w.pass(61 * SECOND);
    assertEquals(await sessions(w), 0);
    assertEquals(terms(await w.extended(client_id, { secret })).resumed, false);
  }),
);

Deno.test(
  "a minted id needs its secret, and a name is another client than the same minted id",
  inWorld({}, async (w) => {
    const { client_id, secret } = terms(await w.extended());
    const thief = await w.connect(client_id, { wire: "extended", secret: "wrong" });
    assertEquals([thief.errors, thief.closed], [["bad_secret"], "bad_secret"]);
    const named = await w.extended(client_id);
    assertEquals(terms(named).resumed, false);
    assertEquals(terms(await w.extended(client_id, { secret })).resumed, true);
    assertEquals(named.closed, undefined);
  }),
);

Deno.test(
  "a fixed-wire client without a name is a new one each time: nothing is kept for it",
  inWorld({}, async (w) => {
    const bob = await w.subscriber(undefined, "c");
    assertEquals(await sessions(w), 1);
    await bob.drop();
    assertEquals(await sessions(w), 0);
    await w.publish("c", 1);
    const again = await w.subscriber(undefined, "c");
    await w.publish("c", 2);
    assertEquals(again.data, [2]);
  }),
);

Deno.test(
  "a client may ask for less time, and gets no more than there is",
  inWorld({}, async (w) => {
    const ttl = async (name: string | undefined, sessionTtl?: number) =>
      terms(await w.extended(name, { sessionTtl })).session_ttl;
    assertEquals(await ttl("a"), 86_400);
    assertEquals(await ttl("b", 30), 30);
    assertEquals(await ttl("c", 0), 0);
    assertEquals(await ttl("d", 1e9), 86_400);
    assertEquals(await ttl(undefined, 0.5), 0.5);
    assertEquals(await ttl(undefined, 1e9), 60);
    const bob = await w.extended("bob", { sessionTtl: 30 });
    await bob.subscribe("c");
    await bob.drop();
    assertNotEquals(await w.position("bob", "c"), undefined);
    await w.pass(31 * SECOND);
    assertEquals(await w.position("bob", "c"), undefined);
  }),
);

Deno.test(
  "an attached session does not end, however long it lasts",
  inWorld({}, async (w) => {
    const bob = await w.extended(undefined, { sessionTtl: 1 });
    await bob.subscribe("c");
    await w.pass(2 * DAY);
    await w.publish("c", 1);
    assertEquals(bob.data, [1]);
    assertEquals(await sessions(w), 1);
  }),
);

Deno.test(
  "disconnect keeps a named session and ends an unnamed one; with 'forget' it ends either",
  inWorld({}, async (w) => {
    const leave = async (name: string | undefined, frame: Record<string, unknown>) => {
      const client = await w.extended(name);
      await client.subscribe("c");
      client.say({ type: "disconnect", ...frame });
      await w.settle();
      assertEquals(client.closed, "normal");
      return await sessions(w);
    };
    assertEquals(await leave(undefined, {}), 0);
    assertEquals(await leave("bob", {}), 1);
    assertNotEquals(await w.position("bob", "c"), undefined);
    assertEquals(await leave("bob", { forget: true }), 0);
    assertEquals(await w.position("bob", "c"), undefined);
    assertEquals(await leave(undefined, { forget: true }), 0);
  }),
);

Deno.test(
  "a close with 1000 ends an unnamed session, and keeps a named one",
  inWorld({}, async (w) => {
    for (const [name, left] of [[undefined, 0], ["bob", 1]] as const) {
      const client = await w.extended(name);
      await client.subscribe("c");
      await client.leave();
      assertEquals(await sessions(w), left);
    }
  }),
);

Deno.test(
  "at the session limit the one longest away is forgotten and counted, an attached one never",
  inWorld({ limits: { maxSessions: 3 } }, async (w) => {
    const [a, b] = [await w.subscriber("a", "x"), await w.subscriber("b", "x")];
    await w.subscriber("c", "x");
    await b.drop();
    await w.pass(SECOND);
    await a.drop();
    await w.subscriber("d", "x");
    assertEquals(await w.position("b", "x"), undefined);
    assertNotEquals(await w.position("a", "x"), undefined);
    assertEquals((await w.hub.stats()).sessionsForgotten, 1);
    await w.subscriber("e", "x");
    assertEquals(await w.position("a", "x"), undefined);
    const f = await w.connect("f", { wire: "extended" });
    assertEquals([f.errors, f.closed], [["too_many_sessions"], "too_many_sessions"]);
    assertEquals(await sessions(w), 3);
  }),
);

Deno.test("no client id and subject can be spelled as another pair", async () => {
  const w = new World();
  const victim = w.dial("bob", {}, { subject: "team:alice" });
  await victim.ask({ type: "ping" }, "pong");
  const thief = w.dial("bob:team", {}, { subject: "alice" });
  await thief.ask({ type: "ping" }, "pong");
  assertEquals([victim.closed, thief.closed], [undefined, undefined]);
  assertEquals(w.hub.sessionCount, 2);
  await w.end();
});

Deno.test("clients of one name under two subjects are two clients", async () => {
  const w = new World();
  const [a, b] = ["a", "b"].map((subject) => w.dial("bob", {}, { subject }));
  for (const client of [a, b]) {
    await client.ask({ type: "ping" }, "pong");
    await client.subscribe("c");
  }
  assertEquals([a.closed, b.closed], [undefined, undefined]);
  await w.publish("c", 1);
  assertEquals([a.data, b.data], [[1], [1]]);
  assert(await a.ack(a.messages[0]));
  assert(await b.ack(b.messages[0]));
  await w.end();
});

// One connection holds a session.

Deno.test(
  "a newer connection takes the session over; the older is closed as replaced",
  inWorld({}, async (w) => {
    const old = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    assert(await old.ack(old.messages[0]));
    const bob = await w.connect("bob");
    assertEquals([old.closed, bob.closed], ["replaced", undefined]);
    await w.publish("c", 3);
    assertEquals(bob.data, [], "Nothing flows before it has subscribed");
    await bob.subscribe("c");
    assertEquals(
      bob.messages.map((m) => [m.data, m._redelivered, m._retry_count]),
      [[2, true, 0], [3, undefined, undefined]],
    );
    assertEquals(old.data, [1, 2]);
    assertEquals(w.hub.sessionCount, 1);
  }),
);

Deno.test(
  "the acknowledgements, refusals and unsubscribes of a replaced connection are ignored",
  inWorld({}, async (w) => {
    // Without a dialog: what was on its way when the connection was closed still arrives.
    const old = await w.hubClient("bob", "c");
    await w.publish("c", 1, 2);
    const [first, second] = old.connection.take("channel_message");
    const bob = await w.hubClient("bob", "c");
    const { session } = bob;
    assertEquals(session, old.session);
    assertEquals(old.connection.closed?.code, "replaced");
    assertEquals(session.ackEvent(first.event_id, old.connection), false);
    assertEquals(session.nackEvent(second.event_id, 0, old.connection), false);
    session.ack("c", first.epoch!, 2, [], old.connection);
    session.renew("c", first.epoch!, [1, 2], old.connection);
    for (
      const action of [
        () => session.unsubscribe("c", old.connection),
        () => session.subscribe("d", {}, old.connection),
      ]
    ) {
      const code = await action().then(() => "done", (error) => error.code);
      assertEquals(code, "replaced");
    }
    await w.settle();
    await w.hub.detach(session, old.connection, "left");
    assertEquals(bob.connection.closed, undefined);
    assertEquals(session.ackEvent(first.event_id, bob.connection), true);
    assertEquals(session.ackEvent(second.event_id, bob.connection), true);
  }),
);

Deno.test(
  "an older attempt of the same client object is refused, and evicts nobody",
  inWorld({}, async (w) => {
    const bob = await w.extended("bob", { instance: "i", attempt: 5 });
    for (const attempt of [4, 5, 0]) {
      const late = await w.connect("bob", { wire: "extended", instance: "i", attempt });
      assertEquals([late.errors, late.closed], [["replaced"], "replaced"]);
    }
    assertEquals(bob.closed, undefined);
    await bob.drop();
    const late = await w.connect("bob", { wire: "extended", instance: "i", attempt: 4 });
    assertEquals(late.closed, "replaced");
    const newer = await w.extended("bob", { instance: "i", attempt: 6 });
    const other = await w.extended("bob", { instance: "j", attempt: 0 });
    assertEquals([newer.closed, other.closed], ["replaced", undefined]);
  }),
);

Deno.test(
  "connections that claim one session at the same moment: exactly one holds it",
  inWorld({}, async (w) => {
    const clients = numbers(1, 20).map(() => w.dial("bob"));
    for (const client of clients) client.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    const open = clients.filter(({ closed }) => closed === undefined);
    assertEquals(open.length, 1);
    await w.publish("c", 1);
    assertEquals(clients.flatMap(({ data }) => data), [1]);
    assertEquals(w.hub.sessionCount, 1);
  }),
);

Deno.test(
  "a takeover while positions are being stored forgets no acknowledgement",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    const release = w.interposed.hold("commit");
    for (const message of bob.messages) assert(await bob.ack(message));
    await w.pass(SECOND);
    const next = await w.connect("bob");
    release();
    await w.pass(2 * SECOND);
    assertEquals((await w.position("bob", "c"))?.floor, 2);
    await next.drop();
    const last = await w.subscriber("bob", "c");
    assertEquals(last.data, []);
  }),
);

Deno.test(
  "a reconnect while positions are being stored forgets no acknowledgement",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    await w.publish("c", 1, 2);
    const release = w.interposed.hold("commit");
    for (const message of bob.messages) assert(await bob.ack(message));
    await w.pass(SECOND);
    await bob.drop();
    const next = w.dial("bob");
    next.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    release();
    await w.pass(2 * SECOND);
    assertEquals(next.data, []);
    assertEquals((await w.position("bob", "c"))?.floor, 2);
  }),
);

Deno.test(
  "a session that another gateway took over is closed here as replaced, and leaves after the grace",
  inWorld({ presence: { offlineTimeout: 1000 * SECOND } }, async (w) => {
    const [bob, eve] = [await w.subscriber("bob", "c"), await w.subscriber("eve", "c")];
    await w.store.claim(
      { key: "n:bob:anonymous", holder: "elsewhere", instance: "elsewhere", attempt: 0, ttl: DAY },
      w.clock.now(),
    );
    await w.publish("c", 1);
    assert(await bob.ack(bob.messages[0]));
    await w.pass(SECOND);
    assertEquals(bob.closed, "replaced");
    assertEquals(w.hub.sessionCount, 1);
    await w.pass(70 * SECOND);
    assertEquals((await eve.presence()).map(({ client_id }) => client_id), ["eve"]);
  }),
);

Deno.test(
  "nothing flows to a connection that another gateway's claim has fenced off",
  inWorld({}, async (w) => {
    const { session, connection } = await w.hubClient("bob", "c");
    await w.publish("c", 1);
    await w.store.claim(
      { key: "n:bob:anonymous", holder: "elsewhere", instance: "elsewhere", attempt: 0, ttl: DAY },
      w.clock.now(),
    );
    const [{ event_id }] = connection.take("channel_message");
    assert(session.ackEvent(event_id, connection));
    await w.pass(SECOND);
    assertEquals([connection.closed?.code, w.hub.subscribers("c")], ["replaced", 0]);
    await w.publish("c", 2);
    assertEquals(connection.afterClose, 0);
  }),
);

Deno.test(
  "a session that is taken over again and again leaves nothing behind",
  inWorld({}, async (w) => {
    for (const n of numbers(1, 100)) {
      const bob = await w.subscriber("bob", `c${n % 5}`);
      if (n % 3 === 0) await bob.drop();
    }
    const bob = await w.connect("bob");
    assertEquals([w.hub.sessionCount, await sessions(w)], [1, 1]);
    await bob.drop();
    await w.pass(120 * SECOND);
    assertEquals([w.hub.sessionCount, w.hub.presence.size], [0, 0]);
  }),
);

Deno.test(
  "drain closes every connection with going_away, and stores every position",
  inWorld({}, async (w) => {
    const clients = await Promise.all(
      numbers(1, 1200).map((n) => w.hubClient(`client ${n}`, "c")),
    );
    await w.publish("c", 1);
    for (const { session, connection } of clients) {
      const [{ event_id }] = connection.take("channel_message");
      assert(session.ackEvent(event_id, connection));
    }
    const drained = w.hub.drain();
    await w.pass(5 * SECOND);
    await drained;
    for (const { connection } of clients) assertEquals(connection.closed?.code, "going_away");
    assertEquals((await w.position("client 1200", "c"))?.floor, 1);
    const late = await w.connect("late", { wire: "extended" });
    assertEquals(late.closed, "going_away");
  }),
);
