import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { inWorld, numbers, type Said, type TestClient, World } from "./harness.ts";

const SECOND = 1_000;
const TOKEN = "a secret of the gateway";

const connect = { type: "connect", version: 1, instance: "i", attempt: 0 };
const ping = { type: "ping" };

/** The body of a test in a world whose gateway asks for a token. */
function guarded(run: (w: World) => Promise<void>): () => Promise<void> {
  return async () => {
    const w = new World({}, TOKEN);
    await run(w);
    await w.end();
  };
}

function types(client: TestClient): string[] {
  return client.frames.map(({ type }) => type).filter((type) => !type.startsWith("presence_"));
}

// The first frame.

Deno.test(
  "a client of the fixed wire needs no handshake: its first frame is answered",
  inWorld({}, async (w) => {
    const client = w.dial();
    client.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    assertEquals(client.frames, [{ type: "channel.subscribed", channel: "c", ok: true }]);
    assertEquals(w.hub.sessionCount, 1);
  }),
);

Deno.test(
  "a connection that says nothing has no session",
  inWorld({}, async (w) => {
    const client = w.dial("bob");
    await w.pass(60 * SECOND);
    assertEquals([w.hub.sessionCount, w.hub.presence.size, client.closed], [0, 0, undefined]);
    await client.drop();
  }),
);

Deno.test(
  "'connect' opens the extended wire, and says on which terms",
  inWorld({}, async (w) => {
    const client = w.dial();
    client.say({
      ...connect,
      client_id: "bob",
      subscriptions: [{ channel: "c" }, { channel: "d", last: 3 }],
    });
    await w.settle();
    const [connected] = client.connection.take("connected");
    const { subscriptions, ...rest } = connected;
    assertEquals(rest, {
      type: "connected",
      version: 1,
      client_id: "bob",
      resumed: false,
      session_ttl: 86_400,
      delivery: true,
      ack_timeout: 30,
      retry_backoff: 2,
      window: 1024,
      window_bytes: 1_048_576,
      heartbeat_interval: 15,
      max_message_bytes: 65_536,
    });
    const answers = subscriptions.map((each) =>
      each.type === "channel.subscribed" ? [each.channel, each.ok, each.seq, typeof each.epoch] : []
    );
    assertEquals(answers, [["c", true, 0, "string"], ["d", true, 0, "string"]]);
  }),
);

Deno.test(
  "first subscriptions that are refused are answered one by one",
  inWorld({ limits: { maxChannels: 2 } }, async (w) => {
    await (await w.subscriber("bob", "x")).drop();
    const client = w.dial();
    const subscriptions = [{ channel: "a" }, { channel: "b" }];
    client.say({ ...connect, client_id: "bob", subscriptions });
    await w.settle();
    const [{ subscriptions: answers }] = client.connection.take("connected");
    assertEquals(answers.map((each) => each.type === "error" ? each.code : each.type).sort(), [
      "channel.subscribed",
      "too_many_channels",
    ]);
  }),
);

Deno.test(
  "'connect' that is not the first frame is unknown",
  inWorld({}, async (w) => {
    const client = w.dial("bob");
    client.say(ping);
    client.say(connect);
    await w.settle();
    assertEquals([types(client), client.errors], [["pong", "error"], ["unknown_type"]]);
    const extended = await w.extended("eve");
    extended.say(connect);
    await w.settle();
    assertEquals([extended.errors, extended.closed], [["unknown_type"], undefined]);
  }),
);

Deno.test(
  "another version of the protocol is refused for good",
  inWorld({}, async (w) => {
    for (const version of [0, 2, "1", null, undefined, 1.5]) {
      const client = w.dial();
      client.say({ ...connect, version });
      await w.settle();
      assertEquals([client.errors, client.closed], [
        ["unsupported_version"],
        "unsupported_version",
      ]);
    }
    assertEquals(w.hub.sessionCount, 0);
  }),
);

Deno.test(
  "a mistake in the first frame is answered, and may be corrected over the same connection",
  inWorld({}, async (w) => {
    const client = w.dial();
    client.sayText("nonsense");
    client.sayText("[]");
    client.say({ ...connect, instance: "" });
    client.say({ ...connect, subscriptions: [{ channel: "no good" }] });
    await w.settle();
    assertEquals(client.errors, ["bad_frame", "bad_frame", "bad_request", "invalid_channel"]);
    assertEquals([client.closed, w.hub.sessionCount], [undefined, 0]);
    client.say(connect);
    await w.settle();
    assertEquals(types(client).at(-1), "connected");
  }),
);

