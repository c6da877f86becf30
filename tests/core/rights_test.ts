import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Authorize } from "../../server/access/authorization.ts";
import type { Action, Identity } from "../../server/access/identity.ts";
import { inWorld, numbers, type TestClient, World } from "./harness.ts";

const SECOND = 1_000;
const WIRES = ["fixed", "extended"] as const;
const ann: Identity = { subject: "ann" };

/** Rights of everybody that a test gives and takes. */
class Rights {
  readonly #given = new Set<string>();
  /** What is asked, in order. */
  readonly asked: string[] = [];
  /** What a question waits for. */
  gate: Promise<void> | undefined;
  /** Whether nothing can be found out. */
  fails = false;

  constructor(...given: readonly (readonly [channel: string, ...actions: Action[]])[]) {
    for (const [channel, ...actions] of given) this.give(channel, ...actions);
  }

  give(channel: string, ...actions: Action[]): void {
    for (const action of actions) this.#given.add(`${action} ${channel}`);
  }

  take(channel: string, ...actions: Action[]): void {
    for (const action of actions) this.#given.delete(`${action} ${channel}`);
  }

  readonly authorize: Authorize = (_identity, action, channel) => {
    const name = `${action} ${channel}`;
    this.asked.push(name);
    if (this.gate === undefined) return this.#answer(name);
    return this.gate.then(() => this.#answer(name));
  };

  #answer(name: string): boolean {
    if (this.fails) throw new Error("Nobody knows");
    return this.#given.has(name);
  }
}

/** The last error that a client was told. */
function lastError(client: TestClient): { code: string; message: string; channel?: string } {
  const { code, message, channel } = client.frames.findLast(({ type }) => type === "error") as {
    code: string;
    message: string;
    channel?: string;
  };
  return { code, message, channel };
}

async function refusal(
  w: World,
  client: TestClient,
  frame: { type: string; [member: string]: unknown },
): Promise<ReturnType<typeof lastError>> {
  const before = client.errors.length;
  client.say(frame);
  await w.settle();
  assertEquals(client.errors.length, before + 1, `${frame.type} was not refused`);
  return lastError(client);
}

for (const wire of WIRES) {
  Deno.test(
    `what is not allowed is refused, the same whether the channel exists or not (${wire} wire)`,
    inWorld({
      rules: [{ subjects: ["ann"], channels: ["mine"], actions: ["subscribe"] }],
    }, async (w) => {
      await w.publish("there", 1);
      const client = await w.connect("a", { wire, identity: ann });
      for (
        const [type, action] of [
          ["channel.subscribe", "subscribe"],
          ["channel.publish", "publish"],
          ["channel.create", "publish"],
          ["presence.query", "presence"],
        ]
      ) {
        for (const channel of ["there", "nowhere"]) {
          assertEquals(await refusal(w, client, { type, channel, data: 1 }), {
            code: "forbidden",
            message: `The right '${action}' in channel ${channel} is missing.`,
            channel,
          });
        }
      }
      assertEquals((await client.subscribe("mine")).ok, true);
      const channels = await w.hub.channels();
      assertEquals(channels.map(({ name }) => name).sort(), ["mine", "there"]);
      assertEquals(channels.find(({ name }) => name === "there")?.head, 1);
    }),
  );
}

Deno.test(
  "a first subscription is refused in the answer to 'connect', and the others flow",
  inWorld({
    rules: [{ subjects: ["*"], channels: ["mine"], actions: ["subscribe"] }],
  }, async (w) => {
    const client = await w.extended("a", {
      identity: ann,
      subscriptions: [{ channel: "other" }, { channel: "mine" }],
    });
    const { subscriptions } = client.frames.find((frame) => frame.type === "connected")!;
    assertEquals(subscriptions.map(({ type, channel }) => [type, channel]), [
      ["error", "other"],
      ["channel.subscribed", "mine"],
    ]);
    await w.publish("other", 1);
    await w.publish("mine", 2);
    assertEquals(client.data, [2]);
  }),
);

