import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError, type StateChange } from "@push/client";
import { connected, gate, type Setup, setUp } from "./setup.ts";

/** A client that had to fall back to long-polling. */
async function polling(options: Parameters<typeof setUp>[0] = {}): Promise<Setup> {
  const setup = setUp(options);
  setup.gateway.sockets = "refused";
  await setup.client.connect();
  assertEquals(setup.client.transport, "longpoll");
  return setup;
}

for (const fate of ["refused", "blocked"] as const) {
  Deno.test(`a WebSocket that is ${fate} is followed by the others at once`, async () => {
    const { client, gateway, clock } = setUp();
    gateway.sockets = fate;
    const before = clock.now();
    await client.connect();
    assertEquals([client.transport, clock.now() - before], ["longpoll", 0]);
    assertEquals(gateway.opened, ["ws://gateway.test/ws", "register", "sse", "register"]);
    await client.disconnect();
  });
}

Deno.test("a WebSocket that neither opens nor fails is followed by the others after connectTimeout", async () => {
  for (const connectTimeout of [undefined, 1.5]) {
    const { client, gateway, clock } = setUp({ connectTimeout });
    gateway.sockets = "hanging";
    void client.connect();
    await clock.advance(1000 * (connectTimeout ?? 2.5) - 1);
    assertEquals([client.state, gateway.opened.length], ["connecting", 1]);
    await clock.advance(1);
    assertEquals([client.state, client.transport], ["connected", "longpoll"]);
    await client.disconnect();
  }
});

Deno.test("a WebSocket that opens and then says nothing is followed by the others too", async () => {
  const { client, gateway, clock } = setUp();
  gateway.answers.connect = (frame, connection) => {
    if (connection.transport === "websocket") return undefined;
    gateway.current = connection;
    return gateway.connected(frame);
  };
  void client.connect();
  await clock.advance(2500);
  assertEquals([client.state, client.transport], ["connected", "longpoll"]);
  assertEquals(gateway.of("connect").map(({ attempt }) => attempt), [1, 2, 3]);
  await client.disconnect();
});

Deno.test("with fallbackToPolling false only WebSockets are tried", async () => {
  const { client, gateway, clock } = setUp({ fallbackToPolling: false });
  gateway.sockets = "refused";
  void client.connect().catch(() => {});
  await clock.advance(60_000);
  assertEquals(client.state, "connecting");
  assert(gateway.opened.every((how) => how.startsWith("ws:")));
  await client.disconnect();
});

Deno.test("transports names the order, and may leave one out", async () => {
  const { client, gateway } = setUp({ transports: ["longpoll"] });
  await client.connect();
  assertEquals([client.transport, gateway.opened], ["longpoll", ["register"]]);
  await client.disconnect();
});

Deno.test("where there is no WebSocket at all the client polls", async () => {
  const real = globalThis.WebSocket;
  try {
    Reflect.deleteProperty(globalThis, "WebSocket");
    const { client, gateway } = setUp({ WebSocket: undefined });
    await client.connect();
    assertEquals(client.transport, "longpoll");
    assertEquals(gateway.opened, ["register", "sse", "register"]);
    await client.disconnect();
  } finally {
    Object.defineProperty(globalThis, "WebSocket", {
      value: real,
      configurable: true,
      writable: true,
      enumerable: false,
    });
  }
});

