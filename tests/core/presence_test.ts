import { assert, assertEquals, assertLess } from "@std/assert";
import type { GatewayFrame, PresenceDiffFrame, PresenceEventFrame } from "@push/client/protocol";
import { inWorld, numbers, type TestClient, type World } from "./harness.ts";

const SECOND = 1_000;

/** Events of the fixed wire since they were asked for last. */
function events(client: TestClient): PresenceEventFrame[] {
  return (["presence_join", "presence_update", "presence_leave"] as const)
    .flatMap((type) => client.connection.take(type) as PresenceEventFrame[]);
}

/** Changes told since they were asked for last, each as a few words. */
function told(client: TestClient): string[] {
  return [
    ...client.connection.take("presence_diff").flatMap(words),
    ...events(client).map(({ type, data }) => `${type.slice(9)} ${data.client_id} ${data.status}`),
  ];
}

function words({ joins, updates, leaves }: PresenceDiffFrame): string[] {
  return [
    ...joins.map(({ client_id, status }) => `join ${client_id} ${status}`),
    ...updates.map(({ client_id, status }) => `update ${client_id} ${status}`),
    ...leaves.map(({ client_id, status }) => `leave ${client_id} ${status}`),
  ];
}

/** Lets a second pass, so that everything is told. */
async function tell(w: World): Promise<void> {
  await w.pass(SECOND);
}

async function ids(client: TestClient, channel: string | null = null): Promise<string[]> {
  return (await client.presence(channel)).map(({ client_id }) => client_id).sort();
}

for (const wire of ["fixed", "extended"] as const) {
  Deno.test(
    `who shares a channel hears of join, update and leave (${wire} wire)`,
    inWorld({}, async (w) => {
      const ann = await w.subscriber("ann", "c", { wire });
      const other = await w.subscriber("other", "elsewhere", { wire });
      await tell(w);
      for (const client of [ann, other]) told(client);
      const bob = await w.subscriber("bob", "c", { wire });
      await tell(w);
      assertEquals(told(ann), ["join bob online"]);
      await bob.heartbeat("away", { mood: "good" });
      await tell(w);
      assertEquals(told(ann), ["update bob away"]);
      await bob.unsubscribe("c");
      await tell(w);
      assertEquals(told(ann), ["leave bob offline"]);
      await bob.subscribe("c");
      await tell(w);
      assertEquals(told(ann), ["join bob away"]);
      await bob.leave();
      await tell(w);
      assertEquals(told(ann), ["leave bob offline"]);
      assertEquals(told(other), []);
    }),
  );
}

Deno.test(
  "an event of the fixed wire looks as it should, and its id names nothing that can be acknowledged",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "c");
    await w.subscriber("bob", "c");
    await tell(w);
    const [event] = events(ann);
    const { event_id, timestamp, ...rest } = event;
    assertEquals(rest, {
      type: "presence_join",
      channel: "c",
      data: { client_id: "bob", status: "online" },
      source: "bob",
    });
    assert(Math.abs(timestamp - w.clock.now() / 1000) < 2);
    const answer = await ann.ask({ type: "message_ack", event_id }, "ack_received");
    assertEquals(answer, { type: "ack_received", event_id, ok: false });
  }),
);

Deno.test(
  "a fixed-wire client hears nothing of itself",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "c");
    await ann.heartbeat("busy");
    await w.pass(5 * SECOND);
    assertEquals(told(ann), []);
  }),
);

Deno.test(
  "clients that were in one channel alone go their own ways: each is in its own channels",
  inWorld({}, async (w) => {
    const [ann, bob, eve] = await Promise.all(
      ["ann", "bob", "eve"].map((name) => w.subscriber(name, "hall")),
    );
    const where = async () =>
      Object.fromEntries(
        (await ann.presence(null)).map(({ client_id, channels }) => [client_id, channels.join()]),
      );
    assertEquals(await where(), { ann: "hall", bob: "hall", eve: "hall" });
    await ann.subscribe("attic");
    await bob.unsubscribe("hall");
    assertEquals(await where(), { ann: "attic,hall", bob: "", eve: "hall" });
    await ann.unsubscribe("hall");
    await bob.subscribe("attic");
    await bob.subscribe("cellar");
    assertEquals(await where(), { ann: "attic", bob: "attic,cellar", eve: "hall" });
    // The first room is empty for a moment, and begins anew.
    await eve.unsubscribe("hall");
    await ann.subscribe("hall");
    await eve.subscribe("hall");
    await ann.unsubscribe("attic");
    await ann.subscribe("cellar");
    assertEquals(await where(), { ann: "cellar,hall", bob: "attic,cellar", eve: "hall" });
  }),
);

