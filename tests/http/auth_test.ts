import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import type { GatewayOptions, GatewayParts } from "../../mod.ts";
import { type Claims, seconds, signWith } from "../access/issuer.ts";
import { EventReader } from "../support/event_reader.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { until, within } from "../support/within.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const SECRET = "a-secret-of-thirty-two-characters";

interface Guarded extends Served {
  readonly clock: SocketClock;
  /** A token of a subject that ends so many seconds from now. */
  token(sub: string, left: number, more?: Claims): Promise<string>;
}

/** A gateway that takes signed tokens, and one that everybody may share, under a clock of its own. */
async function start(more: GatewayOptions = {}, parts: GatewayParts = {}): Promise<Guarded> {
  const clock = new SocketClock();
  const options = {
    authToken: "shared",
    ...more,
    push: { auth: { jwt: { secret: SECRET, clockTolerance: 0 } }, ...more.push },
  };
  const served = await startGateway(options, { clock, ...parts });
  const token = (sub: string, left: number, more: Claims = {}) => {
    const now = seconds(clock.now());
    return signWith(SECRET, { sub, exp: now + left, iat: now, ...more });
  };
  return { ...served, clock, token };
}

function messagesOf(frames: readonly Frame[]): readonly Frame[] {
  return frames.filter(({ type }) => type === "channel_message");
}

async function refused(answer: Promise<{ status: number; body: Frame }>): Promise<unknown[]> {
  const { status, body } = await answer;
  return [status, body.code];
}

// --- expiry ---------------------------------------------------------------------------------------

Deno.test("connected says when the token ends; then the connection does, with a code to come back", async () => {
  await using gateway = await start();
  const [ann, connected] = await WireClient.connect(gateway.ws, {
    token: await gateway.token("ann", 90),
  });
  await using _ann = ann;
  assert(connected.token_expires_in > 89 && connected.token_expires_in <= 90);
  await using fixed = await WireClient.open(gateway.ws, {
    authorization: `Bearer ${await gateway.token("bob", 90)}`,
  });
  await fixed.ask({ type: "ping" });
  const [forever, without] = await WireClient.connect(gateway.ws, { token: "shared" });
  await using _forever = forever;
  assertEquals("token_expires_in" in without, false);
  await gateway.clock.advance(88_000);
  assertEquals(await ann.ask({ type: "ping" }), { type: "pong" });
  await gateway.clock.advance(3_000);
  assertEquals((await ann.closed).code, 4401);
  assertEquals((await fixed.closed).code, 4401);
  assertEquals(await forever.ask({ type: "ping" }), { type: "pong" });
});

Deno.test("a poll, also one that waits, is answered when the token ends", async () => {
  await using gateway = await start();
  const poller = await PollClient.register(gateway.http, {}, {
    token: await gateway.token("ann", 10),
  });
  const waits = gateway.clock.scheduled(30_000);
  const waiting = poller.post("messages");
  await waits;
  await gateway.clock.advance(10_000);
  assertEquals(await refused(poller.post("heartbeat")), [401, "token_expired"], "at once");
  assertEquals((await waiting).body.messages, []);
  assertEquals(await refused(poller.post("messages")), [401, "token_expired"]);
  assertEquals(await refused(poller.post("subscribe", { channel: "a" })), [401, "token_expired"]);
});

Deno.test("an event stream ends when the token does", async () => {
  await using gateway = await start();
  const abort = new AbortController();
  const token = await gateway.token("ann", 10);
  const url = `${gateway.http}/api/push/sse?channel=a&token=${token}`;
  const events = new EventReader(await fetch(url, { signal: abort.signal }), abort);
  const all = Array.fromAsync(events);
  await gateway.clock.advance(11_000);
  await within(all, "the stream to end");
  assertEquals(await refused(ask(url)), [401, "token_expired"]);
  const later = await fetch(url, { headers: { accept: "text/event-stream" } });
  assertMatch(await later.text(), /"code":"token_expired"/);
});

Deno.test("positions of an expired connection are kept: a new token goes on from there", async () => {
  await using gateway = await start();
  const open = async () => {
    const token = await gateway.token("ann", 10);
    return (await WireClient.connect(gateway.ws, { token, client_id: "desk" }))[0];
  };
  await using first = await open();
  await first.subscribe("news");
  await gateway.clock.advance(11_000);
  assertEquals((await first.closed).code, 4401);
  await gateway.gateway.publish("news", "while away");
  await using second = await open();
  await second.subscribe("news");
  assertEquals((await second.next("channel_message")).data, "while away");
});