Deno.test(
  "the list of channels has those in which one may do something",
  inWorld({
    rules: [
      { subjects: ["*"], channels: ["in:*"], actions: ["publish"] },
      { subjects: ["*"], channels: ["out:*"], actions: ["presence"] },
      { subjects: ["ann"], channels: ["**"], actions: ["admin"] },
    ],
  }, async (w) => {
    for (const name of ["in:a", "out:a", "other:a", "in"]) await w.publish(name, 1);
    const client = await w.connect("a", { identity: ann });
    const { channels } = await client.ask({ type: "channel.list" }, "channel.list");
    assertEquals(channels.sort(), ["in:a", "out:a"]);
  }),
);

Deno.test(
  "a publisher who may not subscribe is told how many were reached, as ever",
  inWorld({
    rules: [
      { subjects: ["ann"], channels: ["c"], actions: ["publish"] },
      { subjects: ["bob"], channels: ["c"], actions: ["subscribe"] },
    ],
  }, async (w) => {
    const bob = await w.subscriber("b", "c", { identity: { subject: "bob" } });
    const publisher = await w.connect("a", { identity: ann });
    assertEquals((await publisher.publish("c", 1)).delivered, 1);
    assertEquals(bob.data, [1]);
    assertEquals(
      (await refusal(w, bob, { type: "channel.publish", channel: "c", data: 2 })).code,
      "forbidden",
    );
  }),
);

// Reading what was published before.

for (const start of [{ all: true }, { last: 2 }, { since: { epoch: "e", seq: 0 } }] as const) {
  Deno.test(
    `starting with ${Object.keys(start)} needs 'history'`,
    inWorld({
      rules: [
        { subjects: ["*"], channels: ["c"], actions: ["subscribe"] },
        { subjects: ["bob"], channels: ["c"], actions: ["history"] },
      ],
    }, async (w) => {
      await w.publish("c", 1, 2, 3);
      const client = await w.extended("a", { identity: ann });
      const { message } = await refusal(w, client, {
        type: "channel.subscribe",
        channel: "c",
        ...start,
      });
      assertMatch(message, /^The right 'history' in channel c is missing/);
      await w.publish("c", 4);
      assertEquals(client.data, []);
      const bob = await w.extended("b", { identity: { subject: "bob" } });
      await bob.subscribe("c", start);
      assertEquals(bob.data.at(-1), 4);
      assert(bob.data.length > 1);
      // The head is no history.
      assertEquals((await client.subscribe("c", { last: 0 })).ok, true);
      assertEquals(client.data, []);
    }),
  );
}

const READER = {
  rules: [{ subjects: ["*"], channels: ["c"], actions: ["subscribe"] }],
} as const;

Deno.test(
  "a stated position reads nothing from before without 'history': it is a gap, until it was heard",
  inWorld(READER, async (w) => {
    await w.publish("c", 1, 2, 3);
    const { epoch } = (await w.hub.channels())[0];
    for (const position of [{ epoch, seq: 1 }, { epoch: "other", seq: 9 }, { epoch, seq: 0 }]) {
      const name = `a${position.epoch}${position.seq}`;
      let client = await w.extended(name);
      await client.subscribe("c", { position });
      assertEquals(client.connection.take("channel.gap").length, 1);
      assertEquals(client.data, []);
      // The notice was not acknowledged: it comes again, and nothing else does.
      await client.drop();
      client = await w.extended(name);
      await client.subscribe("c", { position });
      const [gap] = client.connection.take("channel.gap");
      assertEquals([gap.epoch, gap.seq], [epoch, 3]);
      assertEquals(client.data, []);
      client.say({ type: "ack", acks: [{ channel: "c", epoch, upto: 3 }] });
      await w.settle();
      await client.drop();
      client = await w.extended(name);
      await client.subscribe("c", { position: { epoch, seq: 3 } });
      assertEquals([client.data, client.connection.take("channel.gap")], [[], []]);
      await client.leave();
    }
  }),
);

Deno.test(
  "a position that misses nothing is no gap without 'history', and what comes then flows",
  inWorld(READER, async (w) => {
    await w.publish("c", 1, 2);
    const { epoch } = (await w.hub.channels())[0];
    const client = await w.extended("a");
    await client.subscribe("c", { position: { epoch, seq: 2 } });
    await w.publish("c", 3);
    assertEquals([client.data, client.connection.take("channel.gap")], [[3], []]);
  }),
);