Deno.test(
  "frames that come before the session is there are answered after it, in order",
  inWorld({}, async (w) => {
    for (const wire of ["fixed", "extended"] as const) {
      const client = w.dial(wire === "fixed" ? "bob" : undefined);
      const release = w.interposed.hold("claim");
      if (wire === "extended") client.say(connect);
      for (const n of numbers(1, 5)) {
        client.say({ type: "channel.publish", channel: wire, data: n, echo: true });
      }
      client.say({ type: "channel.subscribe", channel: wire });
      await w.pass(SECOND);
      assertEquals(client.frames, []);
      release();
      await w.settle();
      const { messages } = await w.store.read(wire, 0, 10, w.clock.now());
      assertEquals(messages.map(({ payload }) => payload), ["1", "2", "3", "4", "5"]);
      const answers = types(client).filter((type) => type !== "channel_message");
      assertEquals(answers, [
        ...(wire === "extended" ? ["connected"] : []),
        ...types(client).filter((type) => /published|subscribed/.test(type)),
      ]);
      assertEquals(answers.filter((type) => type === "channel.published").length, 5);
    }
  }),
);

Deno.test(
  "what may wait for the session is bounded",
  inWorld({}, async (w) => {
    const client = w.dial("bob");
    const release = w.interposed.hold("claim");
    const data = "x".repeat(60_000);
    for (let i = 0; i < 40; i++) client.say({ type: "channel.publish", channel: "c", data });
    assertEquals(client.closed, "rate_limited");
    release();
    await w.settle();
    assertEquals((await w.hub.stats()).messages, 0);
    assertEquals(w.hub.sessionCount, 0);
  }),
);

// Tokens.

Deno.test(
  "with a token set: a client shows it with the upgrade, or with 'connect'",
  guarded(async (w) => {
    const known = w.dial("bob");
    known.say(ping);
    const token = w.dialAsStranger();
    token.say({ ...connect, token: TOKEN });
    await w.settle();
    assertEquals([types(known), types(token)], [["pong"], ["connected"]]);
  }),
);

Deno.test(
  "with a token set: no token is token_required, another is token_invalid, and nothing is done",
  guarded(async (w) => {
    const cases: [frame: string, errors: string[]][] = [
      [JSON.stringify(ping), ["token_required"]],
      [JSON.stringify({ type: "channel.publish", channel: "c", data: 1 }), ["token_required"]],
      [JSON.stringify(connect), ["token_required"]],
      [JSON.stringify({ ...connect, token: null }), ["token_required"]],
      [JSON.stringify({ ...connect, token: "wrong" }), ["token_invalid"]],
      [JSON.stringify({ ...connect, token: `${TOKEN} ` }), ["token_invalid"]],
      ["nonsense", ["bad_frame"]],
    ];
    for (const [text, errors] of cases) {
      const client = w.dialAsStranger();
      client.sayText(text);
      await w.settle();
      const code = errors[0] === "bad_frame" ? "token_required" : errors[0];
      assertEquals([client.errors, client.closed], [errors, code], text);
      assert(!client.connection.texts.join("").includes(TOKEN));
    }
    const { channels, sessions } = await w.hub.stats();
    assertEquals([channels, sessions, w.hub.sessionCount], [0, 0, 0]);
  }),
);

Deno.test(
  "with a token set: a wrong token in 'connect' counts more than a right one in the upgrade",
  guarded(async (w) => {
    const client = w.dial();
    client.say({ ...connect, token: "wrong" });
    await w.settle();
    assertEquals(client.closed, "token_invalid");
  }),
);

Deno.test(
  "with a token set: a stranger has ten seconds, and may say nothing else first",
  guarded(async (w) => {
    const [silent, slow, known] = [w.dialAsStranger(), w.dialAsStranger(), w.dial("bob")];
    await w.pass(9_900);
    slow.say({ ...connect, token: TOKEN });
    await w.pass(200);
    assertEquals([silent.closed, slow.closed, known.closed], [
      "handshake_timeout",
      undefined,
      undefined,
    ]);
    await w.pass(60 * SECOND);
    assertEquals(slow.closed, undefined);
    await known.drop();
  }),
);

// What is no frame.

