import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { type ClientOptions, PushError, type StateChange } from "@push/client";
import { eventReader } from "../../client/links/event_stream.ts";
import { seededRandom } from "../../server/testing/mod.ts";
import { gate, type Setup, setUp } from "./setup.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The data of all events in these chunks. */
function read(...chunks: Uint8Array[]): string[] {
  const events: string[] = [];
  const take = eventReader((data) => events.push(data));
  for (const chunk of chunks) take(chunk);
  return events;
}

/** A client whose WebSockets are refused, at a gateway with streams. */
async function streaming(options: ClientOptions = {}): Promise<Setup> {
  const setup = setUp(options);
  setup.gateway.sockets = "refused";
  setup.gateway.streams = "open";
  await setup.client.connect();
  assertEquals(setup.client.transport, "sse");
  return setup;
}

const streams: [says: string, text: string, events: string[]][] = [
  ["an event for each line of data", "data: 1\n\ndata: 2\n\n", [" 1", " 2"]],
  ["lines that end with CR LF", "data:1\r\n\r\ndata:2\r\n\r\n", ["1\r", "2\r"]],
  ["comments and other fields", ": hi\nid: 7\nevent: x\nretry: 9\ndata:1\n\n:\n\n", ["1"]],
  ["fields that only begin like data", "database: 1\n\ndata2: 2\n\n data: 3\n\n", []],
  ["no event before its line has ended", "data:1\n\ndata:2", ["1"]],
  ["a byte order mark at the beginning only", "\uFEFFdata:\uFEFF1\n\n\uFEFFdata:2\n\n", [
    "\uFEFF1",
  ]],
  ["what ends no line here", "data:a\u2028b\u2029c\u0085d\vе\f\n\n", [
    "a\u2028b\u2029c\u0085d\vе\f",
  ]],
  ["characters of one to four bytes", 'data:["aß€😀"]\n\n', ['["aß€😀"]']],
];

for (const [says, text, events] of streams) {
  Deno.test(`a stream of events has ${says}, wherever it is cut`, () => {
    const all = bytes(text);
    assertEquals(read(all), events);
    assertEquals(read(...Array.from(all, (byte) => Uint8Array.of(byte))), events);
    for (let cut = 0; cut <= all.length; cut++) {
      assertEquals(read(all.subarray(0, cut), new Uint8Array(), all.subarray(cut)), events);
    }
  });
}

Deno.test("any bytes, in any chunks, are read as if they had come at once", () => {
  const piece = fc.oneof(
    fc.constantFrom("data", ":", " ", "\r", "\n", "\r\n", "\n\n", "data: 1\n\n", "\uFEFF", "€"),
    fc.string({ unit: "binary" }),
  ).map(bytes);
  const chunks = fc.array(fc.oneof(piece, fc.uint8Array({ maxLength: 20 })));
  fc.assert(fc.property(chunks, (chunks) => {
    const all = new Uint8Array(chunks.flatMap((chunk) => [...chunk]));
    assertEquals(read(...chunks), read(all));
  }));
});

Deno.test("a line that is too large is refused", () => {
  const take = eventReader(() => {});
  const chunk = bytes("x".repeat(2 ** 20));
  take(bytes("data: "));
  for (let i = 0; i < 31; i++) assert(take(chunk));
  assertEquals(take(chunk), false);
});

Deno.test("over a stream messages come, are handled and acknowledged", async () => {
  const { client, gateway, clock } = await streaming();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1);
  await clock.advance(0);
  gateway.send(gateway.messageFrame("a", 2), gateway.messageFrame("a", 3));
  await clock.advance(200);
  assertEquals(got, ["a 1", "a 2", "a 3"]);
  assertEquals(gateway.of("ack").flatMap(({ acks }) => acks), [
    { channel: "a", epoch: "e1", ranges: [1, 3] },
  ]);
  assertEquals(await client.listChannels(), ["a", "b"]);
  assertEquals((await client.publish("a", 1)).seq, 1);
  assertEquals(gateway.opened.slice(1), ["register", "sse"]);
  await client.disconnect();
});

