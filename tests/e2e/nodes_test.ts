import { assert, assertEquals } from "@std/assert";
import { PushClient } from "@push/client";
import { type Cluster, startCluster } from "../../dev/cluster/cluster.ts";
import { ask } from "../support/http_client.ts";
import { until, within } from "../support/within.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

/** Seconds after which a node that is silent counts as dead. */
const LEASE = 1;

function start(...args: string[]): Promise<Cluster> {
  const quick = ["--redis-lease", `${LEASE}`, "--heartbeat-interval", "1", "--ack-timeout", "20"];
  return startCluster({ redis: { appendonly: false }, args: [...quick, ...args] });
}

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, n) => n + from);

/** A client of `@push/client` on one node, and what its handler gets. */
async function listen(url: string, channel: string, clientId: string) {
  const client = new PushClient(url, { clientId, reconnectDelay: { min: 0.02, max: 0.2 } });
  const got: unknown[] = [];
  const gaps: unknown[] = [];
  client.on("gap", (gap) => gaps.push(gap));
  await client.connect();
  await client.subscribe(channel, ({ data }) => void got.push(data));
  return { client, got, gaps, [Symbol.asyncDispose]: () => client.disconnect({ forget: true }) };
}

/** Reads and acknowledges so many messages of the fixed wire. */
async function read(client: WireClient, count: number): Promise<unknown[]> {
  const got: unknown[] = [];
  while (got.length < count) {
    const { data, event_id } = await client.next("channel_message");
    got.push(data);
    client.send({ type: "message_ack", event_id });
    assertEquals((await client.next("ack_received")).ok, true);
  }
  return got;
}

Deno.test("nodes: what is published at any is received at all, in one order, by both kinds of clients", async () => {
  await using cluster = await start();
  const listeners = await Promise.all(
    cluster.gateways.map(({ ws }, n) => listen(ws, "news", `listener-${n}`)),
  );
  const frames = await Promise.all(
    cluster.gateways.map(({ ws }, n) => WireClient.open(`${ws}?client_id=frames-${n}`)),
  );
  for (const client of frames) await client.subscribe("news");
  const each = 50;
  await Promise.all(cluster.gateways.map(async ({ ws }, n) => {
    await using publisher = new PushClient(ws, { clientId: `publisher-${n}` });
    await publisher.connect();
    await Promise.all(numbers(each).map((i) => publisher.publish("news", `${n}.${i}`)));
  }));
  const all = each * cluster.gateways.length;
  const [order, ...others] = await Promise.all(frames.map((client) => read(client, all)));
  for (const other of others) assertEquals(other, order);
  for (const { got } of listeners) {
    await until(() => got.length >= all, "all messages arrived");
    assertEquals(got, order);
  }
  // Each publisher's own messages are in the order in which it sent them.
  for (const n of cluster.gateways.keys()) {
    const own = order.filter((it) => String(it).startsWith(`${n}.`));
    assertEquals(own, numbers(each).map((i) => `${n}.${i}`));
  }
  for (const it of [...frames, ...listeners]) await it[Symbol.asyncDispose]();
});

Deno.test("nodes: a WebSocket that comes back at another node goes on from its position", async () => {
  await using cluster = await start();
  const publish = (n: number, data: number) =>
    ask(`${cluster.gateway(n).http}/api/push/publish`, { body: { channel: "news", data } });
  let expected = 1;
  for (const n of [1, 2, 3, 1]) {
    await using client = await WireClient.open(`${cluster.gateway(n).ws}?client_id=mover`);
    await client.subscribe("news");
    if (expected === 1) await publish(3, expected);
    assertEquals(await read(client, 1), [expected]);
    await client.close(3000);
    await publish(1 + n % 3, ++expected);
  }
});

Deno.test("nodes: a client of @push/client that loses its node loses no message and gets none twice", async () => {
  await using cluster = await start();
  await using listener = await listen(cluster.balancer.ws, "news", "listener");
  const isHome = ({ port }: { port: number }) => cluster.balancer.open.get(port) === 1;
  const home = cluster.gateways.find(isHome)!;
  const other = cluster.gateways.find((it) => it !== home)!;
  await using publisher = new PushClient(other.ws, { clientId: "publisher" });
  await publisher.connect();
  const all = numbers(200);
  const publishing = (async () => {
    for (const n of all) await publisher.publish("news", n);
  })();
  await until(() => listener.got.length > 20, "messages flow");
  await home.kill();
  await publishing;
  await until(() => listener.got.length >= all.length, "all messages arrived");
  assertEquals(listener.got, all);
  assertEquals(listener.gaps, []);
});