Deno.test(
  "binary data and frames that are too large end the connection with their codes",
  inWorld({ limits: { maxFrameBytes: 2_000 } }, async (w) => {
    const [binary, large, early] = [await w.connect("a"), await w.connect("b"), w.dial("c")];
    binary.sayBinary();
    large.sayText(`{"type":"ping","x":"${"y".repeat(2_000)}"}`);
    early.sayText("x".repeat(2_001));
    await w.settle();
    assertEquals([binary.closed, large.closed, early.closed], [
      "binary_frame",
      "frame_too_large",
      "frame_too_large",
    ]);
    assertStringIncludes(large.connection.closed?.detail ?? "", "2000");
    assertEquals(w.hub.sessionCount, 0);
  }),
);

Deno.test(
  "nonsense is answered with one error each, and the connection stays",
  inWorld({}, async (w) => {
    const nonsense = [
      ...["", "null", "7", '"ping"', "[]", '[{"type":"ping"}]', "{", '{"type":"ping"'],
      ...["{}", '{"type":7}', '{"type":null}', '{"type":["ping"]}', '{"type":"pong"}'],
      ...['{"type":"__proto__"}', '{"type":"constructor"}', '{"type":"ack","acks":[]}'],
      ...['{"type":"disconnect"}', `{"a":${"[".repeat(100)}${"]".repeat(100)}}`],
    ];
    const client = await w.connect("bob");
    for (const [i, text] of nonsense.entries()) {
      client.sayText(text);
      await w.settle();
      assertEquals(client.errors.length, i + 1, text);
    }
    assertEquals(client.errors.slice(-1), ["nesting_too_deep"]);
    assertEquals(client.closed, undefined);
    await client.ask(ping, "pong");
    assert(w.hub.context.metrics.errors.get("bad_frame")! >= 6, "Errors are counted by code");
  }),
);

Deno.test(
  "an unknown type is told without what it may hide",
  inWorld({}, async (w) => {
    const client = await w.connect("bob");
    client.say({ type: `<script>${"x".repeat(10_000)}` });
    await w.settle();
    const [error] = client.connection.take("error");
    assertEquals(error.code, "unknown_type");
    assert(error.message.length < 200);
  }),
);

Deno.test(
  "an error names the field, what it must be and what was found",
  inWorld({}, async (w) => {
    const client = await w.extended("bob");
    const epoch = "e";
    const long = "x".repeat(1_000);
    const wrong: [field: string, frame: Said][] = [
      ["channel", { type: "channel.subscribe" }],
      ["channel", { type: "channel.publish", channel: 7, data: 1 }],
      ["channel", { type: "channel.unsubscribe", channel: long }],
      ["channel", { type: "presence.query", channel: "" }],
      ["data", { type: "channel.publish", channel: "c" }],
      ["id", { type: "channel.publish", channel: "c", data: 1, id: "" }],
      ["id", { type: "channel.publish", channel: "c", data: 1, id: long }],
      ["echo", { type: "channel.publish", channel: "c", data: 1, echo: 1 }],
      ["metadata", { type: "channel.create", channel: "c", metadata: [] }],
      ["metadata", { type: "presence.heartbeat", metadata: { long, longer: long } }],
      ["status", { type: "presence.heartbeat", status: long }],
      ["event_id", { type: "message_ack" }],
      ["event_id", { type: "message_nack", event_id: long }],
      ["delay", { type: "message_nack", event_id: "x", delay: -1 }],
      ["delay", { type: "nack", channel: "c", epoch, seq: 1, delay: 86_401 }],
      ["position", { type: "channel.subscribe", channel: "c", position: 1 }],
      ["epoch", { type: "channel.subscribe", channel: "c", position: { seq: 1 } }],
      ["seq", { type: "channel.subscribe", channel: "c", since: { epoch, seq: -1 } }],
      ["open", {
        type: "channel.subscribe",
        channel: "c",
        position: { epoch, seq: 1, open: [2, 1] },
      }],
      ["last", { type: "channel.subscribe", channel: "c", last: 1.5 }],
      ["all", { type: "channel.subscribe", channel: "c", all: "yes" }],
      ["all", { type: "channel.subscribe", channel: "c", all: true, last: 1 }],
      ["acks", { type: "ack", acks: [1] }],
      ["acks", { type: "ack", acks: Array(1_000).fill({}) }],
      ["upto", { type: "ack", acks: [{ channel: "c", epoch, upto: "1" }] }],
      ["ranges", { type: "ack", acks: [{ channel: "c", epoch, ranges: [1] }] }],
      ["renew", { type: "renew", renew: {} }],
      ["seq", { type: "nack", channel: "c", epoch }],
      ["type", { type: 7 as unknown as string }],
    ];
    for (const [field, frame] of wrong) {
      client.say(frame);
      await w.settle();
      const [error] = client.connection.take("error");
      assertStringIncludes(error?.message ?? "nothing", `'${field}'`, JSON.stringify(frame));
      assert(error.message.length < 200, error.message);
    }
    assertEquals((await w.hub.stats()).channels, 0);
  }),
);

