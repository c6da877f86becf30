import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { PushError, type StateChange } from "@push/client";
import { connected, gate, setUp } from "./setup.ts";

Deno.test("connect() says who it is in the first frame, and nothing in the address", async () => {
  const { client, gateway } = setUp({ authToken: "t", clientId: "me", sessionTtl: 5 });
  await client.connect();
  assertEquals(gateway.opened, ["ws://gateway.test/ws"]);
  assertEquals(gateway.heard[0], {
    type: "connect",
    version: 1,
    token: "t",
    client_id: "me",
    instance: "80".repeat(16),
    attempt: 1,
    session_ttl: 5,
    subscriptions: [],
  });
  assertEquals(
    [client.isConnected, client.state, client.transport, client.clientId, client.supportsPublish],
    [true, "connected", "websocket", "me", true],
  );
  await client.disconnect();
});

Deno.test("connect() is idempotent", async () => {
  const { client, gateway } = setUp();
  await Promise.all([client.connect(), client.connect()]);
  await client.connect();
  assertEquals(gateway.of("connect").length, 1);
  await client.disconnect();
});

Deno.test("a client without a name takes the minted one, and comes back with it and its secret", async () => {
  const { client, gateway, clock } = await connected();
  assertEquals(client.clientId, "minted");
  gateway.drop();
  await clock.advance(500);
  const { client_id, secret, attempt } = gateway.last("connect");
  assertEquals({ client_id, secret, attempt }, {
    client_id: "minted",
    secret: "s3cret",
    attempt: 2,
  });
  await client.disconnect();
});

for (const code of ["unknown_session", "bad_secret"]) {
  Deno.test(`a minted name answered with ${code} is given up for a new one`, async () => {
    const { client, gateway, clock } = await connected();
    gateway.answers.connect = (frame) =>
      frame.secret === undefined
        ? gateway.connected({ ...frame, client_id: "new" })
        : { type: "error", code, message: "" };
    gateway.drop();
    await clock.advance(2000);
    assertEquals([client.state, client.clientId], ["connected", "new"]);
    assertEquals(gateway.last("connect").client_id, undefined);
    await client.disconnect();
  });
}

Deno.test("a given name answered with bad_secret closes the client", async () => {
  const { client, gateway } = setUp({ clientId: "me" });
  gateway.answers.connect = () => ({ type: "error", code: "bad_secret", message: "no" });
  const error = await assertRejects(() => client.connect(), PushError, "no");
  assertEquals(error.code, "bad_secret");
  assertEquals(client.state, "closed");
});

Deno.test("connect() rejects with a code that says to stay away, told by a frame or by a close", async () => {
  for (const byFrame of [true, false]) {
    const { client, gateway } = setUp();
    gateway.answers.connect = (_, connection) => {
      if (byFrame) return { type: "error", code: "token_invalid", message: "no" };
      connection.close(4501, "no");
    };
    const error = await assertRejects(() => client.connect(), PushError, "no");
    assertEquals([error.code, error.retry], ["token_invalid", false]);
  }
});

Deno.test("a connection closed with a code to stay away closes the client, and tells why", async () => {
  const { client, gateway, settle } = await connected();
  const closed = client.waitClosed();
  gateway.drop(4510, "another one came");
  await settle();
  assertEquals(await closed, { code: "replaced", reason: "another one came" });
  assertEquals(await client.waitClosed(), { code: "replaced", reason: "another one came" });
  assertEquals([client.state, client.isConnected, client.transport], ["closed", false, undefined]);
});

Deno.test("a connection closed with any other code is opened again after a random wait", async () => {
  for (const close of [1000, 1001, 1006, 1011, 1012, 3000, 4000, 4008, 4404, 4444]) {
    const { client, gateway, clock } = await connected();
    gateway.drop(close);
    await clock.advance(250);
    assertEquals(client.state, "reconnecting", `${close}`);
    await clock.advance(2);
    assertEquals(client.state, "connected", `${close}`);
    await client.disconnect();
  }
});

Deno.test("a close code of 4500 to 4999 that nobody knows means stay away", async () => {
  const { client, gateway, settle } = await connected();
  gateway.drop(4987, "who knows");
  await settle();
  assertEquals(
    (await client.waitClosed()).reason,
    "Closed with 4987: who knows",
  );
});