Deno.test("an address of HTTP, and one with a path, name both transports' places", async () => {
  const places: [url: string, socket: string, http: string, apiUrl?: string | URL][] = [
    ["http://h:1", "ws://h:1/ws", "http://h:1/api/push/poll/register"],
    ["https://h/gw/", "wss://h/gw/ws", "https://h/gw/api/push/poll/register"],
    ["https://h/gw/ws", "wss://h/gw/ws", "https://h/gw/api/push/poll/register"],
    ["wss://h/gw/ws?x=1#y", "wss://h/gw/ws?x=1", "https://h/gw/api/push/poll/register"],
    ["ws://h/custom", "ws://h/custom", "http://h/api/push/poll/register"],
    ["ws://h/gw/ws", "ws://h/gw/ws", "http://h/api/push/poll/register", "http://h"],
    ["ws://h/ws", "ws://h/ws", "https://api/gw/api/push/poll/register", new URL("https://api/gw/")],
  ];
  for (const [url, socket, http, apiUrl] of places) {
    const { PushClient } = await import("@push/client");
    const { gateway, clock } = setUp();
    gateway.sockets = "refused";
    const asked: string[] = [];
    const client = new PushClient(url, {
      WebSocket: gateway.WebSocket,
      fetch: (input, init) => {
        asked.push(input);
        return gateway.fetch(input.replace("/gw/", "/"), init);
      },
      apiUrl,
      clock,
    });
    await client.connect();
    assertEquals([gateway.opened[0], asked[0]], [socket, http]);
    await client.disconnect();
  }
});

Deno.test("over long-polling messages come, are handled and acknowledged", async () => {
  const { client, gateway, clock } = await polling();
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
  await client.disconnect();
});

Deno.test("each poll states what is there and what is open", async () => {
  const { client, gateway, clock } = await polling();
  const handled = gate();
  const never = gate();
  await client.subscribe("a", ({ data }) => data === "a 3" ? handled.promise : never.promise);
  gateway.message("a", 3);
  await clock.advance(0);
  assertEquals(gateway.last("poll").positions, [
    { channel: "a", epoch: "e1", seq: 3, open: [3, 3] },
  ]);
  handled.open();
  await clock.advance(1000);
  gateway.message("a", 5);
  await clock.advance(0);
  assertEquals(gateway.last("poll").positions, [
    { channel: "a", epoch: "e1", seq: 5, open: [5, 5] },
  ]);
  await client.disconnect();
});

Deno.test("messages that overtake the answer to subscribe are handled", async () => {
  const { client, gateway, clock } = await polling();
  const answered = gate();
  gateway.beforeSendAnswer = answered.promise;
  const got: unknown[] = [];
  client.on("gap", ({ seq }) => got.push(seq));
  const subscribing = client.subscribe("a", ({ data }) => got.push(data));
  await clock.advance(0);
  gateway.message("a", 1);
  gateway.send({ type: "channel.gap", channel: "a", epoch: "e1", seq: 5, reason: "retention" });
  await clock.advance(0);
  assertEquals(got, []);
  answered.open();
  await subscribing;
  await clock.advance(0);
  assertEquals(got, [5, "a 1"]);
  await client.disconnect();
});

Deno.test("one send is under way at a time, and takes all that gathered meanwhile", async () => {
  const { client, gateway, clock } = await polling();
  gateway.clear();
  const all = [client.publish("a", 1), client.publish("a", 2)];
  await Promise.resolve();
  await Promise.resolve();
  all.push(client.publish("a", 3));
  await Promise.resolve();
  all.push(client.publish("a", 4));
  await clock.advance(0);
  await Promise.all(all);
  const sends = gateway.requests.filter(({ route }) => route === "send");
  assertEquals(sends.map(({ body }) => body.frames.map(({ data }: { data: number }) => data)), [
    [1, 2],
    [3, 4],
  ]);
  await client.disconnect();
});

Deno.test("a send whose answer is lost is sent again as it was", async () => {
  const { client, gateway, clock } = await polling();
  gateway.clear();
  gateway.http = "lost";
  const published = client.publish("a", 1);
  await clock.advance(0);
  gateway.http = "answered";
  await clock.advance(1000);
  await published;
  const sends = gateway.requests.filter(({ route }) => route === "send");
  assertEquals(sends.length, 2);
  assertEquals(sends[0], sends[1]);
  assertEquals(client.state, "connected");
  await client.disconnect();
});