Deno.test("messages in the first event, and frames one by one, are handled", async () => {
  const setup = setUp({ transports: ["sse"] });
  const { client, gateway, settle } = setup;
  gateway.streams = "open";
  const got: unknown[] = [];
  const subscribing = client.subscribe("a", ({ data }) => got.push(data));
  gateway.prelude = `data: [${JSON.stringify(gateway.messageFrame("a", 1))}]\n\n`;
  await client.connect();
  await subscribing;
  gateway.write(`data: ${JSON.stringify(gateway.messageFrame("a", 2))}\n\n`);
  await settle();
  assertEquals(got, ["a 1", "a 2"]);
  await client.disconnect();
});

Deno.test("a client is not connected before the first event of its stream", async () => {
  const { client, gateway, clock } = setUp({ transports: ["sse"] });
  gateway.streams = "open";
  gateway.prelude = ": welcome\n\n";
  const connecting = client.connect();
  await clock.advance(1900);
  assertEquals(client.state, "connecting");
  gateway.write("data: []\n\n");
  await connecting;
  assertEquals(client.transport, "sse");
  await client.disconnect();
});

Deno.test("a stream that a proxy gathers is given up after 2 seconds, for the next transport", async () => {
  const { client, gateway, clock } = setUp();
  gateway.sockets = "refused";
  gateway.streams = "gathered";
  void client.connect();
  await clock.advance(1999);
  assertEquals([client.state, gateway.opened.at(-1)], ["connecting", "sse"]);
  await clock.advance(1);
  assertEquals([client.state, client.transport], ["connected", "longpoll"]);
  await client.disconnect();
});

Deno.test("with a WebSocket that hangs and a proxy that gathers a client is connected in under 5 seconds", async () => {
  const { client, gateway, clock } = setUp();
  gateway.sockets = "hanging";
  gateway.streams = "gathered";
  void client.connect();
  await clock.advance(4999);
  assertEquals([client.state, client.transport], ["connected", "longpoll"]);
  await client.disconnect();
});

for (const fate of ["absent", "bodiless"] as const) {
  Deno.test(`a stream that is ${fate} is followed by long-polling at once`, async () => {
    const { client, gateway, clock } = setUp();
    gateway.sockets = "refused";
    gateway.streams = fate;
    const before = clock.now();
    await client.connect();
    assertEquals([client.transport, clock.now() - before], ["longpoll", 0]);
    await client.disconnect();
  });
}

Deno.test("what is not a stream of this gateway is followed by long-polling", async () => {
  const answers = [
    () => new Response("<html>", { status: 200 }),
    () => new Response("<html>", { status: 502 }),
    () => new Response(null, { status: 204 }),
    () => Response.json({ messages: [] }),
    () => {
      throw new TypeError("connection reset");
    },
  ];
  for (const answer of answers) {
    const setup: Setup = setUp({
      fetch: async (url, init) =>
        url.endsWith("/sse") ? answer() : await setup.gateway.fetch(url, init),
    });
    const { client, gateway } = setup;
    gateway.sockets = "refused";
    await client.connect();
    assertEquals(client.transport, "longpoll");
    await client.disconnect();
  }
});

Deno.test("the first stream after another transport states what is there", async () => {
  const { client, gateway, clock } = setUp();
  gateway.streams = "open";
  await client.connect();
  await client.subscribe("a", () => {});
  gateway.message("a", 3);
  await clock.advance(1000);
  gateway.sockets = "refused";
  gateway.drop();
  await clock.advance(1000);
  assertEquals(client.transport, "sse");
  assertEquals(gateway.last("stream").positions, [{ channel: "a", epoch: "e1", seq: 3 }]);
  await client.disconnect();
});

Deno.test("a stream is opened again when what is under way is answered, and states new subscriptions", async () => {
  const { client, gateway, settle } = await streaming();
  const answered = gate();
  gateway.beforeSendAnswer = answered.promise;
  gateway.head = 7;
  const subscribing = client.subscribe("a", () => {});
  await settle();
  gateway.endStream();
  await settle();
  assertEquals(gateway.of("stream").length, 1);
  answered.open();
  await subscribing;
  await settle();
  assertEquals(gateway.of("stream").at(1)?.positions, [{ channel: "a", epoch: "e1", seq: 7 }]);
  await client.disconnect();
});