Deno.test(
  "the list says who is present in a channel, or anywhere: status, metadata, channels, time",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "b");
    await ann.subscribe("a");
    const bob = await w.subscriber("bob", "b");
    await bob.heartbeat("idle", { n: 1 });
    const seen = w.clock.now() / 1000;
    await w.pass(5 * SECOND);
    const [bobs] = (await ann.presence("b")).filter(({ client_id }) => client_id === "bob");
    assertEquals(bobs, {
      client_id: "bob",
      status: "idle",
      last_seen: seen,
      metadata: { n: 1 },
      channels: ["b"],
    });
    assertEquals([await ids(ann, "a"), await ids(ann, "b"), await ids(ann)], [
      ["ann"],
      ["ann", "bob"],
      ["ann", "bob"],
    ]);
    assertEquals((await ann.presence("a"))[0].channels, ["a", "b"]);
    assertEquals(await ids(ann, "nobody"), []);
    const both = await ann.ask({ type: "presence.query", channel: "b" }, "presence.list");
    assertEquals(both.presence, both.clients);
    // Metadata stays where a heartbeat gives none.
    await bob.heartbeat("online");
    assertEquals((await bob.presence("b")).find((e) => e.client_id === "bob")?.metadata, { n: 1 });
  }),
);

Deno.test(
  "what cancels out is not told: who joined and left, who changed and changed back hardly",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "c", { wire: "extended" });
    await tell(w);
    await w.subscriber("bob", "c");
    await w.settle();
    told(ann);
    // Within the second after something was told, changes gather.
    const cid = await w.subscriber("cid", "c");
    await cid.heartbeat("away");
    await cid.leave();
    const dan = await w.subscriber("dan", "c");
    await dan.heartbeat("busy");
    await dan.heartbeat("free");
    await tell(w);
    assertEquals(told(ann), ["join dan free"]);
    await dan.unsubscribe("c");
    await dan.subscribe("c");
    await tell(w);
    assertEquals(told(ann).filter((word) => !word.startsWith("update dan")), []);
  }),
);

Deno.test(
  "when all that happened cancels out, nothing at all is told",
  inWorld({}, async (w) => {
    const [ann, eve] = [
      await w.subscriber("ann", "c", { wire: "extended" }),
      await w.subscriber("eve", "c"),
    ];
    await w.subscriber("bob", "c");
    await w.settle();
    const before = [ann.frames.length, eve.frames.length];
    await (await w.subscriber("cid", "c")).leave();
    // What waited from before is told with the next second; of cid it says nothing.
    await w.pass(3 * SECOND);
    const cid = [ann, eve].flatMap(({ frames }, i) => frames.slice(before[i]))
      .filter((frame) => JSON.stringify(frame).includes("cid"));
    assertEquals(cid, []);
    const quiet = [ann.frames.length, eve.frames.length];
    await (await w.subscriber("dan", "c")).heartbeat();
    await w.settle();
    const told = [ann.frames.length, eve.frames.length];
    assert(told[0] > quiet[0] && told[1] > quiet[1]);
    await (await w.subscriber("fay", "c")).leave();
    await w.pass(3 * SECOND);
    assertEquals([ann.frames.length, eve.frames.length], told);
  }),
);

Deno.test(
  "at most one presence_diff a second and channel, however much changes",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "c", { wire: "extended" });
    const bobs = await Promise.all(numbers(1, 30).map((n) => w.subscriber(`bob${n}`, "c")));
    const times: number[] = [];
    for (let i = 0; i < 100; i++) {
      await bobs[i % 30].heartbeat(`status ${i}`);
      await w.pass(100);
      if (ann.connection.take("presence_diff").length > 0) times.push(w.clock.now());
    }
    const diffs = ann.frames.filter((frame: GatewayFrame) => frame.type === "presence_diff");
    assertLess(diffs.length, 13);
    for (let i = 1; i < times.length; i++) assert(times[i] - times[i - 1] >= SECOND - 100);
    // The last word arrives all the same.
    await w.pass(2 * SECOND);
    const last = ann.frames.flatMap((frame: GatewayFrame) =>
      frame.type === "presence_diff" ? words(frame) : []
    );
    assertEquals(last.filter((word) => word.includes("bob10 ")).at(-1), "update bob10 status 99");
  }),
);

Deno.test(
  "fixed-wire clients get changes merged per client, one event each",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "c");
    const bob = await w.subscriber("bob", "c");
    await tell(w);
    await bob.heartbeat("x");
    await w.settle();
    told(ann);
    for (const n of numbers(1, 50)) await bob.heartbeat(`status ${n}`);
    await tell(w);
    assertEquals(told(ann), ["update bob status 50"]);
  }),
);