Deno.test("a poll that fails is tried again, and the third failure in a row means reconnect", async () => {
  const { client, gateway, clock } = await polling();
  const changes: StateChange[] = [];
  client.on("state", (change) => changes.push(change));
  gateway.send({ type: "pong" });
  gateway.http = "refused";
  await clock.advance(1249);
  assertEquals(changes, []);
  await clock.advance(1);
  assertEquals(changes.map(({ state, code }) => [state, code]), [
    ["reconnecting", "connection_failed"],
  ]);
  gateway.http = "answered";
  await clock.advance(1000);
  assertEquals(client.state, "connected");
  await client.disconnect();
});

Deno.test("a poll that is never answered is given up", async () => {
  const { client, gateway, clock } = await polling({ heartbeatInterval: 1000 });
  gateway.answers["presence.heartbeat"] = () => undefined;
  gateway.send({ type: "pong" });
  gateway.http = "hanging";
  await clock.advance(0);
  await clock.advance(60_000);
  assertEquals(client.state === "connected", false);
  await client.disconnect();
});

Deno.test("an unknown poll token brings the client back with its name and positions", async () => {
  const { client, gateway, clock } = await polling();
  await client.subscribe("a", () => {});
  gateway.message("a", 4);
  await clock.advance(1000);
  gateway.drop(4404);
  await clock.advance(1000);
  const { client_id, secret, attempt, subscriptions } = gateway.last("connect");
  assertEquals({ client_id, secret, attempt, subscriptions }, {
    client_id: "minted",
    secret: "s3cret",
    attempt: 3,
    subscriptions: [{ channel: "a", position: { epoch: "e1", seq: 4 } }],
  });
  assertEquals(client.state, "connected");
  await client.disconnect();
});

Deno.test("a poller whose session was taken over stays away", async () => {
  const { client, gateway, settle } = await polling();
  gateway.drop(4510);
  await settle();
  assertEquals((await client.waitClosed()).code, "replaced");
});

Deno.test("a refusal of register rejects connect(), and a gateway without polling does not", async () => {
  const { client, gateway, clock } = setUp();
  gateway.sockets = "refused";
  gateway.answers.connect = () => ({ type: "error", code: "token_invalid", message: "" });
  assertEquals((await assertRejects(() => client.connect(), PushError)).code, "token_invalid");
  for (const code of ["not_found", "method_not_allowed"]) {
    gateway.answers.connect = () => ({ type: "error", code, message: "" });
    const connecting = client.connect();
    await clock.advance(10_000);
    assertEquals(client.state, "connecting");
    delete gateway.answers.connect;
    gateway.sockets = "open";
    await clock.advance(30_000);
    await connecting;
    assertEquals(client.transport, "websocket");
    await client.disconnect();
    gateway.sockets = "refused";
  }
});

Deno.test("the answer of a proxy to register is no gateway", async () => {
  for (
    const answer of [
      () => new Response("<html>", { status: 502 }),
      () => new Response("<html>", { status: 200 }),
      () => Response.json({ ok: true }),
      () => Response.json({ poll_token: "x", connected: 7 }),
      () => new Response(null, { status: 404 }),
    ]
  ) {
    const { client } = setUp({
      autoReconnect: false,
      transports: ["longpoll"],
      fetch: () => Promise.resolve(answer()),
    });
    const error = await assertRejects(() => client.connect(), PushError);
    assertEquals(error.code, "connection_failed");
  }
});

Deno.test("requests refuse redirects and carry no token in their address", async () => {
  const asked: [string, RequestInit][] = [];
  const { client } = setUp({
    authToken: "secret",
    autoReconnect: false,
    transports: ["longpoll"],
    fetch: (url, init) => {
      asked.push([url, init]);
      return Promise.reject(new TypeError("redirected"));
    },
  });
  await assertRejects(() => client.connect(), PushError);
  const [url, init] = asked[0];
  assertEquals([url.includes("secret"), init.redirect, init.method], [false, "error", "POST"]);
});

Deno.test("an empty answer that comes too soon does not make the client poll in a loop", async () => {
  const { client, gateway, clock } = await polling();
  gateway.clear();
  for (let i = 0; i < 20; i++) {
    gateway.current!.send([]);
    await clock.advance(100);
  }
  assert(gateway.of("poll").length <= 5, `${gateway.of("poll").length} polls in 2 s`);
  await client.disconnect();
});