Deno.test(
  "what was published while a gap of that kind was owed flows, and nothing from before",
  inWorld(READER, async (w) => {
    await w.publish("c", 1, 2);
    const { epoch } = (await w.hub.channels())[0];
    const position = { epoch, seq: 0 };
    let client = await w.extended("a");
    await client.subscribe("c", { position });
    await client.drop();
    await w.publish("c", 3, 4);
    client = await w.extended("a");
    await client.subscribe("c", { position });
    assertEquals(client.data, [3, 4]);
    assertEquals(client.connection.take("channel.gap").map(({ seq }) => seq), [2]);
  }),
);

Deno.test(
  "one's own stored position goes on without 'history', whatever the client states",
  inWorld(READER, async (w) => {
    await w.publish("c", 1, 2);
    const { epoch } = (await w.hub.channels())[0];
    for (const position of [undefined, { epoch, seq: 0 }, { epoch: "other", seq: 0 }]) {
      const name = `a${position?.epoch}`;
      const client = await w.extended(name);
      await client.subscribe("c");
      await client.drop();
      await w.publish("c", 3);
      const again = await w.extended(name);
      await again.subscribe("c", position === undefined ? {} : { position });
      assertEquals(again.data, [3], `with ${JSON.stringify(position)}`);
      await again.leave();
    }
  }),
);

Deno.test("a position of an earlier epoch reads nothing from before without 'history'", async () => {
  const w = new World(READER);
  await w.publish("c", 1, 2);
  const { epoch } = (await w.hub.channels())[0];
  const client = await w.extended("a");
  await client.subscribe("c");
  await client.drop();
  // The log is lost, and has begun anew with other messages.
  w.interposed.target = w.freshStore();
  w.crash();
  await w.publish("c", 11, 12, 13);
  const other = await w.extended("b");
  await other.subscribe("c", { position: { epoch, seq: 1 } });
  assertEquals(other.data, []);
  assertEquals(other.connection.take("channel.gap").length, 1);
  await w.publish("c", 14);
  assertEquals(other.data, [14]);
  await w.end();
});

// Losing a right.

for (const wire of WIRES) {
  Deno.test(
    `losing the right to a channel ends it, tells the client, and forgets its position (${wire} wire)`,
    async () => {
      const rights = new Rights(["c", "subscribe"], ["d", "subscribe"]);
      const w = new World({ authorize: rights.authorize });
      const client = await w.connect("a", { wire });
      for (const channel of ["c", "d"]) await client.subscribe(channel);
      await w.publish("c", 1);
      rights.take("c", "subscribe");
      await w.hub.reauthorize({});
      assertEquals(lastError(client), {
        code: "forbidden",
        message: "The right 'subscribe' in channel c is missing.",
        channel: "c",
      });
      assertEquals(client.errors, ["forbidden"]);
      await w.publish("c", 2);
      await w.publish("d", 10);
      assertEquals(client.data, [1, 10]);
      assertEquals(await w.position("a", "c"), undefined);
      assert(await w.position("a", "d") !== undefined);
      assertEquals(w.hub.subscribers("c"), 0);
      assertEquals(
        (await refusal(w, client, { type: "channel.subscribe", channel: "c" })).code,
        "forbidden",
      );
      rights.give("c", "subscribe");
      await w.hub.reauthorize({});
      await w.publish("c", 3);
      assertEquals(client.data, [1, 10]);
      assertEquals((await client.subscribe("c")).ok, true);
      await w.publish("c", 4);
      assertEquals(client.data, [1, 10, 4]);
      await w.end();
    },
  );
}