Deno.test("the state event tells each state, the one before, and why", async () => {
  const { client, gateway, clock } = setUp();
  const changes: StateChange[] = [];
  client.on("state", (change) => changes.push(change));
  await client.connect();
  gateway.drop(4000, "deploying");
  await clock.advance(500);
  await client.disconnect();
  assertEquals(
    changes.map(({ state, previous, code, transport }) => [state, previous, code, transport]),
    [
      ["connecting", "idle", undefined, undefined],
      ["connected", "connecting", undefined, "websocket"],
      ["reconnecting", "connected", "going_away", undefined],
      ["connected", "reconnecting", undefined, "websocket"],
      ["closed", "connected", "disconnected", undefined],
    ],
  );
  assertEquals(changes[2].reason, "deploying");
});

Deno.test("with autoReconnect false a failed connect() rejects, and a lost connection closes", async () => {
  const { client, gateway, settle } = setUp({ autoReconnect: false });
  gateway.sockets = "refused";
  gateway.http = "refused";
  const error = await assertRejects(() => client.connect(), PushError);
  assertEquals(error.code, "connection_failed");
  gateway.sockets = "open";
  await client.connect();
  gateway.drop();
  await settle();
  assertEquals(client.state, "closed");
});

Deno.test("connect() goes on trying until it succeeds", async () => {
  const { client, gateway, clock } = setUp();
  gateway.sockets = "refused";
  gateway.http = "refused";
  const connecting = client.connect();
  await clock.advance(60_000);
  assertEquals(client.state, "connecting");
  gateway.sockets = "open";
  await clock.advance(20_000);
  await connecting;
  assertEquals(client.state, "connected");
  await client.disconnect();
});

Deno.test("connect() given up by its signal closes the client, unless somebody else waits", async () => {
  const { client, gateway, settle } = setUp();
  gateway.sockets = "hanging";
  const first = new AbortController();
  const second = new AbortController();
  const a = client.connect({ signal: first.signal });
  const b = client.connect({ signal: second.signal });
  first.abort(new Error("one"));
  await assertRejects(() => a, Error, "one");
  assertEquals(client.state, "connecting");
  second.abort(new Error("two"));
  await assertRejects(() => b, Error, "two");
  await settle();
  assertEquals(client.state, "closed");
});

Deno.test("an aborted signal keeps connect() and waitClosed() from beginning", async () => {
  const { client, gateway } = setUp();
  const signal = AbortSignal.abort(new Error("no"));
  await assertRejects(() => client.connect({ signal }), Error, "no");
  await assertRejects(() => client.waitClosed({ signal }), Error, "no");
  assertEquals([client.state, gateway.opened.length], ["idle", 0]);
});

Deno.test("authToken as a function is asked once, and again when the token has expired", async () => {
  let asked = 0;
  const { client, gateway, clock } = setUp({
    authToken: () => Promise.resolve(`token ${++asked}`),
  });
  await client.connect();
  gateway.drop();
  await clock.advance(500);
  assertEquals(gateway.of("connect").map(({ token }) => token), ["token 1", "token 1"]);
  gateway.drop(4401);
  await clock.advance(1000);
  assertEquals(gateway.last("connect").token, "token 2");
  gateway.answers.connect = (frame) => {
    if (frame.token !== "token 2") delete gateway.answers.connect;
    return frame.token === "token 2"
      ? { type: "error", code: "token_expired", message: "" }
      : gateway.connected(frame);
  };
  gateway.drop();
  await clock.advance(5000);
  assertEquals([client.state, gateway.last("connect").token], ["connected", "token 3"]);
  await client.disconnect();
});

Deno.test("a fixed token that has expired closes the client", async () => {
  const { client, gateway, settle } = await connected({ authToken: "old" });
  gateway.drop(4401, "expired");
  await settle();
  assertEquals(await client.waitClosed(), { code: "token_expired", reason: "expired" });
});

Deno.test("a token function that throws is told, and asked again after a wait", async () => {
  let asked = 0;
  const { client, clock, errors } = setUp({
    authToken: () => {
      if (++asked < 3) throw new Error("login is down");
      return "t";
    },
  });
  const connecting = client.connect();
  await clock.advance(3000);
  await connecting;
  assertEquals(errors.map(({ origin, error }) => [origin, String(error)]), [
    ["token", "Error: login is down"],
    ["token", "Error: login is down"],
  ]);
  await client.disconnect();
});