Deno.test(
  "channels above broadcastLimit send no single events; @push/client still hears",
  inWorld({ presence: { broadcastLimit: 3 } }, async (w) => {
    const [ann, eve] = [
      await w.subscriber("ann", "c"),
      await w.subscriber("eve", "c", { wire: "extended" }),
    ];
    const bob = await w.subscriber("bob", "c");
    await tell(w);
    assert(told(ann).includes("join bob online"));
    told(eve);
    const dan = await w.subscriber("dan", "c");
    await bob.heartbeat("busy");
    await tell(w);
    assertEquals(told(ann), []);
    assertEquals(told(eve), ["join dan online", "update bob busy"]);
    await dan.leave();
    await tell(w);
    assertEquals([told(ann), told(eve)], [["leave dan offline"], ["leave dan offline"]]);
  }),
);

Deno.test(
  "channels above diffLimit send nobody anything, and are listed all the same",
  inWorld({ presence: { diffLimit: 2 } }, async (w) => {
    const ann = await w.subscriber("ann", "c", { wire: "extended" });
    await w.subscriber("bob", "c");
    await tell(w);
    assert(told(ann).includes("join bob online"));
    await w.subscriber("cid", "c");
    await tell(w);
    assertEquals(told(ann), []);
    assertEquals(await ids(ann, "c"), ["ann", "bob", "cid"]);
  }),
);

Deno.test(
  "who says nothing for offlineTimeout is offline, and is back with the first frame",
  inWorld({}, async (w) => {
    const [ann, bob] = [await w.subscriber("ann", "c"), await w.subscriber("bob", "c")];
    await tell(w);
    told(ann);
    for (let i = 0; i < 43; i++) {
      await w.pass(SECOND);
      await ann.heartbeat();
      assertEquals(told(ann), [], `after ${i + 1} seconds`);
    }
    for (let i = 0; i < 12; i++) {
      await w.pass(SECOND);
      await ann.heartbeat();
    }
    assertEquals(told(ann), ["leave bob offline"]);
    assertEquals([await ids(ann, "c"), w.hub.presence.size], [["ann"], 1]);
    assertEquals(bob.closed, undefined);
    await w.publish("c", 1);
    assertEquals(bob.data, [1], "Offline is not disconnected");
    await bob.ask({ type: "ping" }, "pong");
    await tell(w);
    assertEquals(told(ann), ["join bob online"]);
    assertEquals(await ids(ann, "c"), ["ann", "bob"]);
  }),
);

Deno.test(
  "any frame is a sign of life, also a wrong one",
  inWorld({}, async (w) => {
    const [ann, bob] = [await w.subscriber("ann", "c"), await w.subscriber("bob", "c")];
    await tell(w);
    told(ann);
    const frames = ['{"type":"ping"}', "nonsense", '{"type":"?"}', '{"type":"channel.list"}'];
    for (let i = 0; i < 20; i++) {
      await w.pass(10 * SECOND);
      bob.sayText(frames[i % 4]);
      await ann.heartbeat();
    }
    assertEquals(told(ann), []);
  }),
);

Deno.test(
  "a lost connection leaves after the grace, not before",
  inWorld({ delivery: { sessionGrace: 30 * SECOND } }, async (w) => {
    const [ann, bob] = [await w.subscriber("ann", "c"), await w.subscriber("bob", "c")];
    await tell(w);
    told(ann);
    await bob.drop();
    await w.pass(29 * SECOND);
    assertEquals([told(ann), await ids(ann)], [[], ["ann", "bob"]]);
    await w.pass(2 * SECOND);
    assertEquals([told(ann), await ids(ann)], [["leave bob offline"], ["ann"]]);
  }),
);

Deno.test(
  "the grace is never longer than offlineTimeout",
  inWorld({ delivery: { sessionGrace: 1000 * SECOND } }, async (w) => {
    const [ann, bob] = [await w.subscriber("ann", "c"), await w.subscriber("bob", "c")];
    await tell(w);
    told(ann);
    await bob.drop();
    await w.pass(44 * SECOND);
    await ann.heartbeat();
    assertEquals(told(ann), []);
    await w.pass(2 * SECOND);
    assertEquals(told(ann), ["leave bob offline"]);
  }),
);

Deno.test(
  "a resume within the grace was never away: nothing is told, status and metadata stay",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "c");
    let bob = await w.subscriber("bob", "c");
    await bob.heartbeat("busy", { n: 1 });
    await tell(w);
    told(ann);
    for (let i = 0; i < 5; i++) {
      await bob.drop();
      await w.pass(20 * SECOND);
      await ann.heartbeat();
      bob = await w.subscriber("bob", "c");
      await w.pass(20 * SECOND);
      await ann.heartbeat();
      assertEquals(told(ann), []);
    }
    const entry = (await ann.presence("c")).find(({ client_id }) => client_id === "bob")!;
    assertEquals([entry.status, entry.metadata], ["busy", { n: 1 }]);
  }),
);