// --- refresh --------------------------------------------------------------------------------------

for (const wire of ["fixed", "extended"] as const) {
  Deno.test(`a new token over the open connection lets it go on, on the ${wire} wire`, async () => {
    await using gateway = await start();
    const token = await gateway.token("ann", 10);
    await using client = wire === "fixed"
      ? await WireClient.open(gateway.ws, { authorization: `Bearer ${token}` })
      : (await WireClient.connect(gateway.ws, { token }))[0];
    const answer = await client.ask({
      type: "auth.refresh",
      token: await gateway.token("ann", 100),
      request_id: 7,
    });
    assertEquals(answer.type, "auth.refreshed");
    assert(answer.expires_in > 99 && answer.expires_in <= 100);
    assertEquals(answer.request_id, wire === "fixed" ? undefined : 7);
    await gateway.clock.advance(50_000);
    assertEquals(await client.ask({ type: "ping" }), { type: "pong" });
    await gateway.clock.advance(51_000);
    assertEquals((await client.closed).code, 4401);
  });
}

Deno.test("a wrong new token changes nothing: the connection ends with the old one", async () => {
  await using gateway = await start();
  const [client] = await WireClient.connect(gateway.ws, { token: await gateway.token("ann", 10) });
  await using _client = client;
  const show = async (token: unknown) => (await client.ask({ type: "auth.refresh", token })).code;
  assertEquals(await show(await gateway.token("bob", 100)), "token_invalid");
  assertEquals(await show("shared"), "token_invalid");
  assertEquals(await show("nonsense"), "token_invalid");
  assertEquals(await show(await gateway.token("ann", -5)), "token_expired");
  for (const none of [undefined, null, "", 7, "x".repeat(16_385)]) {
    assertEquals(await show(none), "bad_request");
  }
  assertEquals(await client.ask({ type: "ping" }), { type: "pong" });
  await gateway.clock.advance(11_000);
  assertEquals((await client.closed).code, 4401);
});

Deno.test("a poller shows a new token, by itself or among its frames", async () => {
  await using gateway = await start();
  const token = await gateway.token("ann", 10);
  const poller = await PollClient.register(gateway.http, {}, { token });
  const refreshed = await poller.post("refresh", { token: await gateway.token("ann", 100) });
  assertEquals([refreshed.status, refreshed.body.ok], [200, true]);
  assert(refreshed.body.expires_in > 99);
  assertEquals(await refused(poller.post("refresh", { token: "shared" })), [401, "token_invalid"]);
  assertEquals(await refused(poller.post("refresh")), [400, "bad_request"]);
  await gateway.clock.advance(50_000);
  const frames = [{ type: "auth.refresh", token: await gateway.token("ann", 100) }];
  const sent = await poller.post("send", { frames });
  assertEquals(sent.body.frames[0].type, "auth.refreshed");
  await gateway.clock.advance(60_000);
  assertEquals((await poller.post("heartbeat")).body.ok, true);
});

// --- tickets --------------------------------------------------------------------------------------

Deno.test("a ticket opens a WebSocket, a stream or a poller once, as the subject of its token", async () => {
  await using gateway = await start();
  const token = await gateway.token("ann", 1000);
  const get = async () => {
    const answer = await ask(`${gateway.http}/api/push/ticket`, { method: "POST", token });
    assertEquals([answer.status, answer.body.expires_in], [200, 30]);
    assertEquals(answer.headers.get("cache-control"), "no-store");
    return answer.body.ticket as string;
  };
  const ticket = await get();
  assertMatch(ticket, /^[0-9a-f]{32}$/);
  await using client = await WireClient.open(`${gateway.ws}?client_id=desk&ticket=${ticket}`);
  await client.subscribe("news");
  await assertRejects(() => WireClient.open(`${gateway.ws}?ticket=${ticket}`));
  const session = { client_id: "desk", ticket: await get() };
  const poller = await PollClient.register(gateway.http, session);
  assertEquals((await client.closed).code, 4510, "it is the same client of the same subject");
  assertEquals(await refused(ask(`${gateway.http}/api/push/poll/register`, { body: session })), [
    401,
    "token_invalid",
  ]);
  assertEquals((await poller.post("heartbeat")).status, 200);
  const abort = new AbortController();
  const url = `${gateway.http}/api/push/sse?channel=a&ticket=${await get()}`;
  const stream = await fetch(url, { signal: abort.signal });
  assertEquals(stream.status, 200);
  const again = await ask(url);
  assertEquals([again.status, again.body.code], [401, "token_invalid"]);
  abort.abort();
  await stream.body?.cancel().catch(() => {});
});