Deno.test("a client that sends without a break opens its stream again all the same", async () => {
  const { client, gateway, settle } = await streaming();
  const [first, second] = [gate(), gate()];
  gateway.beforeSendAnswer = first.promise;
  const published = [client.publish("a", 1)];
  await settle();
  published.push(client.publish("a", 2));
  gateway.endStream();
  gateway.beforeSendAnswer = second.promise;
  first.open();
  await settle();
  assertEquals([gateway.of("channel.publish").length, gateway.of("stream").length], [2, 2]);
  second.open();
  await Promise.all(published);
  await client.disconnect();
});

Deno.test("how each transport failed the last time is known", async () => {
  const { client, gateway, clock } = setUp();
  gateway.sockets = "refused";
  gateway.streams = "gathered";
  const connecting = client.connect();
  await clock.advance(2000);
  await connecting;
  const { failures } = await client.diagnose();
  assertEquals(Object.keys(failures).sort(), ["sse", "websocket"]);
  assertEquals(
    failures.sse,
    "connection_failed: sse: It took too long.",
  );
  await client.disconnect();
});

for (const error of [undefined, new TypeError("connection reset")]) {
  Deno.test(`a stream that ${error ? "breaks" : "ends"} is opened again at once, with what is there`, async () => {
    const { client, gateway, clock } = await streaming();
    const changes: StateChange[] = [];
    client.on("state", (change) => changes.push(change));
    const got: unknown[] = [];
    const never = gate();
    await client.subscribe("a", ({ data }) => {
      got.push(data);
      return data === "a 2" ? never.promise : undefined;
    });
    gateway.message("a", 1);
    gateway.message("a", 2);
    await clock.advance(1000);
    gateway.endStream(error);
    await clock.advance(0);
    assertEquals(gateway.of("stream").length, 2);
    assertEquals(gateway.last("stream").positions, [
      { channel: "a", epoch: "e1", seq: 2, open: [2, 2] },
    ]);
    gateway.message("a", 2, { redelivered: true });
    gateway.message("a", 3);
    never.open();
    await clock.advance(0);
    assertEquals([got, changes], [["a 1", "a 2", "a 3"], []]);
    await client.disconnect();
  });
}

Deno.test("a stream that ends again and again as soon as it has begun is not opened in a loop", async () => {
  const { client, gateway, clock } = await streaming();
  gateway.clear();
  for (let i = 0; i < 20; i++) {
    gateway.endStream();
    await clock.advance(100);
  }
  assert(gateway.of("stream").length <= 5, `${gateway.of("stream").length} streams in 2 s`);
  assertEquals(client.state, "connected");
  await client.disconnect();
});

Deno.test("a stream that is silent for 25 seconds is opened again, and whatever it says keeps it", async () => {
  const { client, gateway, clock } = await streaming();
  for (const sign of ["data: []\n\n", ": alive\n\n", "\n"]) {
    await clock.advance(24_000);
    gateway.write(sign);
  }
  await clock.advance(24_999);
  assertEquals(gateway.of("stream").length, 1);
  await clock.advance(1);
  assertEquals([gateway.of("stream").length, client.state], [2, "connected"]);
  await client.disconnect();
});

Deno.test("a stream that brings no event when it is opened again is followed by the next transport", async () => {
  const { client, gateway, clock } = await streaming();
  const changes: StateChange[] = [];
  client.on("state", (change) => changes.push(change));
  gateway.streams = "gathered";
  gateway.endStream();
  await clock.advance(2000);
  assertEquals(client.state, "reconnecting");
  await clock.advance(3000);
  assertEquals(client.transport, "longpoll");
  assertEquals(changes.map(({ state, code }) => [state, code]), [
    ["reconnecting", "connection_failed"],
    ["connected", undefined],
  ]);
  await client.disconnect();
});