Deno.test("disconnect() over long-polling acknowledges, says goodbye and polls no more", async () => {
  const { client, gateway, clock } = await polling();
  await client.subscribe("a", () => {});
  gateway.message("a", 1);
  await clock.advance(0);
  gateway.clear();
  await client.disconnect({ forget: true });
  const sends = gateway.requests.filter(({ route }) => route === "send");
  assertEquals(sends.map(({ body }) => body.frames), [[
    { type: "ack", acks: [{ channel: "a", epoch: "e1", ranges: [1, 1] }] },
    { type: "disconnect", forget: true },
  ]]);
  assertEquals(clock.pending, 0);
});

Deno.test("disconnect() over long-polling ends after 2 seconds where nothing answers", async () => {
  const { client, gateway, clock } = await polling();
  gateway.http = "hanging";
  let isDone = false;
  const left = client.disconnect().then(() => isDone = true);
  await clock.advance(1999);
  assertEquals(isDone, false);
  await clock.advance(1);
  await left;
  assertEquals(clock.pending, 0);
});

Deno.test("while polling the client looks for a WebSocket, after 5 s and then less and less often", async () => {
  const { client, gateway, clock } = await polling({ random: (n) => new Uint8Array(n).fill(255) });
  const looks: number[] = [];
  const start = clock.now();
  for (let second = 0; second < 400; second++) {
    const before = gateway.opened.length;
    await clock.advance(1000);
    if (gateway.opened.slice(before).some((how) => how.startsWith("ws:"))) {
      looks.push(Math.round((clock.now() - start) / 1000));
    }
  }
  assertEquals(looks, [5, 15, 35, 75, 135, 195, 255, 315, 375]);
  assertEquals(client.transport, "longpoll");
  await client.disconnect();
});

Deno.test("a WebSocket that works again takes the session over, with what is there and a higher attempt", async () => {
  const { client, gateway, clock } = await polling();
  const changes: StateChange[] = [];
  client.on("state", (change) => changes.push(change));
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.message("a", 1);
  await clock.advance(0);
  gateway.sockets = "open";
  await clock.advance(5000);
  assertEquals([client.state, client.transport], ["connected", "websocket"]);
  const { attempt, subscriptions } = gateway.last("connect");
  assertEquals([attempt, subscriptions], [3, [
    { channel: "a", position: { epoch: "e1", seq: 1 } },
  ]]);
  gateway.message("a", 1, { redelivered: true });
  gateway.message("a", 2);
  await clock.advance(0);
  assertEquals(got, ["a 1", "a 2"]);
  assertEquals(changes.map(({ state, transport }) => [state, transport]), [
    ["connected", "websocket"],
  ]);
  const polls = gateway.of("poll").length;
  await clock.advance(60_000);
  assertEquals(gateway.of("poll").length, polls);
  await client.disconnect();
});

Deno.test("what is published while the session moves is stored once and in order", async () => {
  const { client, gateway, clock } = await polling();
  gateway.answers["channel.publish"] = (_, { transport }) =>
    transport === "http" ? undefined : {
      type: "channel.published",
      channel: "a",
      delivered: 0,
      event_id: "e1:1:a",
      epoch: "e1",
      seq: 1,
    };
  gateway.sockets = "open";
  const first = client.publish("a", 1);
  await clock.advance(5000);
  await first;
  const [one, again] = gateway.of("channel.publish");
  assertEquals(one, again);
  await client.disconnect();
});

Deno.test("a look for a WebSocket that opens and is not accepted costs a reconnect, and nothing else", async () => {
  const { client, gateway, clock } = await polling();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  gateway.answers.connect = (frame, connection) => {
    if (connection.transport === "websocket") {
      return { type: "error", code: "internal", message: "" };
    }
    gateway.current = connection;
    return gateway.connected(frame);
  };
  gateway.sockets = "open";
  await clock.advance(6000);
  assertEquals([client.state, client.transport], ["connected", "longpoll"]);
  gateway.message("a", 1);
  await clock.advance(0);
  assertEquals(got, ["a 1"]);
  await client.disconnect();
});