Deno.test("a ticket lasts no longer than its token, and not past its being revoked", async () => {
  await using gateway = await start();
  const token = await gateway.token("ann", 20);
  const get = async () =>
    (await ask(`${gateway.http}/api/push/ticket`, { method: "POST", token })).body.ticket;
  const [early, late] = [await get(), await get()];
  await gateway.gateway.revoke({ subject: "ann" });
  const enter = (ticket: string) =>
    refused(ask(`${gateway.http}/api/push/poll/register`, { body: { ticket } }));
  assertEquals(await enter(early), [401, "token_invalid"]);
  await gateway.clock.advance(20_000);
  assertEquals(await enter(late), [401, "token_expired"]);
});

Deno.test("a ticket is given only to who shows a token in the header", async () => {
  await using gateway = await start();
  const url = `${gateway.http}/api/push/ticket`;
  assertEquals(await refused(ask(url, { method: "POST" })), [401, "token_required"]);
  assertEquals(await refused(ask(`${url}?token=shared`, { method: "POST" })), [
    401,
    "token_required",
  ]);
  assertEquals(await refused(ask(url, { method: "POST", token: "x" })), [401, "token_invalid"]);
  assertEquals(await refused(ask(url, { token: "shared" })), [405, "method_not_allowed"]);
});

// --- revoking -------------------------------------------------------------------------------------

Deno.test("a revoked token ends its connections at once, and is refused from then on", async () => {
  await using gateway = await start();
  const [one, other] = [
    await gateway.token("ann", 100, { jti: "t-1" }),
    await gateway.token("ann", 100, { jti: "t-2" }),
  ];
  const [client] = await WireClient.connect(gateway.ws, { token: one });
  const [stays] = await WireClient.connect(gateway.ws, { token: other });
  await using _client = client;
  await using _stays = stays;
  const poller = await PollClient.register(gateway.http, {}, { token: one });
  const body = { token: one };
  assertEquals(
    (await ask(`${gateway.http}/api/push/revoke`, { body, token: "shared" })).body,
    { ok: true },
  );
  assertEquals((await client.closed).code, 4501);
  assertEquals((await poller.post("messages")).status, 401);
  assertEquals(await stays.ask({ type: "ping" }), { type: "pong" });
  const register = `${gateway.http}/api/push/poll/register`;
  assertEquals(await refused(ask(register, { body: {}, token: one })), [401, "token_invalid"]);
  assertEquals((await stays.ask({ type: "auth.refresh", token: one })).code, "token_invalid");
  const listed = await ask(`${gateway.http}/api/push/revocations`, { token: "shared" });
  assertEquals(
    listed.body.revocations.some((each: Frame) => each.token_id === "t-1" && each.until > each.at),
    true,
  );
});

Deno.test("a revoked subject is let in again with a token issued later, not with one of before", async () => {
  await using gateway = await start();
  const old = await gateway.token("ann", 1000);
  const [client] = await WireClient.connect(gateway.ws, { token: old });
  await using _client = client;
  const [bob] = await WireClient.connect(gateway.ws, { token: await gateway.token("bob", 1000) });
  await using _bob = bob;
  await gateway.clock.advance(2_000);
  await gateway.gateway.revoke({ subject: "ann" });
  assertEquals((await client.closed).code, 4501);
  await gateway.clock.advance(2_000);
  const enter = async (token: string) =>
    (await ask(`${gateway.http}/api/push/poll/register`, { body: {}, token })).status;
  assertEquals(await enter(old), 401);
  assertEquals(await enter(await gateway.token("ann", 1000, { iat: undefined })), 401, "no time");
  assertEquals(await enter(await gateway.token("ann", 1000)), 200);
  assertEquals(await bob.ask({ type: "ping" }), { type: "pong" });
});