Deno.test("after a right was lost and given back a stated position reads nothing of the time between", async () => {
  const rights = new Rights(["c", "subscribe"]);
  const w = new World({ authorize: rights.authorize });
  let client = await w.extended("a");
  await client.subscribe("c");
  await w.publish("c", 1);
  const [{ epoch, seq }] = client.messages as { epoch: string; seq: number }[];
  rights.take("c", "subscribe");
  await w.hub.reauthorize({ subject: "anonymous" });
  await w.publish("c", 2, 3);
  rights.give("c", "subscribe");
  await w.hub.reauthorize({ subject: "anonymous" });
  await client.subscribe("c", { position: { epoch, seq } });
  await w.publish("c", 4);
  assertEquals(client.data, [1, 4]);
  assertEquals(client.connection.take("channel.gap").map(({ seq }) => seq), [3]);
  await client.drop();
  client = await w.extended("a");
  await client.subscribe("c", { position: { epoch, seq } });
  assertEquals(client.data, [4]);
  await w.end();
});

Deno.test("what a client lost the right to while it was away is ended when it comes back", async () => {
  const rights = new Rights(["c", "subscribe"], ["d", "subscribe"]);
  for (const isSameGateway of [true, false]) {
    const w = new World({ authorize: rights.authorize });
    let client = await w.extended("a");
    for (const channel of ["c", "d"]) await client.subscribe(channel);
    await client.drop();
    await w.pass(2 * SECOND);
    if (!isSameGateway) w.crash();
    rights.take("c", "subscribe");
    await w.publish("c", 1);
    await w.publish("d", 10);
    client = await w.extended("a");
    assertEquals(await w.position("a", "c"), undefined);
    rights.give("c", "subscribe");
    await w.hub.reauthorize({});
    for (const channel of ["c", "d"]) await client.subscribe(channel);
    await w.publish("c", 2);
    assertEquals(client.data.sort(), [10, 2]);
    await w.end();
  }
});

Deno.test("a right that is lost and given back while a client is away reads nothing of the time between", async () => {
  for (const isSaved of [true, false]) {
    const rights = new Rights(["c", "subscribe"], ["d", "subscribe"]);
    const w = new World({ authorize: rights.authorize });
    let client = await w.extended("a");
    for (const channel of ["c", "d"]) await client.subscribe(channel);
    await w.publish("c", 1);
    await client.ackUpTo(client.messages[0]);
    let release = () => {};
    // What was acknowledged last is not stored yet when the right is lost.
    if (!isSaved) w.interposed.refuseOnce("commit", new Error("The store is busy"));
    await client.drop();
    if (!isSaved) release = w.interposed.hold("commit");
    rights.take("c", "subscribe");
    const done = w.hub.reauthorize({ subject: "anonymous" });
    await w.settle();
    release();
    await w.settle();
    await done;
    await w.publish("c", 2);
    await w.publish("d", 10);
    rights.give("c", "subscribe");
    await w.hub.reauthorize({});
    await w.pass(2 * SECOND);
    client = await w.extended("a");
    for (const channel of ["c", "d"]) await client.subscribe(channel);
    await w.publish("c", 3);
    assertEquals(client.data.sort(), [10, 3]);
    await w.end();
  }
});

Deno.test("who is away and is not meant, or has ended, is not asked about", async () => {
  const rights = new Rights(["c", "subscribe"]);
  const w = new World({ authorize: rights.authorize });
  for (const name of ["a", "b"]) await (await w.subscriber(name, "c")).drop();
  const short = await w.extended("s", { sessionTtl: 5 });
  await short.subscribe("c");
  await short.drop();
  await w.pass(6 * SECOND);
  rights.asked.length = 0;
  await w.hub.reauthorize({ clientId: "a" });
  assertEquals(rights.asked, ["subscribe c"]);
  rights.asked.length = 0;
  await w.hub.reauthorize({});
  assertEquals(rights.asked, ["subscribe c", "subscribe c"]);
  await w.end();
});

Deno.test("fewer rights in a new token end what they do not allow any more", async () => {
  const w = new World();
  const { session, connection } = await w.hubClient("a", "c");
  const grants = (...channels: string[]) => [{ channels, actions: ["subscribe"] as const }];
  await session.subscribe("d", {}, connection).then(({ start }) => start());
  await w.hub.identify(session, { subject: "anonymous", grants: grants("d") });
  assertEquals(session.channels, ["d"]);
  await w.hub.identify(session, { subject: "anonymous", grants: grants("c", "d") });
  await w.publish("c", 1);
  await w.publish("d", 2);
  assertEquals(connection.take("channel_message").map(({ data }) => data), [2]);
  await w.end();
});