Deno.test("nodes: the polls of one client go to every node in turn, and each message comes once, in order", async () => {
  await using cluster = await start();
  const post = async (action: string, body: Frame): Promise<Frame> => {
    const url = `${cluster.balancer.http}/api/push/poll/${action}`;
    // Each request is a connection of its own, so the balancer sends it to the next node.
    const answer = await ask(url, { body, headers: { connection: "close" } });
    assertEquals(answer.status, 200, `${action}: ${answer.text}`);
    return answer.body;
  };
  const { poll_token } = await post("register", { client_id: "poller" });
  await post("subscribe", { poll_token, channel: "news" });
  const got: unknown[] = [];
  for (const n of numbers(12)) {
    const url = `${cluster.gateway(1 + n % 3).http}/api/push/publish`;
    await ask(url, { body: { channel: "news", data: n } });
    const { messages } = await post("messages", { poll_token, timeout: 5 });
    for (const { data, event_id } of messages) {
      got.push(data);
      assertEquals(await post("ack", { poll_token, event_id }), { ok: true });
    }
  }
  assertEquals(got, numbers(12));
  await post("unregister", { poll_token });
});

Deno.test("nodes: the newest connection of a client wins, and the older one is told to stay away", async () => {
  await using cluster = await start();
  let older = await WireClient.open(`${cluster.gateway(1).ws}?client_id=twin`);
  await older.subscribe("news");
  for (const n of [2, 3, 1]) {
    const newer = await WireClient.open(`${cluster.gateway(n).ws}?client_id=twin`);
    await newer.subscribe("news");
    const { code, reason } = await within(older.closed, "the older connection to be closed");
    assert(code >= 4500 && code < 5000, `closed with ${code} ${reason}`);
    older = newer;
  }
  await ask(`${cluster.gateway(2).http}/api/push/publish`, { body: { channel: "news", data: 1 } });
  assertEquals(await read(older, 1), [1]);
  await older.close();
});

Deno.test("nodes: presence is one list; who was on a node that dies leaves within its lease, and nobody else", async () => {
  await using cluster = await start("--offline-timeout", "2", "--session-grace", "1");
  const clients = await Promise.all(
    cluster.gateways.map(({ ws }, n) => WireClient.open(`${ws}?client_id=member-${n + 1}`)),
  );
  for (const client of clients) await client.subscribe("room");
  const listed = async (n: number): Promise<string> => {
    const url = `${cluster.gateway(n).http}/api/push/presence?channel=room`;
    const { body } = await ask(url);
    return body.presence.map((it: Frame) => it.client_id).sort().join();
  };
  // The others stay because they are heard.
  const heartbeat = setInterval(() => {
    for (const client of clients) {
      if (client.isOpen) {
        client.send({ type: "presence.heartbeat", status: "online", metadata: {} });
      }
    }
  }, 300);
  try {
    for (const n of [1, 2, 3]) {
      const all = "member-1,member-2,member-3";
      await until(async () => await listed(n) === all, `node ${n} lists ${all}`);
    }
    await cluster.gateway(2).kill();
    for (const n of [1, 3]) {
      await until(async () => {
        const now = await listed(n);
        // Nobody is listed twice, and nobody is missing who is there.
        assert(["member-1,member-3", "member-1,member-2,member-3"].includes(now), now);
        return now === "member-1,member-3";
      }, `node ${n} lists who is left`);
    }
    await using back = await WireClient.open(`${cluster.gateway(1).ws}?client_id=member-2`);
    await back.subscribe("room");
    for (const n of [1, 3]) {
      const all = "member-1,member-2,member-3";
      await until(async () => await listed(n) === all, `node ${n} lists ${all} again`);
    }
  } finally {
    clearInterval(heartbeat);
  }
  await clients[0].close();
  await clients[2].close();
  await clients[1].closed;
});

Deno.test("nodes: what nobody acknowledges is sent again by one node, and becomes one dead letter", async () => {
  const quick = ["--ack-timeout", "0.3", "--retry-backoff", "1", "--max-retries", "2"];
  await using cluster = await start(...quick);
  await using client = await WireClient.open(`${cluster.gateway(1).ws}?client_id=silent`);
  await client.subscribe("news");
  await ask(`${cluster.gateway(2).http}/api/push/publish`, { body: { channel: "news", data: 1 } });
  const deliveries = await client.take(3, "channel_message");
  assertEquals(deliveries.map(({ _retry_count }) => _retry_count ?? 0), [0, 1, 2]);
  const letters = async (n: number) => {
    const { body } = await ask(`${cluster.gateway(n).http}/api/push/dead-letters`);
    return body.dead_letters as Frame[];
  };
  await until(async () => (await letters(3)).length > 0, "there is a dead letter");
  for (const n of [1, 2, 3]) {
    assertEquals((await letters(n)).map(({ data, attempts }) => [data, attempts]), [[1, 3]]);
  }
  assertEquals(await client.settled(), []);
});