// Batches and requests.

Deno.test(
  "several frames in one are answered in order, each with its request id",
  inWorld({}, async (w) => {
    const client = await w.extended("bob");
    client.connection.take("connected");
    client.say(
      { type: "ping", request_id: 1 },
      { type: "channel.publish", channel: "c", data: 1, request_id: 2 },
      { type: "channel.publish", channel: "not good", data: 1, request_id: 3 },
      { type: "?", request_id: 4 },
      { type: "ping" },
      { type: "ping", request_id: 0 },
      { type: "ping", request_id: -1 },
      { type: "ping", request_id: "x" },
    );
    await w.settle();
    const answers = client.frames.slice(1).map((frame) => {
      const { type, request_id } = frame as { type: string; request_id?: number };
      return `${type} ${request_id}`;
    });
    assertEquals(
      answers.sort(),
      [
        ...["pong 1", "channel.published 2", "error 3", "error 4"],
        ...["pong undefined", "pong 0", "pong undefined", "pong undefined"],
      ].sort(),
    );
  }),
);

Deno.test(
  "nothing of a batch counts if a part is no frame",
  inWorld({}, async (w) => {
    const client = await w.extended("bob");
    for (const part of ["1", "null", "[]", "{"]) {
      client.sayText(`[{"type":"channel.publish","channel":"c","data":1},${part}]`);
    }
    await w.settle();
    assertEquals(client.errors, numbers(1, 4).map(() => "bad_frame"));
    assertEquals((await w.hub.stats()).messages, 0);
  }),
);

Deno.test(
  "what stands behind a disconnect is not done",
  inWorld({}, async (w) => {
    const client = await w.extended("bob");
    client.say(
      { type: "channel.publish", channel: "c", data: 1 },
      { type: "disconnect" },
      { type: "channel.publish", channel: "c", data: 2 },
      { type: "channel.subscribe", channel: "c" },
    );
    await w.settle();
    assertEquals(client.closed, "normal");
    const { messages } = await w.store.read("c", 0, 10, w.clock.now());
    assertEquals(messages.map(({ payload }) => payload), ["1"]);
    assertEquals(await w.position("bob", "c"), undefined);
    client.say(ping);
    await w.settle();
    assertEquals(types(client), ["connected"]);
  }),
);

Deno.test(
  "a 'disconnect' with a mistake is answered, and disconnects nobody",
  inWorld({}, async (w) => {
    const client = await w.extended("bob");
    client.say({ type: "disconnect", forget: "yes" });
    await w.settle();
    assertEquals([client.errors, client.closed], [["bad_request"], undefined]);
  }),
);

Deno.test(
  "the fixed wire has no member that it did not ask for",
  inWorld({}, async (w) => {
    const client = await w.connect("bob");
    const channel = "c";
    const request_id = 7;
    const conversation: [frame: Said, answer: unknown][] = [
      [ping, { type: "pong" }],
      [{ type: "channel.create", channel }, { type: "channel.created", channel, ok: true }],
      [{ type: "channel.subscribe", channel }, { type: "channel.subscribed", channel, ok: true }],
      [{ type: "channel.publish", channel, data: 1 }, {
        type: "channel.published",
        channel,
        delivered: 0,
      }],
      [{ type: "channel.list" }, { type: "channel.list", channels: [channel] }],
      [{ type: "presence.heartbeat" }, { type: "presence.heartbeat_ack", ok: true }],
      [{ type: "message_ack", event_id: "x" }, { type: "ack_received", event_id: "x", ok: false }],
      [{ type: "message_nack", event_id: "x" }, {
        type: "nack_received",
        event_id: "x",
        ok: false,
      }],
      [{ type: "channel.unsubscribe", channel }, {
        type: "channel.unsubscribed",
        channel,
        ok: true,
      }],
    ];
    for (const [frame, answer] of conversation) {
      const before = client.frames.length;
      client.say({ ...frame, request_id });
      await w.settle();
      assertEquals(client.frames.slice(before), [answer] as unknown[]);
    }
  }),
);