Deno.test("only those who are meant are asked anew", async () => {
  const rights = new Rights(["c", "subscribe"]);
  const w = new World({ authorize: rights.authorize });
  const [a, b] = [await w.subscriber("a", "c"), await w.subscriber("b", "c")];
  const other = await w.subscriber("a", "c", { identity: ann });
  rights.take("c", "subscribe");
  await w.hub.reauthorize({ subject: "anonymous", clientId: "a" });
  assertEquals([a, b, other].map(({ errors }) => errors.length), [1, 0, 0]);
  await w.hub.reauthorize({ clientId: "a" });
  assertEquals([a, b, other].map(({ errors }) => errors.length), [1, 0, 1]);
  await w.hub.reauthorize({});
  assertEquals([a, b, other].map(({ errors }) => errors.length), [1, 1, 1]);
  await w.end();
});

Deno.test("who may not be asked about comes back later and has lost nothing", async () => {
  const rights = new Rights(["c", "subscribe"]);
  const w = new World({ authorize: rights.authorize });
  const client = await w.subscriber("a", "c");
  rights.fails = true;
  await w.hub.reauthorize({});
  assertEquals(client.closed, "unavailable");
  await w.publish("c", 1);
  const again = await w.connect("a");
  assertEquals(
    (await refusal(w, again, { type: "channel.subscribe", channel: "c" })).code,
    "unavailable",
  );
  assertEquals(again.data, []);
  rights.fails = false;
  assertEquals((await again.subscribe("c")).ok, true);
  assertEquals(again.data, [1]);
  await w.end();
});

Deno.test("a right that is lost while a subscribe is under way lets nothing through", async () => {
  for (const wire of WIRES) {
    const rights = new Rights(["c", "subscribe"]);
    const w = new World({ authorize: rights.authorize });
    const client = await w.connect("a", { wire });
    const release = w.interposed.hold("commit");
    client.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    rights.take("c", "subscribe");
    const done = w.hub.reauthorize({});
    await w.settle();
    release();
    await w.settle();
    await done;
    await w.publish("c", 1);
    assertEquals(client.data, []);
    assertEquals(lastError(client).code, "forbidden");
    assertEquals(w.hub.subscribers("c"), 0);
    assertEquals(await w.position("a", "c"), undefined);
    await w.end();
  }
});

Deno.test("an answer from before a right was lost lets nobody in", async () => {
  const answers: ((allowed: boolean) => void)[] = [];
  const w = new World({ authorize: () => new Promise((resolve) => answers.push(resolve)) });
  const client = await w.connect("a");
  client.say({ type: "channel.subscribe", channel: "c" });
  await w.settle();
  const done = w.hub.reauthorize({});
  answers[0](true);
  await w.settle();
  for (const answer of answers.slice(1)) answer(false);
  await w.settle();
  await done;
  assertEquals(client.errors, ["forbidden"]);
  await w.end();
});

// Publishing.

Deno.test("publishes of one connection stay in order while the program decides", async () => {
  const rights = new Rights(["c", "publish"], ["d", "publish"], ["c", "subscribe"]);
  const w = new World({ authorize: rights.authorize });
  const reader = await w.subscriber("b", "c");
  const client = await w.connect("a");
  await client.publish("d", 0);
  const { promise, resolve } = Promise.withResolvers<void>();
  rights.gate = promise;
  const order: string[] = [];
  for (const i of numbers(1, 5)) {
    client.say({ type: "channel.publish", channel: i === 3 ? "d" : "c", data: i });
    client.say({ type: "channel.publish", channel: "e", data: i });
  }
  await w.settle();
  assertEquals(reader.data, []);
  rights.gate = undefined;
  resolve();
  await w.settle();
  client.say({ type: "channel.publish", channel: "c", data: 6 });
  await w.settle();
  assertEquals(reader.data, [1, 2, 4, 5, 6]);
  for (const frame of client.frames) {
    if (frame.type === "channel.published") order.push(frame.channel);
  }
  assertEquals(order, ["d", "c", "c", "d", "c", "c", "c"]);
  assertEquals(client.errors, Array(5).fill("forbidden"));
  await w.end();
});

