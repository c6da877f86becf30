import { assert, assertEquals, assertMatch } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { until } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

const token = "s3cret";

/** Reads the text format of Prometheus; throws where it is broken. */
function parseMetrics(text: string): Map<string, { type: string; samples: Map<string, number> }> {
  assert(text.endsWith("\n"), "the last line has no end");
  const families = new Map<string, { type: string; samples: Map<string, number> }>();
  let name = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP ([a-z_]+) (\S.*)$/.exec(line);
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line);
    const sample = /^([a-z_]+)(\{(?:[a-z_]+="[^"\\\n]*",?)+\})? (-?[0-9.e+-]+)$/.exec(line);
    if (help !== null) {
      name = help[1];
      assert(!families.has(name), `${name} comes twice`);
    } else if (type !== null) {
      assertEquals(type[1], name, "a type does not follow its help");
      assertEquals(name.endsWith("_total"), type[2] === "counter", `${name} is a ${type[2]}`);
      families.set(name, { type: type[2], samples: new Map() });
    } else {
      assert(sample !== null, `no line of the format: ${line}`);
      assertEquals(sample[1], name, "a sample stands outside its family");
      const { samples } = families.get(name)!;
      assert(!samples.has(sample[2] ?? ""), `a sample comes twice: ${line}`);
      samples.set(sample[2] ?? "", Number(sample[3]));
    }
  }
  return families;
}

async function metricsOf(http: string): Promise<(name: string, labels?: string) => number> {
  const { text } = await ask(`${http}/metrics`);
  const families = parseMetrics(text);
  return (name, labels = "") => families.get(`push_${name}`)?.samples.get(labels) ?? 0;
}

Deno.test("health: 200 with a push section while the gateway takes work", async () => {
  const clock = new SocketClock();
  await using gateway = await startGateway({}, { clock });
  await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await ann.subscribe("news");
  await PollClient.register(gateway.http);
  await gateway.gateway.publish("news", 1);
  await clock.advance(12_345);
  const { status, body } = await ask(`${gateway.http}/health`);
  assertEquals(status, 200);
  assertEquals(body.status, "ok");
  assertEquals(body.uptime, 12);
  assertEquals(body.push.enabled, true);
  assertEquals(body.push.connections, { websocket: 1, sse: 0, longpoll: 1 });
  assertEquals([body.push.sessions, body.push.present], [2, 2]);
  assertEquals([body.push.store.name, body.push.store.messages], ["memory", 1]);
});

Deno.test("health: a stranger learns that the gateway lives, and no more", async () => {
  await using gateway = await startGateway({ authToken: token });
  for (const asking of [{}, { token: "wrong" }]) {
    const { status, body } = await ask(`${gateway.http}/health`, asking);
    assertEquals([status, body], [200, { status: "ok", uptime: 0, push: { enabled: true } }]);
  }
  const { body } = await ask(`${gateway.http}/health`, { token });
  assertEquals(body.push.store.name, "memory");
  const head = await ask(`${gateway.http}/health`, { method: "HEAD" });
  assertEquals([head.status, head.text], [200, ""]);
});

Deno.test("health: 503 while the gateway drains, and after", async () => {
  await using gateway = await startGateway();
  await using ann = await WireClient.open(gateway.ws);
  await ann.subscribe("news");
  const stopped = gateway.gateway.stop();
  const draining = await gateway.gateway.fetch(new Request(`${gateway.http}/health`));
  assertEquals([draining.status, (await draining.json()).status], [503, "draining"]);
  await stopped;
  const after = await gateway.gateway.fetch(new Request(`${gateway.http}/health`));
  assertEquals([after.status, (await after.json()).status], [503, "draining"]);
});

Deno.test("metrics: every family has help and a type, and every line is of the format", async () => {
  await using gateway = await startGateway();
  await using ann = await WireClient.open(gateway.ws);
  await ann.subscribe("news");
  await ann.ask({ type: 'no"such\\type\n' });
  await PollClient.register(gateway.http);
  await ask(`${gateway.http}/api/push/poll/ack`, { body: { poll_token: "x" } });
  const { status, headers, text } = await ask(`${gateway.http}/metrics`);
  assertEquals(status, 200);
  assertMatch(headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const families = parseMetrics(text);
  assert(families.size > 20);
  for (const name of families.keys()) assert(name.startsWith("push_"), name);
});

Deno.test("metrics: the counters move with what happens", async () => {
  await using gateway = await startGateway({
    push: {
      presence: { broadcastChanges: false },
      delivery: { maxRetries: 1, maxChannelBytes: 2000, historyBytes: 2000 },
      limits: { maxMessageBytes: 1000 },
    },
  });
  const publish = (data: unknown, id?: string) =>
    ask(`${gateway.http}/api/push/publish`, { body: { channel: "news", data, id } });
  const before = await metricsOf(gateway.http);
  assertEquals(before("published_total"), 0);
  assertEquals(before("store_up", '{store="memory"}'), 1);

  const ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await ann.subscribe("news");
  await publish(1, "p1");
  await publish(1, "p1");
  const { event_id } = await ann.next();
  await ann.ask({ type: "message_nack", event_id });
  await ann.next("channel_message");
  await ann.ask({ type: "message_nack", event_id });
  await until(
    async () => (await metricsOf(gateway.http))("dead_letters") === 1,
    "the message is a dead letter",
  );
  await ask(`${gateway.http}/api/push/dead-letters/redrive`, { body: {} });
  await ann.next("channel_message");
  await ann.ask({ type: "message_ack", event_id });
  await ann.ask({ type: "nothing" });
  await ann.close(4000);
  for (let n = 0; n < 3; n++) await publish("x".repeat(900));
  await using again = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await again.subscribe("news");
  assertEquals((await again.next()).code, "gap");
  await using thief = await WireClient.open(`${gateway.ws}?client_id=ann`);
  await thief.ask({ type: "ping" });
  await again.closed;

  const now = await metricsOf(gateway.http);
  const expected: [name: string, value: number, labels?: string][] = [
    ["published_total", 4],
    ["duplicates_total", 1],
    ["refused_total", 2],
    ["redelivered_total", 2],
    ["dead_lettered_total", 1],
    ["redriven_total", 1],
    ["acknowledged_total", 1],
    ["gaps_total", 1],
    ["errors_total", 1, '{code="unknown_type"}'],
    ["connections_total", 3, '{transport="websocket"}'],
    ["closed_total", 1, '{code="replaced"}'],
    ["connections", 1, '{transport="websocket"}'],
    ["sessions_attached", 1],
    ["present", 1],
    ["channels", 1],
    ["sessions", 1],
    ["dead_letters", 0],
  ];
  for (const [name, value, labels] of expected) assertEquals(now(name, labels), value, name);
  assertEquals(now("delivered_total") >= 2, true);
  assertEquals(now("evicted_total") >= 1, true);
});