Deno.test("a named token is revoked by its hash, its text or its name, for as long as is said", async () => {
  const tokens = ["one", "two", "three"].map((name) => ({ name, token: `t-${name}` }));
  await using gateway = await start({ push: { auth: { tokens } } });
  const enter = async () =>
    await Promise.all(
      tokens.map(async ({ token }) =>
        (await ask(`${gateway.http}/api/push/poll/register`, { body: {}, token })).status
      ),
    );
  assertEquals(await enter(), [200, 200, 200]);
  const { gateway: it } = gateway;
  await it.revoke({ token: "t-one" });
  await it.revoke({ subject: "two", for: 10 });
  assertEquals(await enter(), [401, 401, 200]);
  const tokenId = (await it.revocations()).find((each) => each.tokenId !== undefined)!.tokenId!;
  assertMatch(tokenId, /^[0-9a-f]{64}$/);
  await gateway.clock.advance(11_000);
  assertEquals(await enter(), [401, 200, 200]);
  assertEquals((await it.revocations()).length, 1);
});

Deno.test("a revoked client is closed and its session ended; for a time it is refused, if that is said", async () => {
  await using gateway = await start();
  const open = async (client_id = "desk") =>
    await WireClient.connect(gateway.ws, { token: await gateway.token("ann", 10_000), client_id });
  const [first] = await open();
  const [phone] = await open("phone");
  await using _first = first;
  await using _phone = phone;
  await first.subscribe("news");
  await gateway.clock.advance(1_000);
  await gateway.gateway.revoke({ subject: "ann", clientId: "desk" });
  assertEquals((await first.closed).code, 4404);
  await gateway.gateway.publish("news", "not for it");
  await gateway.clock.advance(1_000);
  const [second, connected] = await open();
  await using _second = second;
  assertEquals(connected.resumed, false);
  const { stored } = await second.subscribe("news");
  assertEquals(stored, undefined, "its position is gone");
  assertEquals(messagesOf(await second.settled()), []);
  await gateway.gateway.revoke({ subject: "ann", clientId: "desk", for: 60 });
  assertEquals((await second.closed).code, 4501);
  const [third, answer] = await open();
  await using _third = third;
  assertEquals(answer.code, "token_invalid");
  await gateway.clock.advance(61_000);
  const [fourth, late] = await open();
  await using _fourth = fourth;
  assertEquals(late.type, "connected");
  assertEquals(await phone.ask({ type: "ping" }), { type: "pong" });
});

Deno.test("a client that is away is revoked with what waits for it", async () => {
  await using gateway = await start();
  const open = async () =>
    (await WireClient.connect(gateway.ws, {
      token: await gateway.token("ann", 10_000),
      client_id: "desk",
    }))[0];
  const first = await open();
  await first.subscribe("news");
  await first.close(4000);
  await gateway.gateway.publish("news", "waits");
  await gateway.clock.advance(1_000);
  await gateway.gateway.revoke({ subject: "ann", clientId: "desk" });
  await using second = await open();
  await second.subscribe("news");
  assertEquals(messagesOf(await second.settled()), []);
});

Deno.test("a client without a name that is away when it is revoked does not come back to its session", async () => {
  await using gateway = await start({ push: { delivery: { sessionGrace: 600 } } });
  const token = await gateway.token("ann", 10_000);
  const open = (more: Claims = {}) => WireClient.connect(gateway.ws, { token, ...more });
  const [first, { client_id, secret }] = await open();
  await first.subscribe("news");
  await first.close(4000);
  await gateway.gateway.publish("news", "waits");
  await gateway.clock.advance(1_000);
  await gateway.gateway.revoke({ subject: "ann", clientId: client_id });
  for (const wait of [0, 300_000]) {
    await gateway.clock.advance(wait);
    const [again, answer] = await open({ client_id, secret });
    await using _again = again;
    assertEquals(answer.code, "unknown_session");
  }
  const [fresh, connected] = await open();
  await using _fresh = fresh;
  assertEquals(connected.resumed, false);
});

Deno.test("a request whose body comes after its token was revoked does nothing", async () => {
  await using gateway = await start();
  const token = await gateway.token("ann", 10_000, { jti: "t-1" });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const answer = gateway.gateway.fetch(
    new Request("http://127.0.0.1/api/push/publish", {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: readable,
    }),
  );
  const bytes = new TextEncoder().encode(JSON.stringify({ channel: "news", data: 1 }));
  await writer.write(bytes.subarray(0, 5));
  await gateway.gateway.revoke({ tokenId: "t-1" });
  await writer.write(bytes.subarray(5));
  await writer.close();
  const { status } = await answer.then(async (response) => {
    await response.body?.cancel();
    return response;
  });
  assertEquals(status, 401);
  assertEquals(await gateway.gateway.channels(), []);
});