Deno.test(
  "the fixed wire cannot start anywhere but at its position",
  inWorld({}, async (w) => {
    await w.publish("c", 1);
    const client = await w.connect("bob");
    await client.subscribe("c", { all: true, last: 5 });
    assertEquals(client.data, []);
  }),
);

Deno.test(
  "an answer that comes after the connection has gone goes nowhere",
  inWorld({}, async (w) => {
    const [lost, replaced] = [await w.extended("lost"), await w.extended("replaced")];
    const release = w.interposed.hold("append");
    for (const client of [lost, replaced]) {
      client.say({ type: "channel.publish", channel: "c", data: 1 });
    }
    await lost.drop();
    await w.extended("replaced");
    release();
    await w.settle();
    assertEquals([types(lost), types(replaced)], [["connected"], ["connected"]]);
    assertEquals((await w.hub.stats()).messages, 2);
  }),
);

for (const code of [1000, 1006]) {
  Deno.test(
    `what a client has sent counts, though it has closed with ${code} before its session is there`,
    inWorld({}, async (w) => {
      const letGo = w.interposed.hold("claim");
      const publish = (channel: string, data: number) => ({
        type: "channel.publish",
        channel,
        data,
      });
      const fixed = w.dial("ann");
      fixed.say(publish("c", 1));
      fixed.say(publish("c", 2));
      const unnamed = w.dial();
      unnamed.say(publish("d", 1));
      const extended = w.dial();
      extended.say({ ...connect, client_id: "bob", subscriptions: [{ channel: "c" }] });
      extended.say(publish("e", 1), publish("e", 2));
      await w.settle();
      for (const client of [fixed, unnamed, extended]) {
        if (code === 1000) await client.leave();
        else await client.drop();
      }
      letGo();
      await w.settle();
      const heads = ["c", "d", "e"].map((name) => w.interposed.target.read(name, 0, 9, 0));
      assertEquals((await Promise.all(heads)).map(({ head }) => head), [2, 1, 2]);
      assertEquals(w.hub.sessionCount, 0);
      const present = new Set(w.hub.presence.list(null).map(({ client_id }) => client_id));
      for (const name of ["ann", "bob"]) assertEquals(present.has(name), code !== 1000, name);
    }),
  );
}

Deno.test(
  "a client that has closed before its session was there, and comes back, has it over the newer connection",
  inWorld({}, async (w) => {
    const letGo = w.interposed.hold("claim");
    const first = w.dial("ann");
    first.say({ type: "channel.subscribe", channel: "c" });
    await w.settle();
    await first.drop();
    const second = w.dial("ann");
    second.say({ type: "channel.subscribe", channel: "d" });
    letGo();
    await w.settle();
    assertEquals(second.closed, undefined);
    await w.publish("c", 1);
    await w.publish("d", 2);
    assertEquals(second.data, [2]);
    assertEquals(w.hub.sessionCount, 1);
  }),
);

Deno.test("one that has closed while it is being found out who it is keeps nobody out, and no timer", async () => {
  const w = new World({}, TOKEN);
  const letGo = w.interposed.hold("claim");
  const { pending } = w.clock;
  const client = w.dialAsStranger();
  client.say({ ...connect, token: TOKEN });
  assertEquals([w.hub.context.limits.handshakes, w.clock.pending], [1, pending + 1]);
  await client.leave();
  assertEquals([w.hub.context.limits.handshakes, w.clock.pending], [0, pending]);
  letGo();
  await w.end();
});

Deno.test(
  "subscribing and unsubscribing in one batch is answered as if it had come one by one",
  inWorld({}, async (w) => {
    await w.publish("c", 1, 2);
    const client = await w.extended("ann");
    const about = (type: string, more = {}) => ({ type: `channel.${type}`, channel: "c", ...more });
    client.say(
      about("subscribe"),
      about("unsubscribe"),
      about("unsubscribe"),
      about("subscribe"),
      about("subscribe", { all: true }),
    );
    await w.settle();
    const answers = client.frames.flatMap((frame) =>
      frame.type === "channel.subscribed" || frame.type === "channel.unsubscribed" ? [frame.ok] : []
    );
    assertEquals(answers, [true, true, false, true, false]);
    await w.publish("c", 3);
    assertEquals(client.data, [3], "it began at the head");
  }),
);