Deno.test(
  "a resume that does not come back to a channel leaves it after the grace",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "c");
    const bob = await w.subscriber("bob", "c");
    await bob.subscribe("d");
    await tell(w);
    told(ann);
    await bob.drop();
    await w.pass(10 * SECOND);
    const again = await w.subscriber("bob", "d");
    await w.pass(10 * SECOND);
    for (const client of [ann, again]) await client.heartbeat();
    assertEquals(told(ann), []);
    await w.pass(40 * SECOND);
    for (const client of [ann, again]) await client.heartbeat();
    assertEquals(told(ann), ["leave bob offline"]);
    assertEquals([await ids(ann, "c"), await ids(ann, "d")], [["ann"], ["bob"]]);
  }),
);

Deno.test(
  "a takeover is no leave",
  inWorld({}, async (w) => {
    const ann = await w.subscriber("ann", "c");
    await w.subscriber("bob", "c");
    await tell(w);
    told(ann);
    for (let i = 0; i < 3; i++) await w.subscriber("bob", "c");
    await w.pass(40 * SECOND);
    assertEquals(told(ann), []);
    assertEquals(await ids(ann, "c"), ["ann", "bob"]);
  }),
);

for (const how of ["close with 1000", "disconnect", "forget"] as const) {
  Deno.test(
    `${how} leaves at once`,
    inWorld({}, async (w) => {
      const ann = await w.subscriber("ann", "c");
      const bob = await w.subscriber("bob", "c", { wire: "extended" });
      await tell(w);
      told(ann);
      if (how === "close with 1000") await bob.leave();
      else bob.say({ type: "disconnect", forget: how === "forget" });
      await w.settle();
      assertEquals(await ids(ann), ["ann"]);
      await tell(w);
      assertEquals(told(ann), ["leave bob offline"]);
    }),
  );
}

for (const hours of [1, -1]) {
  Deno.test(
    `a jump of the clock by ${hours} h makes nobody leave, and delays nothing told`,
    inWorld({}, async (w) => {
      const [ann, bob] = [await w.subscriber("ann", "c"), await w.subscriber("bob", "c")];
      await tell(w);
      told(ann);
      for (let i = 0; i < 5; i++) {
        w.clock.jump(hours * 3_600_000);
        await w.pass(10 * SECOND);
        for (const client of [ann, bob]) await client.heartbeat();
      }
      assertEquals([told(ann), await ids(ann)], [[], ["ann", "bob"]]);
      w.clock.jump(hours * 3_600_000);
      await bob.heartbeat("busy");
      await tell(w);
      assertEquals(told(ann), ["update bob busy"]);
    }),
  );
}

Deno.test(
  "presence.enabled: false tracks nobody and tells nothing",
  inWorld({ presence: { enabled: false } }, async (w) => {
    const ann = await w.subscriber("ann", "c", { wire: "extended" });
    assertEquals(ann.connection.take("connected")[0].heartbeat_interval, 0);
    const bob = await w.subscriber("bob", "c");
    assertEquals((await bob.heartbeat("busy")).ok, false);
    await w.pass(60 * SECOND);
    assertEquals([told(ann), told(bob), await ids(ann)], [[], [], []]);
  }),
);

Deno.test(
  "presence.broadcastChanges: false tells nothing, and lists all the same",
  inWorld({ presence: { broadcastChanges: false } }, async (w) => {
    const ann = await w.subscriber("ann", "c", { wire: "extended" });
    const bob = await w.subscriber("bob", "c");
    assertEquals((await bob.heartbeat("busy")).ok, true);
    await w.pass(5 * SECOND);
    assertEquals([told(ann), told(bob), await ids(ann, "c")], [[], [], ["ann", "bob"]]);
    await bob.drop();
    await w.pass(50 * SECOND);
    await ann.heartbeat();
    assertEquals(await ids(ann), ["ann"]);
  }),
);

Deno.test(
  "clients that come and go, and channels that they leave, leave nothing behind",
  inWorld({}, async (w) => {
    const before = w.clock.pending;
    for (const n of numbers(1, 200)) {
      const client = await w.subscriber(n % 2 === 0 ? `client-${n}` : undefined, `channel-${n}`);
      if (n % 3 === 0) await client.unsubscribe(`channel-${n}`);
      if (n % 5 === 0) await client.leave();
      else await client.drop();
    }
    await w.pass(120 * SECOND);
    assertEquals(w.hub.presence.size, 0);
    assert(w.clock.pending <= before + 1, `${w.clock.pending} timers`);
  }),
);