Deno.test("a stream that the gateway refuses to open again ends as the code says", async () => {
  const fates: [close: number, code: string, state: string][] = [
    [4510, "replaced", "closed"],
    [4000, "going_away", "connected"],
    [4404, "unknown_session", "connected"],
  ];
  for (const [close, code, state] of fates) {
    const { client, gateway, clock } = await streaming();
    const codes: unknown[] = [];
    client.on("state", (change) => codes.push(change.code));
    gateway.drop(close);
    await clock.advance(1000);
    assertEquals([client.state, codes[0]], [state, code]);
    assertEquals(gateway.last("connect").client_id, state === "closed" ? undefined : "minted");
    await client.disconnect();
  }
});

Deno.test("events that make no sense are told, and the stream goes on", async () => {
  const { client, gateway, errors, settle } = await streaming();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  const nonsense = ["{", "7", "null", "[[1]]", '{"type":5}', "\u0000", '["\\ud800"]', ""];
  for (const data of nonsense) gateway.write(`data: ${data}\n\n`);
  gateway.write(new Uint8Array(256).map((_, i) => i), "\n\n");
  gateway.write(seededRandom(7).bytes(10_000), "\n\n");
  gateway.message("a", 1);
  await settle();
  assertEquals([got, client.state], [["a 1"], "connected"]);
  assert(errors.length >= 5 && errors.every(({ origin }) => origin === "gateway"));
  await client.disconnect();
});

Deno.test("an event that is too large ends the link", async () => {
  const { client, gateway, settle } = await streaming({ autoReconnect: false });
  gateway.write("data: ", "x".repeat(2 ** 25));
  await settle();
  await settle();
  const closed = await client.waitClosed();
  assertEquals(closed, { code: "connection_failed", reason: "An event is too large." });
});

Deno.test("disconnect() over a stream acknowledges, says goodbye and ends the stream", async () => {
  let signal: AbortSignal | null | undefined;
  const setup: Setup = setUp({
    transports: ["sse"],
    fetch: (url, init) => {
      if (url.endsWith("/sse")) signal = init.signal;
      return setup.gateway.fetch(url, init);
    },
  });
  const { client, gateway, clock } = setup;
  gateway.streams = "open";
  await client.connect();
  await client.subscribe("a", () => {});
  gateway.message("a", 1);
  await clock.advance(0);
  gateway.clear();
  await client.disconnect({ forget: true });
  assertEquals(gateway.requests.map(({ route, body }) => [route, body.frames]), [["send", [
    { type: "ack", acks: [{ channel: "a", epoch: "e1", ranges: [1, 1] }] },
    { type: "disconnect", forget: true },
  ]]]);
  assertEquals([signal?.aborted, clock.pending], [true, 0]);
});

Deno.test("disconnect() while the first event is waited for ends there", async () => {
  const { client, gateway, clock, settle } = setUp({ transports: ["sse"] });
  gateway.streams = "gathered";
  const refused = assertRejects(() => client.connect(), PushError);
  await settle();
  await client.disconnect();
  await refused;
  assertEquals([gateway.opened, clock.pending], [["register", "sse"], 0]);
});

Deno.test("a woken page receives anew, over a stream and over long-polling", async () => {
  for (const transport of ["sse", "longpoll"] as const) {
    let wake = (): void => {};
    const { client, gateway, clock } = setUp({
      transports: [transport],
      environment: { onWake: (task) => (wake = task, () => {}), onHide: () => () => {} },
    });
    gateway.streams = "open";
    await client.connect();
    await clock.advance(1000);
    gateway.clear();
    wake();
    await clock.advance(0);
    assertEquals(
      gateway.requests.map(({ route }) => route).sort(),
      [
        transport === "sse" ? "sse" : "messages",
        "send",
      ].sort(),
    );
    assertEquals(client.state, "connected");
    await client.disconnect();
  }
});