Deno.test("a publish whose right cannot be found out is refused, and may be tried again", async () => {
  const rights = new Rights(["c", "publish"]);
  const w = new World({ authorize: rights.authorize });
  const client = await w.connect("a");
  rights.fails = true;
  for (const gate of [undefined, Promise.resolve()]) {
    rights.gate = gate;
    const frame = { type: "channel.publish", channel: "c", data: 1 };
    assertEquals((await refusal(w, client, frame)).code, "unavailable");
  }
  rights.fails = false;
  await client.publish("c", 2);
  await client.publish("c", 3);
  assertEquals(rights.asked, ["publish c", "publish c", "publish c"]);
  await w.end();
});

// Presence.

Deno.test("who may not see the presence of a channel gets no events of it", async () => {
  for (const late of [false, true]) {
    const rights = new Rights(["c", "subscribe"]);
    rights.gate = late ? Promise.resolve() : undefined;
    const w = new World({ authorize: rights.authorize });
    for (const wire of WIRES) await w.subscriber(wire, "c", { wire });
    const watcher = await w.subscriber("w", "c");
    const events = () => watcher.frames.filter(({ type }) => type.startsWith("presence_")).length;
    await w.pass(5 * SECOND);
    await w.subscriber("x", "c");
    await w.pass(5 * SECOND);
    assertEquals(events(), 0);
    rights.give("c", "presence");
    await w.hub.reauthorize({});
    await w.subscriber("y", "c");
    await w.pass(5 * SECOND);
    assertEquals(events(), 1);
    rights.take("c", "presence");
    await w.hub.reauthorize({});
    await w.subscriber("z", "c");
    await w.pass(5 * SECOND);
    assertEquals(events(), 1);
    assertEquals(watcher.errors, []);
    await w.end();
  }
});

Deno.test("who loses the right to a channel leaves it for the others", async () => {
  const w = new World({
    authorize: ({ subject }, action) => action === "presence" || subject === "bob" || !isLost,
  });
  let isLost = false;
  const bob = await w.subscriber("b", "c", { identity: { subject: "bob" } });
  await w.subscriber("a", "c", { identity: ann });
  await w.pass(2 * SECOND);
  assertEquals((await bob.presence("c")).map(({ client_id }) => client_id).sort(), [
    "ann#a",
    "bob#b",
  ]);
  isLost = true;
  await w.hub.reauthorize({ subject: "ann" });
  await w.pass(2 * SECOND);
  assertEquals(bob.frames.filter(({ type }) => type === "presence_leave").length, 1);
  assertEquals((await bob.presence("c")).map(({ client_id }) => client_id), ["bob#b"]);
  await w.end();
});

Deno.test("lists of presence have members and channels that the asker may see", async () => {
  const w = new World({
    rules: [
      { subjects: ["*"], channels: ["**"], actions: ["subscribe"] },
      { subjects: ["ann"], channels: ["open:*"], actions: ["presence"] },
      { subjects: ["root"], channels: ["**"], actions: ["presence"] },
    ],
  });
  const both = await w.subscriber("both", "open:1");
  await both.subscribe("closed:1");
  await w.subscriber("hidden", "closed:1");
  const client = await w.connect("a", { identity: ann });
  const root = await w.connect("r", { identity: { subject: "root" } });
  const told = async (who: TestClient, channel: string | null) =>
    (await who.presence(channel)).map(({ client_id, channels }) => [client_id, channels.sort()])
      .sort();
  assertEquals(await told(client, null), [["both", ["open:1"]]]);
  assertEquals(await told(client, "open:1"), [["both", ["open:1"]]]);
  assertEquals(await told(root, "open:1"), [["both", ["closed:1", "open:1"]]]);
  assertEquals(await told(root, null), [["both", ["closed:1", "open:1"]], ["hidden", [
    "closed:1",
  ]]]);
  assertEquals(
    (await refusal(w, client, { type: "presence.query", channel: "closed:1" })).code,
    "forbidden",
  );
  await w.end();
});
