import { assert, assertEquals } from "@std/assert";
import type { GatewayOptions, GatewayParts } from "../../mod.ts";
import type { LogEvent } from "../../server/logging/events.ts";
import type { LogFields, LogRecord } from "../../server/logging/record.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { memoryStore, storeWith } from "../gateway/parts.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { exchange, upgradeRequest } from "../support/tcp_client.ts";
import { until } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

const TOKEN = "a-token-of-ann";
const PEER = { peer: "127.0.0.1" };

/** A gateway whose log is kept. */
interface Logged extends Served {
  /** Fields of the lines of an event. */
  of(event: LogEvent): LogFields[];
  readonly records: readonly LogRecord[];
}

async function logged(options: GatewayOptions = {}, parts: GatewayParts = {}): Promise<Logged> {
  const records: LogRecord[] = [];
  const served = await startGateway({ log: { level: "debug" }, ...options }, {
    ...parts,
    log: (record) => records.push(record),
  });
  const of = (event: LogEvent) =>
    records.filter((record) => record.event === event).map(({ fields }) => fields);
  return { ...served, records, of };
}

/** Options with which `ann` may subscribe and publish in `news` and nowhere else. */
const RULED: GatewayOptions = {
  push: {
    auth: {
      tokens: [{
        name: "ann",
        token: TOKEN,
        allow: [{ channels: ["news"], actions: ["subscribe", "publish"] }],
      }],
    },
  },
};

Deno.test("a gateway tells of its life, and of its connections at level debug", async () => {
  const gateway = await logged();
  const client = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await client.subscribe("news");
  await client.close();
  await until(() => gateway.of("connection.closed").length === 1, "the client has gone");
  await gateway.gateway.stop();
  assertEquals(gateway.records.map(({ event }) => event), [
    "store.opened",
    "gateway.listening",
    "connection.opened",
    "connection.closed",
    "gateway.draining",
    "gateway.stopped",
  ]);
  const { port } = gateway;
  assertEquals(gateway.of("gateway.listening"), [{ host: "127.0.0.1", port }]);
  assertEquals(gateway.of("connection.opened"), [{ clientId: "ann", transport: "websocket" }]);
});

Deno.test("audit: an identity that is refused is one line, on whatever way it came", async () => {
  await using gateway = await logged(RULED);
  const { http, ws, port } = gateway;
  const wrong = "a-wrong-token";
  const ways: [action: string, code: string, way: () => Promise<unknown>][] = [
    [
      "GET /ws",
      "token_invalid",
      () => exchange(port, upgradeRequest(`/ws?token=${wrong}&client_id=x`)),
    ],
    ["connect", "token_invalid", async () => {
      const [client] = await WireClient.connect(ws, { token: wrong });
      await client[Symbol.asyncDispose]();
    }],
    ["connect", "token_required", async () => {
      const [client] = await WireClient.connect(ws);
      await client[Symbol.asyncDispose]();
    }],
    [
      "POST /api/push/poll/register",
      "token_invalid",
      () => ask(`${http}/api/push/poll/register`, { body: { auth_token: wrong } }),
    ],
    [
      "POST /api/push/publish",
      "token_required",
      () => ask(`${http}/api/push/publish`, { body: { channel: "news", data: 1 } }),
    ],
    [
      "GET /api/push/sse",
      "token_invalid",
      () => ask(`${http}/api/push/sse?channel=news`, { token: wrong }),
    ],
    [
      "POST /api/push/ticket",
      "token_invalid",
      () => ask(`${http}/api/push/ticket`, { method: "POST", token: wrong }),
    ],
    ["GET /metrics", "token_required", () => ask(`${http}/metrics`)],
    ["GET /health", "token_invalid", () => ask(`${http}/health`, { token: wrong })],
  ];
  for (const [action, code, way] of ways) {
    const before = gateway.of("identity.refused").length;
    await way();
    await until(() => gateway.of("identity.refused").length > before, `${action} ${code}`);
    assertEquals(gateway.of("identity.refused").slice(before), [{ code, ...PEER, action }]);
  }
  // Who only looks whether it lives shows nothing, and is refused nothing.
  await ask(`${http}/health`);
  assertEquals(gateway.of("identity.refused").length, ways.length);
});