Deno.test("only operators revoke, and only one thing at a time", async () => {
  await using gateway = await start();
  const url = `${gateway.http}/api/push/revoke`;
  const token = await gateway.token("ann", 100);
  assertEquals(await refused(ask(url, { body: { subject: "bob" } })), [401, "token_required"]);
  assertEquals(await refused(ask(url, { body: { subject: "bob" }, token })), [403, "forbidden"]);
  assertEquals(await refused(ask(`${gateway.http}/api/push/revocations`, { token })), [
    403,
    "forbidden",
  ]);
  for (
    const body of [
      {},
      { subject: "a", token: "b" },
      { client_id: "desk" },
      { token_id: "a", client_id: "desk" },
      { subject: "a\nb" },
      { subject: 7 },
      { subject: "a", for: -1 },
      { subject: "a", for: "long" },
      { token: "" },
    ]
  ) {
    assertEquals(await refused(ask(url, { body, token: "shared" })), [400, "bad_request"]);
  }
  const { gateway: it } = gateway;
  // deno-lint-ignore no-explicit-any
  const wrong = (query: any) => assertRejects(() => it.revoke(query), TypeError);
  for (const query of [{}, { subject: "a", tokenId: "b" }, { clientId: "c" }, { who: "a" }, 7]) {
    await wrong(query);
  }
  await assertRejects(() => it.revoke({ subject: "a\nb" }), RangeError);
  await assertRejects(() => it.revoke({ subject: "a", for: -1 }), RangeError);
  assertEquals(await it.revocations(), []);
});

// --- whose a client is ----------------------------------------------------------------------------

Deno.test("across subjects a client id reaches nobody: not to drain, evict, acknowledge or detect", async () => {
  await using gateway = await start();
  const open = async (sub: string, more: Record<string, string> = {}) =>
    await WireClient.connect(gateway.ws, { token: await gateway.token(sub, 1000), ...more });
  const [ann] = await open("ann", { client_id: "desk" });
  await using _ann = ann;
  await ann.subscribe("news");
  const [bob, connected] = await open("bob", { client_id: "desk" });
  await using _bob = bob;
  assertEquals(connected.resumed, false);
  await bob.subscribe("news");
  await gateway.gateway.publish("news", "for both");
  const message = await ann.next("channel_message");
  await bob.next("channel_message");
  for (const client of [bob, ann]) {
    client.send({ type: "message_ack", event_id: message.event_id });
    assertEquals((await client.next("ack_received")).ok, true, "each settles its own");
  }
  const [minted, mine] = await open("ann");
  await using _minted = minted;
  const { client_id, secret } = mine;
  const attempts = await Promise.all([
    open("bob", { client_id, secret }),
    open("eve", { client_id, secret: "0".repeat(32) }),
    open("eve", { client_id: "0".repeat(32), secret: "0".repeat(32) }),
  ]);
  for (const [client, answer] of attempts) {
    await using _client = client;
    const { type, resumed } = answer;
    assertEquals([type, resumed], ["connected", false], "another's reads as what is not there");
    client.send({ type: "channel.subscribe", channel: "news", request_id: 1 });
    assertEquals((await client.next("channel.subscribed")).stored, undefined);
  }
  assertEquals(await minted.ask({ type: "ping" }), { type: "pong" });
  const [wrong, refusal] = await open("ann", { client_id, secret: "0".repeat(32) });
  await wrong.closed;
  assertEquals(refusal.code, "bad_secret");
});

Deno.test("a minted id is resumed with its secret, and the same name of an application is another client", async () => {
  await using gateway = await start();
  const token = await gateway.token("ann", 1000);
  const [first, { client_id, secret }] = await WireClient.connect(gateway.ws, { token });
  assertMatch(client_id, /^[0-9a-f]{32}$/);
  assertMatch(secret, /^[0-9a-f]{32}$/);
  await first.close(4000);
  const [named, other] = await WireClient.connect(gateway.ws, { token, client_id });
  await using _named = named;
  assertEquals(other.resumed, false);
  const [again, resumed] = await WireClient.connect(gateway.ws, { token, client_id, secret });
  await using _again = again;
  assertEquals([resumed.resumed, resumed.secret], [true, undefined]);
});

// --- where a token counts -------------------------------------------------------------------------