Deno.test("a token function that never answers, or answers nonsense, does not hold up connect()", async () => {
  for (const authToken of [() => new Promise<string>(() => {}), () => 5 as unknown as string]) {
    const { client, clock } = setUp({ authToken, autoReconnect: false });
    const refused = assertRejects(() => client.connect(), PushError, "authToken");
    await clock.advance(10_000);
    await refused;
  }
});

Deno.test("disconnect() while a token is asked for that never comes leaves no timer, and nothing to tell", async () => {
  for (const isConnected of [false, true]) {
    let asked = 0;
    const never = new Promise<string>(() => {});
    const { client, gateway, clock, errors } = setUp({
      authToken: () => isConnected && asked++ === 0 ? "first" : never,
    });
    gateway.terms = { token_expires_in: 10 };
    const connecting = client.connect().catch(() => {});
    await clock.advance(9500);
    await client.disconnect();
    assertEquals([client.state, clock.pending], ["closed", 0]);
    await connecting;
    assertEquals(errors, []);
  }
});

Deno.test("disconnect() while a token is asked for ends there", async () => {
  const token = gate<string>();
  const { client, gateway, settle } = setUp({ authToken: () => token.promise });
  const refused = assertRejects(() => client.connect(), PushError);
  await client.disconnect();
  token.open("late");
  await settle();
  await refused;
  assertEquals(gateway.opened, []);
});

Deno.test("disconnect() says goodbye, closes with 1000 and is idempotent", async () => {
  const { client, gateway } = await connected();
  await Promise.all([client.disconnect(), client.disconnect()]);
  await client.disconnect();
  assertEquals(gateway.of("disconnect"), [{ type: "disconnect" }]);
  assertEquals(await client.waitClosed(), {
    code: "disconnected",
    reason: "disconnect() was called.",
  });
});

Deno.test("disconnect({ forget: true }) says so", async () => {
  const { client, gateway } = await connected({ clientId: "me" });
  await client.disconnect({ forget: true });
  assertEquals(gateway.of("disconnect"), [{ type: "disconnect", forget: true }]);
});

Deno.test("disconnect() waits 2 seconds at most for the other side", async () => {
  const { client, gateway, clock } = setUp();
  gateway.stubborn = true;
  await client.connect();
  let isDone = false;
  const left = client.disconnect().then(() => isDone = true);
  await clock.advance(1999);
  assertEquals(isDone, false);
  await clock.advance(1);
  await left;
});

Deno.test("await using disconnects", async () => {
  const { gateway, client } = setUp();
  {
    await using using = client;
    await using.connect();
  }
  assertEquals([client.state, gateway.of("disconnect").length], ["closed", 1]);
});

Deno.test("a closed client can be connected again, and asks for a new token", async () => {
  let asked = 0;
  const { client, gateway } = setUp({ authToken: () => `token ${++asked}` });
  await client.connect();
  await client.disconnect();
  await client.connect();
  assertEquals([client.state, gateway.last("connect").token], ["connected", "token 2"]);
  await client.disconnect();
});

Deno.test("nothing is left running after disconnect(), whatever the state", async () => {
  for (const state of ["idle", "connecting", "connected", "reconnecting", "fallback"]) {
    const { client, gateway, clock, settle } = setUp();
    if (state === "connecting") gateway.sockets = "hanging";
    if (state === "fallback") gateway.sockets = "refused";
    const connecting = state === "idle" ? undefined : client.connect();
    connecting?.catch(() => {});
    await settle();
    if (state === "reconnecting") gateway.drop();
    await settle();
    await client.disconnect();
    assertEquals(clock.pending, 0, state);
  }
});

Deno.test("heartbeats carry the last status, as often as the gateway asks", async () => {
  const { client, gateway, clock } = await connected();
  await client.setStatus("busy", { task: 7 });
  gateway.clear();
  await clock.advance(30_000);
  assertEquals(gateway.of("presence.heartbeat"), [
    { type: "presence.heartbeat", status: "busy", metadata: { task: 7 } },
    { type: "presence.heartbeat", status: "busy", metadata: { task: 7 } },
  ]);
  gateway.clear();
  gateway.drop();
  await clock.advance(500);
  assertEquals(gateway.last("presence.heartbeat").status, "busy");
  await client.disconnect();
});