/** A client that had to fall back to long-polling, at a gateway whose streams work by now. */
async function polling(): Promise<Setup & { changes: StateChange[] }> {
  const setup = setUp();
  const { gateway, client } = setup;
  gateway.sockets = "refused";
  await client.connect();
  assertEquals(client.transport, "longpoll");
  const changes: StateChange[] = [];
  client.on("state", (change) => changes.push(change));
  return { ...setup, changes };
}

Deno.test("from long-polling a client moves up to a stream, without a new connection, and on to a WebSocket", async () => {
  const { client, gateway, clock, changes } = await polling();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1);
  gateway.streams = "open";
  gateway.opened = [];
  await clock.advance(5000);
  assertEquals(client.transport, "sse");
  assertEquals(gateway.opened, ["ws://gateway.test/ws", "sse"]);
  assertEquals(gateway.last("stream").positions, [{ channel: "a", epoch: "e1", seq: 1 }]);
  gateway.message("a", 2);
  await clock.advance(0);
  gateway.sockets = "open";
  await clock.advance(10_000);
  assertEquals(client.transport, "websocket");
  gateway.message("a", 3);
  await clock.advance(0);
  assertEquals(got, ["a 1", "a 2", "a 3"]);
  assertEquals(changes.map(({ state, transport }) => [state, transport]), [
    ["connected", "sse"],
    ["connected", "websocket"],
  ]);
  await client.disconnect();
  assertEquals(clock.pending, 0);
});

Deno.test("a look for a stream that a proxy gathers costs no connection, and polling goes on after it", async () => {
  const { client, gateway, clock, changes } = await polling();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.streams = "gathered";
  const { length } = gateway.of("connect");
  for (let looks = 1; looks <= 3; looks++) {
    while (gateway.of("stream").length < looks + 1) await clock.advance(1000);
    await clock.advance(2000);
    gateway.message("a", looks);
    await clock.advance(0);
  }
  assertEquals(got, ["a 1", "a 2", "a 3"]);
  assertEquals([client.transport, changes, gateway.of("connect").length], ["longpoll", [], length]);
  await client.disconnect();
});

Deno.test("what is subscribed and published while a stream is tried is answered", async () => {
  const { client, gateway, clock } = await polling();
  gateway.streams = "gathered";
  await clock.advance(5000);
  assertEquals(gateway.opened.at(-1), "sse");
  await client.subscribe("a", () => {});
  assertEquals((await client.publish("a", 1)).seq, 1);
  await client.disconnect();
  assertEquals(clock.pending, 0);
});

Deno.test("a WebSocket that works is not given up for a stream that may not", async () => {
  const { client, gateway, clock } = setUp({ transports: ["sse", "websocket"] });
  gateway.streams = "gathered";
  const connecting = client.connect();
  await clock.advance(2000);
  await connecting;
  assertEquals(client.transport, "websocket");
  const { length } = gateway.opened;
  await clock.advance(600_000);
  assertEquals([client.transport, gateway.opened.length], ["websocket", length]);
  await client.disconnect();
});

for (const transport of ["sse", "longpoll"] as const) {
  Deno.test(`what has come when a channel is left is not of its next subscription, whichever is read first (${transport})`, async () => {
    for (let turns = 0; turns < 20; turns++) {
      let receiving: AbortSignal | undefined | null;
      const setup = setUp({
        transports: [transport],
        fetch: (url, init) => {
          if (/messages|sse/.test(url)) receiving = init.signal;
          return setup.gateway.fetch(url, init);
        },
      });
      const { client, gateway, settle } = setup;
      gateway.streams = "open";
      await client.connect();
      await client.subscribe("a", () => {});
      await settle();
      const answer = gate();
      gateway.beforeSendAnswer = answer.promise;
      gateway.head = 5;
      void client.unsubscribe("a");
      const got: unknown[] = [];
      const subscribing = client.subscribe("a", ({ data }) => got.push(data));
      await settle();
      const before = receiving!;
      answer.open();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      // The last that the subscription that ends is sent.
      if (!before.aborted) gateway.message("a", 3);
      await subscribing;
      await settle();
      gateway.message("a", 6);
      await settle();
      assertEquals(got, ["a 6"], `after ${turns} turns`);
      await client.disconnect();
    }
  });
}