Deno.test("a wrong token is never passed over for a right one, or for none", async () => {
  await using gateway = await start();
  await assertRejects(() => WireClient.open(`${gateway.ws}?token=wrong`));
  await assertRejects(() => WireClient.open(gateway.ws, { authorization: "Bearer wrong" }));
  const [client, refusal] = await WireClient.connect(`${gateway.ws}?token=shared`, {
    token: "wrong",
  });
  assertEquals(refusal.code, "token_invalid");
  assertEquals((await client.closed).code, 4501);
  const body = { auth_token: "wrong" };
  const register = `${gateway.http}/api/push/poll/register`;
  assertEquals(await refused(ask(register, { body, token: "shared" })), [401, "token_invalid"]);
  assertEquals(await refused(ask(register, { body: { ticket: "wrong" } })), [401, "token_invalid"]);
});

Deno.test("a bearer token that is none is a wrong one, and no guest", async () => {
  // A program that lets guests in, who show nothing.
  await using gateway = await startGateway({}, {
    authenticate: (_, token) => token === undefined ? { subject: "guest" } : null,
  });
  const url = `${gateway.http}/api/push/presence`;
  const status = async (authorization: string) => {
    const response = await fetch(url, { headers: { authorization } });
    await response.body?.cancel();
    return response.status;
  };
  for (const wrong of ["Bearer a b", "Bearer a, Bearer b", "bearer a\tb"]) {
    assertEquals(await status(wrong), 401, wrong);
    await assertRejects(() => WireClient.open(gateway.ws, { authorization: wrong }));
  }
  // What a proxy in front asks for is none of this gateway's.
  assertEquals(await status("Basic YTpi"), 200);
});

Deno.test("a cookie is no identity", async () => {
  await using gateway = await start();
  const headers = { cookie: "token=shared; auth_token=shared; authorization=Bearer shared" };
  const register = `${gateway.http}/api/push/poll/register`;
  assertEquals(await refused(ask(register, { body: {}, headers })), [401, "token_required"]);
  assertEquals(await refused(ask(`${gateway.http}/metrics`, { headers })), [401, "token_required"]);
});

Deno.test("a program that decides knows of the connection what is no secret, for every frame", async () => {
  const seen: [url: string, agent: string | null, cookie: string | null, token?: string][] = [];
  await using gateway = await start({ authToken: undefined, push: { auth: {} } }, {
    authenticate({ headers, url, address }, token) {
      assertEquals(address, "127.0.0.1");
      seen.push([url, headers.get("x-agent"), headers.get("cookie"), token]);
      return token?.startsWith("ann-") ? { subject: "ann", expiresAt: Infinity && 1e13 } : null;
    },
  });
  const headers = { "x-agent": "test", cookie: "secret=1" };
  await using client = await WireClient.open(`${gateway.ws}?from=page`, headers);
  const connect = { type: "connect", version: 1, instance: "i", attempt: 0, token: "ann-1" };
  assertEquals((await client.ask(connect)).type, "connected");
  assertEquals((await client.ask({ type: "auth.refresh", token: "ann-2" })).type, "auth.refreshed");
  assertEquals((await client.ask({ type: "auth.refresh", token: "bob" })).code, "token_invalid");
  await using query = await WireClient.open(`${gateway.ws}?token=ann-3&ticket=&from=app`, headers);
  await query.ask({ type: "ping" });
  const base = gateway.http;
  assertEquals(seen, [
    [`${base}/ws?from=page`, "test", null, "ann-1"],
    [`${base}/ws?from=page`, "test", null, "ann-2"],
    [`${base}/ws?from=page`, "test", null, "bob"],
    [`${base}/ws?from=app`, "test", null, "ann-3"],
  ]);
  assertNotEquals(gateway.port, 0);
});

Deno.test("while nobody can say who asks, clients are told to come back", async () => {
  let isAway = true;
  await using gateway = await start({}, {
    authenticate: () => {
      if (isAway) throw new Error("the database is away");
      return { subject: "ann" };
    },
  });
  const [client, refusal] = await WireClient.connect(gateway.ws, { token: "t" });
  assertEquals(refusal.code, "unavailable");
  assertEquals((await client.closed).code, 4003);
  const register = `${gateway.http}/api/push/poll/register`;
  assertEquals(await refused(ask(register, { body: {}, token: "t" })), [503, "unavailable"]);
  isAway = false;
  await until(
    async () => (await ask(register, { body: {}, token: "t" })).status === 200,
    "to be let in",
  );
});