Deno.test("WebSockets that open and are never answered are looked for less and less often", async () => {
  const { client, gateway, clock } = await polling({ random: (n) => new Uint8Array(n).fill(255) });
  gateway.answers.connect = (frame, connection) => {
    if (connection.transport === "websocket") return undefined;
    gateway.current = connection;
    return gateway.connected(frame);
  };
  gateway.sockets = "open";
  const losses: number[] = [];
  const start = clock.now();
  client.on("state", ({ state }) => {
    if (state === "reconnecting") losses.push(Math.round((clock.now() - start) / 60_000));
  });
  await clock.advance(600_000);
  assertEquals(client.transport, "longpoll");
  const late = losses.filter((minute) => minute > 3);
  assert(late.length >= 4 && late.length <= 7, `${late.length} in 7 minutes`);
  await client.disconnect();
});

Deno.test("after long-polling was lost it is tried first, and the WebSocket after it", async () => {
  const { client, gateway, clock } = await polling();
  gateway.opened = [];
  gateway.drop(4000);
  await clock.advance(500);
  assertEquals([gateway.opened, client.transport], [["register"], "longpoll"]);
  await client.disconnect();
});

Deno.test("a lost WebSocket that does not come back is followed by long-polling", async () => {
  const { client, gateway, clock } = await connected();
  gateway.sockets = "refused";
  gateway.drop();
  await clock.advance(500);
  assertEquals(client.transport, "longpoll");
  await client.disconnect();
});

Deno.test("a WebSocket that cannot even be made is followed by long-polling", async () => {
  class Forbidden {
    constructor() {
      throw new DOMException("an unsafe socket from a safe page", "SecurityError");
    }
  }
  const { client } = setUp({ WebSocket: Forbidden as unknown as typeof WebSocket });
  await client.connect();
  assertEquals(client.transport, "longpoll");
  await client.disconnect();
});

Deno.test("a poll waits as long as the gateway's hint says, a minute at most", async () => {
  for (const [hint, seconds] of [[3, 3], [1e9, 60], ["soon", 0], [-1, 0]]) {
    const setup: Setup = setUp({
      transports: ["longpoll"],
      heartbeatInterval: 30,
      fetch: async (url, init) => {
        const response = await setup.gateway.fetch(url, init);
        if (!url.endsWith("/messages")) return response;
        return Response.json({ ...await response.json(), poll_interval_hint: hint });
      },
    });
    const { client, gateway, clock } = setup;
    await client.connect();
    await clock.advance(0);
    gateway.send({ type: "pong" });
    await clock.advance(0);
    if (seconds !== 0) {
      assertEquals(gateway.of("poll").length, 1);
      await clock.advance(1000 * Number(seconds) - 1);
      assertEquals(gateway.of("poll").length, 1);
      await clock.advance(1);
    }
    assertEquals(gateway.of("poll").length, 2);
    await client.disconnect();
  }
});

Deno.test("disconnect() while the client registers ends there", async () => {
  const { client, gateway, clock, settle } = setUp({ transports: ["longpoll"] });
  gateway.http = "hanging";
  const refused = assertRejects(() => client.connect(), PushError);
  await settle();
  await client.disconnect();
  await refused;
  assertEquals([gateway.requests.map(({ route }) => route), clock.pending], [["register"], 0]);
});

Deno.test("a goodbye that cannot be said is followed by unregister", async () => {
  const setup = setUp({
    transports: ["longpoll"],
    fetch: (url, init) =>
      url.endsWith("/send")
        ? Promise.reject(new TypeError("connection reset"))
        : setup.gateway.fetch(url, init),
  });
  const { client, gateway } = setup;
  await client.connect();
  await client.disconnect();
  assertEquals(gateway.requests.at(-1)?.route, "unregister");
});