Deno.test("audit: an action that is refused names who wanted what and where", async () => {
  await using gateway = await logged(RULED);
  const { http, ws } = gateway;
  const who = { ...PEER, subject: "ann", clientId: "phone" };
  const refused = { code: "forbidden" };
  {
    await using client = await WireClient.open(`${ws}?token=${TOKEN}&client_id=phone`);
    await client.ask({ type: "channel.subscribe", channel: "plans" });
    await client.ask({ type: "channel.publish", channel: "plans", data: 1 });
  }
  {
    const [client] = await WireClient.connect(ws, {
      token: TOKEN,
      client_id: "phone",
      subscriptions: [{ channel: "plans" }],
    });
    await client[Symbol.asyncDispose]();
  }
  const poller = await PollClient.register(http, { auth_token: TOKEN, client_id: "phone" });
  await poller.post("publish", { channel: "plans", data: 1 });
  await ask(`${http}/api/push/publish`, { token: TOKEN, body: { channel: "plans", data: 1 } });
  await ask(`${http}/api/push/dead-letters`, { token: TOKEN });

  const [subscribe, publish] = ["channel.subscribe", "channel.publish"];
  const lines = gateway.of("action.refused");
  const [first, second, third, fourth, fifth, sixth] = lines;
  assertEquals(first, { ...refused, ...who, action: subscribe, channel: "plans" });
  assertEquals(second, { ...refused, ...who, action: publish, channel: "plans" });
  assertEquals([third.action, third.channel, third.subject], [subscribe, "plans", "ann"]);
  assertEquals(fourth, { ...refused, ...who, action: publish, channel: "plans" });
  const program = { ...refused, ...PEER, subject: "ann" };
  assertEquals(fifth, { ...program, action: "POST /api/push/publish" });
  assertEquals(sixth, { ...program, action: "GET /api/push/dead-letters" });
  assertEquals(lines.length, 6);
});

Deno.test("audit: limits and revocations are told, and what is only a mistake is not", async () => {
  await using gateway = await logged({ push: { limits: { maxChannels: 1, maxMessageBytes: 64 } } });
  await using client = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await client.subscribe("one");
  await client.ask({ type: "channel.subscribe", channel: "two" });
  await client.ask({ type: "channel.publish", channel: "one", data: "x".repeat(100) });
  await client.ask({ type: "channel.publish", channel: "not a name", data: 1 });
  await client.ask("no frame");
  const who = { ...PEER, subject: "anonymous", clientId: "ann" };
  assertEquals(gateway.of("limit.hit"), [
    { code: "too_many_channels", ...who, action: "channel.subscribe", channel: "two" },
    { code: "message_too_large", ...who, action: "channel.publish", channel: "one" },
  ]);
  await gateway.gateway.revoke({ tokenId: "0123456789abcdef" });
  await gateway.gateway.revoke({ subject: "ann", clientId: "phone" });
  assertEquals(gateway.of("token.revoked"), [
    { tokenId: "0123456789ab" },
    { subject: "ann", clientId: "phone" },
  ]);
});

Deno.test("a store that begins to fail is told once, and so is that it is back", async () => {
  const clock = new ManualClock();
  let trouble: string | undefined;
  const kept = memoryStore();
  const store = new Proxy(kept, {
    get(target, key) {
      if (key === "trouble") return trouble;
      const value = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const records: LogRecord[] = [];
  const { Gateway } = await import("../../mod.ts");
  await using gateway = new Gateway({ push: { enabled: true } }, {
    clock,
    store,
    log: (record) => records.push(record),
  });
  await gateway.fetch(new Request("http://localhost/health"));
  const told = async () => {
    await clock.advance(10_000);
    return records.splice(0).map(({ event, level, fields }) => [event, level, fields]);
  };
  assertEquals(await told(), []);
  trouble = "The disk is full.";
  assertEquals(await told(), [
    ["store.degraded", "error", { store: "memory", detail: "The disk is full." }],
  ]);
  trouble = undefined;
  assertEquals(await told(), [["store.back", "warn", { store: "memory" }]]);
});

Deno.test("what nobody expects is an error in the log, without the payload in its stack", async () => {
  const store = storeWith({
    append: () => Promise.reject(new TypeError("Cannot read properties of undefined")),
  });
  await using gateway = await logged({}, { store });
  const body = { channel: "news", data: "confidential-4711" };
  assertEquals((await ask(`${gateway.http}/api/push/publish`, { body })).status, 500);
  const [{ stack, ...fields }] = gateway.of("request.failed");
  assertEquals(fields, {
    ...PEER,
    method: "POST",
    path: "/api/push/publish",
    error: "TypeError: Cannot read properties of undefined",
  });
  assert(stack?.includes("at "), stack);
  await using client = await WireClient.open(gateway.ws);
  assertEquals((await client.ask({ type: "channel.publish", ...body })).code, "internal");
  assertEquals(gateway.of("frame.failed").length, 1);
  assert(!JSON.stringify(gateway.records).includes("4711"));
});

Deno.test("a log that throws harms nobody", async () => {
  await using gateway = await startGateway({ log: { level: "debug" }, authToken: TOKEN }, {
    log: () => {
      throw new Error("no log today");
    },
  });
  assertEquals((await ask(`${gateway.http}/metrics`)).status, 401);
  assertEquals((await ask(`${gateway.http}/metrics`, { token: TOKEN })).status, 200);
});
