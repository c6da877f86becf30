import { assertEquals, assertRejects } from "@std/assert";
import type { PushOptions } from "../../mod.ts";
import { seconds, signWith } from "../access/issuer.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { ServedNodes } from "../support/poll_nodes.ts";
import { startRedis } from "../support/redis.ts";
import { until } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

const SECRET = "a-secret-of-thirty-two-characters";
const AUTH = { tokens: [{ name: "ann", token: "t-ann" }], jwt: { secret: SECRET } };

/** Two gateways over one Redis. */
async function overRedis(): Promise<{ one: Served; two: Served } & AsyncDisposable> {
  const redis = await startRedis();
  const push: PushOptions = {
    auth: AUTH,
    redis: { port: redis.port },
    delivery: { storeBackend: "redis" },
  };
  const start = () => startGateway({ authToken: "shared", push });
  const [one, two] = [await start(), await start()];
  return {
    one,
    two,
    async [Symbol.asyncDispose]() {
      await Promise.all([one.gateway.stop(), two.gateway.stop()]);
      await redis[Symbol.asyncDispose]();
    },
  };
}

async function entry(http: string, token: string): Promise<number> {
  return (await ask(`${http}/api/push/poll/register`, { body: {}, token })).status;
}

Deno.test("over Redis: a ticket of one gateway opens a connection at another, once at all of them", async () => {
  await using nodes = await overRedis();
  const { one, two } = nodes;
  const get = async () =>
    (await ask(`${one.http}/api/push/ticket`, { method: "POST", token: "t-ann" })).body.ticket;
  const ticket = await get();
  await using _client = await WireClient.open(`${two.ws}?ticket=${ticket}`);
  for (const { ws } of [one, two]) {
    await assertRejects(() => WireClient.open(`${ws}?ticket=${ticket}`));
  }
  const raced = await get();
  const tries = Array.from({ length: 10 }, (_, i) => {
    const { http } = [one, two][i % 2];
    return ask(`${http}/api/push/poll/register`, { body: { ticket: raced } });
  });
  const statuses = (await Promise.all(tries)).map(({ status }) => status);
  assertEquals(statuses.filter((status) => status === 200).length, 1);
});

Deno.test("over Redis: what one gateway revokes ends at the other, and stays refused after restarts", async () => {
  await using nodes = await overRedis();
  const { one, two } = nodes;
  const exp = seconds(Date.now()) + 1000;
  const token = await signWith(SECRET, { sub: "bob", exp, jti: "j-1" });
  const [bob] = await WireClient.connect(two.ws, { token });
  const [desk] = await WireClient.connect(two.ws, { token: "t-ann", client_id: "desk" });
  const [ann] = await WireClient.connect(two.ws, { token: "t-ann" });
  await using _bob = bob;
  await using _desk = desk;
  await using _ann = ann;
  await one.gateway.revoke({ token });
  assertEquals((await bob.closed).code, 4501);
  await one.gateway.revoke({ subject: "ann", clientId: "desk" });
  assertEquals([4404, 4510].includes((await desk.closed).code), true);
  assertEquals(await ann.ask({ type: "ping" }), { type: "pong" });
  await one.gateway.revoke({ subject: "ann" });
  assertEquals((await ann.closed).code, 4501);
  for (const { http } of [one, two]) {
    assertEquals([await entry(http, token), await entry(http, "t-ann")], [401, 401]);
  }
  await one.gateway.stop();
  const { settings } = one.gateway;
  await using third = await startGateway({
    authToken: "shared",
    push: {
      auth: AUTH,
      redis: { port: settings.push.redis!.port },
      delivery: { storeBackend: "redis" },
    },
  });
  assertEquals([await entry(third.http, token), await entry(third.http, "shared")], [401, 200]);
});

Deno.test("a poller takes its identity along to another node: what it allows, and its end", async () => {
  await using nodes = await ServedNodes.start(2, {
    authToken: "shared",
    push: { auth: { jwt: { secret: SECRET, clockTolerance: 0 } } },
  });
  const [one, two] = nodes.nodes;
  const now = seconds(nodes.clock.now());
  const push = [{ channels: ["news"], actions: ["subscribe"] }];
  const token = (left: number) => signWith(SECRET, { sub: "ann", exp: now + left, push });
  const register = `${one.http}/api/push/poll/register`;
  const { poll_token } = (await ask(register, { body: {}, token: await token(20) })).body;
  const post = async (http: string, route: string, body: object = {}) => {
    const url = `${http}/api/push/poll/${route}`;
    return await nodes.awaits(ask(url, { body: { poll_token, ...body } }));
  };
  assertEquals((await post(two.http, "subscribe", { channel: "news" })).body.ok, true);
  assertEquals((await post(two.http, "subscribe", { channel: "other" })).status, 403);
  assertEquals((await post(two.http, "refresh", { token: await token(60) })).body.ok, true);
  await nodes.clock.advance(25_000);
  assertEquals((await post(one.http, "heartbeat")).status, 200, "the new token counts there, too");
  await nodes.clock.advance(60_000);
  assertEquals((await post(one.http, "heartbeat")).body.code, "token_expired");
  assertEquals((await post(two.http, "heartbeat")).body.code, "token_expired");
});

Deno.test("a poller that was revoked goes on at no node", async () => {
  await using nodes = await ServedNodes.start(2, {
    authToken: "shared",
    push: { auth: { tokens: [{ name: "ann", token: "t-ann" }] } },
  });
  const [one, two] = nodes.nodes;
  const body = { client_id: "desk" };
  const register = `${one.http}/api/push/poll/register`;
  const { poll_token } = (await ask(register, { body, token: "t-ann" })).body;
  await nodes.awaits(two.gateway.revoke({ subject: "ann" }));
  await until(async () => {
    await nodes.clock.advance(100);
    const { status } = await ask(`${one.http}/api/push/poll/heartbeat`, { body: { poll_token } });
    return status === 401 || status === 404;
  }, "the poller to be refused");
  const answer = await nodes.awaits(
    ask(`${two.http}/api/push/poll/heartbeat`, { body: { poll_token } }),
  );
  assertEquals([401, 404].includes(answer.status), true, answer.text);
});