Deno.test("heartbeats do not repeat a status that was refused", async () => {
  const { client, gateway, clock } = await connected();
  await client.setStatus("busy");
  const message = "too large";
  gateway.answers["presence.heartbeat"] = () => ({ type: "error", code: "bad_request", message });
  await assertRejects(() => client.setStatus("away", { text: "x" }), PushError, message);
  delete gateway.answers["presence.heartbeat"];
  await clock.advance(15_000);
  assertEquals(gateway.last("presence.heartbeat").status, "busy");
  await client.disconnect();
});

Deno.test("without presence the client pings every 25 seconds", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.heartbeat_interval = 0;
  await client.connect();
  await clock.advance(50_000);
  assertEquals(gateway.of("ping").length, 2);
  await client.disconnect();
});

Deno.test("a gateway that asks for a beat at every moment gets the usual ones", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.heartbeat_interval = 1e-6;
  await client.connect();
  await clock.advance(30_000);
  assertEquals(gateway.of("presence.heartbeat").length, 2);
  await client.disconnect();
});

Deno.test("heartbeatInterval makes the beats more frequent, never rarer", async () => {
  for (const [heartbeatInterval, beats] of [[5, 6], [100, 2]]) {
    const { client, gateway, clock } = await connected({ heartbeatInterval });
    await clock.advance(30_000);
    assertEquals(gateway.of("presence.heartbeat").length, beats);
    await client.disconnect();
  }
});

Deno.test("a connection that is silent for 10 s beyond the interval is given up without its close", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["presence.heartbeat"] = () => undefined;
  await clock.advance(24_999);
  assertEquals(client.state, "connected");
  // It is measured in fifths.
  await clock.advance(5001);
  assertEquals(client.state, "reconnecting");
  await clock.advance(500);
  assertEquals([client.state, gateway.of("connect").length], ["connected", 2]);
  await client.disconnect();
});

Deno.test("a gateway that asks for rare beats, and says nothing else, is not given up", async () => {
  const { client, gateway, clock } = setUp();
  gateway.terms.heartbeat_interval = 60;
  await client.connect();
  await clock.advance(3_600_000);
  assertEquals([client.state, gateway.of("connect").length], ["connected", 1]);
  await client.disconnect();
});

Deno.test("any frame is a sign of life", async () => {
  const { client, gateway, clock } = await connected();
  gateway.answers["presence.heartbeat"] = () => undefined;
  for (let i = 0; i < 10; i++) {
    await clock.advance(20_000);
    gateway.send({ type: "pong" });
    await clock.advance(0);
  }
  assertEquals([client.state, gateway.of("connect").length], ["connected", 1]);
  await client.disconnect();
});

Deno.test("a listener of state that throws, or disconnects, disturbs nothing", async () => {
  const { client, errors } = setUp();
  client.on("state", () => {
    throw new Error("mine");
  });
  client.on("state", ({ state }) => {
    if (state === "connected") void client.disconnect();
  });
  await client.connect();
  await client.waitClosed();
  assertStrictEquals(client.state, "closed");
  assertEquals(errors.map(({ origin }) => origin), ["listener", "listener", "listener"]);
});

for (const transport of ["websocket", "sse", "longpoll"] as const) {
  Deno.test(`a listener that disconnects while the client comes back over ${transport} is obeyed`, async () => {
    const { client, gateway, clock } = setUp({ transports: [transport] });
    gateway.streams = "open";
    await client.connect();
    await client.subscribe("a");
    gateway.answers.connect = (frame, connection) => {
      gateway.current = connection;
      const refused = { type: "error", code: "forbidden", channel: "a" };
      return { ...gateway.connected(frame), subscriptions: [refused] };
    };
    client.on("error", () => void client.disconnect());
    const states: string[] = [];
    client.on("state", ({ state }) => states.push(state));
    gateway.drop();
    await clock.advance(60_000);
    assertEquals([states, clock.pending], [["reconnecting", "closed"], 0]);
  });
}
