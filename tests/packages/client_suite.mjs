/**
 * The client in Node and Bun, from its npm package, against a gateway in a process of its own. Runs
 * from a folder whose `node_modules` hold `@push/client` and `ws`; `GATEWAY_COMMAND` is the command that
 * starts a gateway, as a JSON array. Plain JavaScript, as its users have it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PushClient, PushError } from "@push/client";
import { keepPublishes, storageStore } from "@push/client/outbox";
import * as protocol from "@push/client/protocol";
import { WebSocket as WsWebSocket } from "ws";
import { FileStorage } from "./file_storage.mjs";

const [program, ...words] = JSON.parse(process.env.GATEWAY_COMMAND);
const HAS_WEBSOCKET = typeof WebSocket === "function";
const TOKEN = "let-me-in";
const PATIENCE = 20_000;

/** Each way of travelling, and what a client is told to take it. */
const WAYS = {
  "the global WebSocket": { transports: ["websocket"] },
  "the WebSocket of ws": { transports: ["websocket"], WebSocket: WsWebSocket },
  "server-sent events": { transports: ["sse"] },
  "long-polling": { transports: ["longpoll"] },
};
if (!HAS_WEBSOCKET) delete WAYS["the global WebSocket"];

let folder, gateway, port;
const clients = new Set();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "push-client-"));
  gateway = await start(0);
  port = gateway.port;
});

// However this process ends, the gateway does not outlive it.
process.on("exit", () => gateway?.child.kill("SIGKILL"));

after(async () => {
  for (const client of clients) await client.disconnect({ forget: true });
  await kill(gateway);
  await rm(folder, { recursive: true, force: true });
});

/** Starts a gateway that keeps everything in a file, and waits until it listens. */
function start(port) {
  const options = ["--port", `${port}`, "--store", "kv", "--kv-path", join(folder, "push.db")];
  const more = ["--token", TOKEN, "--max-retries", "1"];
  const child = spawn(program, [...words, ...options, ...more], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
      const found = /ws:\/\/127\.0\.0\.1:(\d+)\/ws/.exec(text);
      if (found) resolve({ child, port: Number(found[1]) });
    });
    child.on("exit", () => reject(new Error(`The gateway ended: ${text}`)));
  });
}

/** Ends a gateway as a crash does. */
function kill({ child }) {
  return new Promise((resolve) => {
    child.on("exit", resolve);
    child.kill("SIGKILL");
  });
}

function clientOf(options = {}) {
  const client = new PushClient(`ws://127.0.0.1:${port}/ws`, {
    authToken: TOKEN,
    reconnectDelay: { min: 0.05, max: 0.2 },
    ...options,
  });
  clients.add(client);
  return client;
}

async function connected(options) {
  const client = clientOf(options);
  await client.connect();
  return client;
}

async function leave(...leaving) {
  for (const client of leaving) {
    await client.disconnect({ forget: true });
    clients.delete(client);
  }
}

/** Waits for something that must happen. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited in vain for ${what()}`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A list that can be waited for. */
function collector() {
  const list = [];
  const waiters = new Set();
  return {
    list,
    add(item) {
      list.push(item);
      for (const waiter of waiters) waiter();
    },
    has(count) {
      const full = new Promise((resolve) => {
        const look = () => list.length >= count && resolve(waiters.delete(look));
        waiters.add(look);
        look();
      });
      return within(full, () => `${count} items: ${JSON.stringify(list)}`);
    },
  };
}

function numbers(from, to) {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

async function api(path, body) {
  const response = await fetch(`http://127.0.0.1:${port}/api/push/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  assert.equal(response.status, 200);
  return await response.json();
}

test("without options it connects over the best transport that is there", async () => {
  const client = await connected();
  assert.equal(client.transport, HAS_WEBSOCKET ? "websocket" : "sse");
  assert.equal(client.isConnected, true);
  await leave(client);
  assert.equal(client.state, "closed");
});

test("a WebSocket asked for where there is none is refused by name", () => {
  if (HAS_WEBSOCKET) return assert.equal(clientOf({ transports: ["websocket"] }).state, "idle");
  assert.throws(() => clientOf({ transports: ["websocket"] }), /'WebSocket'/);
});

let round = 0;
for (const [name, way] of Object.entries(WAYS)) {
  const channelOf = (what) => `${what}-${round}`;

  test(`over ${name} messages come once, in order`, async () => {
    round++;
    const channel = channelOf("order");
    const [publisher, subscriber] = [await connected(way), await connected(way)];
    assert.equal(subscriber.transport, way.transports[0]);
    const heard = collector();
    await subscriber.subscribe(channel, ({ data }) => heard.add(data));
    const published = await Promise.all(
      numbers(1, 300).map((n) => publisher.publish(channel, n)),
    );
    await heard.has(300);
    assert.deepEqual(heard.list, numbers(1, 300));
    assert.equal(new Set(published.map(({ eventId }) => eventId)).size, 300);
    await leave(publisher, subscriber);
  });

  test(`over ${name} a crash of the gateway loses and repeats nothing`, async () => {
    const channel = channelOf("crash");
    const [publisher, subscriber] = [await connected(way), await connected(way)];
    const heard = collector();
    const gaps = collector();
    subscriber.on("gap", gaps.add);
    await subscriber.subscribe(channel, ({ data }) => heard.add(data));
    for (const n of numbers(1, 20)) await publisher.publish(channel, n);
    await heard.has(20);
    await kill(gateway);
    const away = numbers(21, 40).map((n) => publisher.publish(channel, n));
    gateway = await start(port);
    await within(Promise.all(away), () => "publishes made while the gateway was away");
    await publisher.publish(channel, 41);
    await heard.has(41);
    assert.deepEqual(heard.list, numbers(1, 41));
    assert.deepEqual(gaps.list, []);
    await leave(publisher, subscriber);
  });

  test(`over ${name} a named client gets what came while its program was away`, async () => {
    const channel = channelOf("away");
    const clientId = `desk-${round}`;
    const [publisher, first] = [await connected(way), await connected({ ...way, clientId })];
    await first.subscribe(channel);
    await first.disconnect();
    for (const n of numbers(1, 3)) await publisher.publish(channel, n);
    const second = await connected({ ...way, clientId });
    const heard = collector();
    await second.subscribe(channel, ({ data }) => heard.add(data));
    await heard.has(3);
    assert.deepEqual(heard.list, [1, 2, 3]);
    await leave(publisher, first, second);
  });

  test(`over ${name} a message is acknowledged, refused, given up and put back`, async () => {
    const channel = channelOf("settle");
    const [publisher, subscriber] = [await connected(way), await connected(way)];
    const heard = collector();
    await subscriber.subscribe(channel, heard.add, { ack: "manual" });
    await publisher.publish(channel, "job");
    await heard.has(1);
    heard.list[0].nack();
    await heard.has(2);
    const [first, second] = heard.list;
    assert.deepEqual([first.redelivered, first.retryCount], [false, 0]);
    assert.deepEqual([second.redelivered, second.retryCount], [true, 1]);
    assert.equal(first.eventId, second.eventId);
    second.nack();
    await within(
      (async () => {
        while ((await api(`dead-letters?channel=${channel}`)).dead_letters.length === 0);
      })(),
      () => "the dead letter",
    );
    await api("dead-letters/redrive", { channel });
    await heard.has(3);
    const third = heard.list[2];
    assert.deepEqual([third.data, third.redriven, third.retryCount], ["job", true, 0]);
    third.ack();
    await publisher.publish(channel, "next");
    await heard.has(4);
    assert.equal(heard.list[3].data, "next");
    heard.list[3].ack();
    await leave(publisher, subscriber);
  });

  test(`over ${name} a handler that throws gets its message again`, async () => {
    const channel = channelOf("throw");
    const [publisher, subscriber] = [await connected(way), await connected(way)];
    const heard = collector();
    const errors = collector();
    subscriber.on("error", errors.add);
    await subscriber.subscribe(channel, ({ data, retryCount }) => {
      heard.add([data, retryCount]);
      if (data === "bad" && retryCount === 0) throw new Error("Not this time");
    });
    await publisher.publish(channel, "bad");
    await publisher.publish(channel, "good");
    await heard.has(3);
    assert.deepEqual(heard.list, [["bad", 0], ["good", 0], ["bad", 1]]);
    assert.equal(errors.list[0].origin, "handler");
    assert.match(`${errors.list[0].error}`, /Not this time/);
    await leave(publisher, subscriber);
  });

  test(`over ${name} clients see each other`, async () => {
    const channel = channelOf("presence");
    const [watcher, other] = [
      await connected(way),
      await connected({ ...way, clientId: `other-${round}` }),
    ];
    const seen = collector();
    for (const event of ["presence_join", "presence_update", "presence_leave"]) {
      watcher.on(event, ({ clientId, status }) => seen.add([event, clientId, status]));
    }
    await watcher.subscribe(channel);
    await other.subscribe(channel);
    await seen.has(1);
    await other.setStatus("busy", { role: "worker" });
    await seen.has(2);
    const [entry] = (await watcher.getPresence(channel))
      .filter(({ clientId }) => clientId === `other-${round}`);
    assert.deepEqual([entry.status, entry.metadata], ["busy", { role: "worker" }]);
    await leave(other);
    await seen.has(3);
    assert.deepEqual(seen.list, [
      ["presence_join", `other-${round}`, "online"],
      ["presence_update", `other-${round}`, "busy"],
      ["presence_leave", `other-${round}`, "offline"],
    ]);
    await leave(watcher);
  });

  test(`over ${name} messages are read one by one, and waited for`, async () => {
    const channel = channelOf("read");
    const [publisher, subscriber] = [await connected(way), await connected(way)];
    const jobs = await subscriber.subscribe(channel);
    for (const n of numbers(1, 3)) await publisher.publish(channel, n);
    const read = [];
    for await (const message of jobs) {
      read.push(message.data);
      if (message.data < 3) continue;
      message.ack();
      break;
    }
    assert.deepEqual(read, [1, 2, 3]);
    await jobs.unsubscribe();
    await assert.rejects(subscriber.waitFor(channel, { timeout: 0.05 }), { name: "TimeoutError" });
    await leave(publisher, subscriber);
  });

  test(`over ${name} a wrong token closes the client with its code`, async () => {
    const client = clientOf({ ...way, authToken: "wrong" });
    await assert.rejects(within(client.connect(), () => "the refusal"), (error) => {
      assert.ok(error instanceof PushError);
      assert.equal(error.code, "token_invalid");
      return true;
    });
    await leave(client);
  });
}

test("wrong arguments are refused at once, by name", async () => {
  assert.throws(() => new PushClient("nowhere"), { name: "RangeError", message: /'url'/ });
  assert.throws(() => clientOf({ nonsense: 1 }), { name: "TypeError", message: /nonsense/ });
  assert.throws(() => clientOf({ publishTimeout: 0 }), { message: /'publishTimeout'/ });
  const client = clientOf();
  await assert.rejects(client.subscribe(""), { message: /'channel'/ });
  await assert.rejects(client.publish("alerts", 1n), { name: "TypeError", message: /'data'/ });
  await leave(client);
});

test("what waits when the client is closed rejects as disconnected", async () => {
  const client = clientOf();
  const waiting = client.waitFor("never");
  waiting.catch(() => {});
  await client.disconnect();
  await assert.rejects(waiting, { name: "PushError", code: "disconnected" });
  await leave(client);
});

test("a signal ends a wait", async () => {
  const client = await connected();
  const controller = new AbortController();
  const waiting = client.waitFor("never", { signal: controller.signal });
  controller.abort(new Error("Enough"));
  await assert.rejects(waiting, /Enough/);
  await leave(client);
});

test("a client is disposed of by the key that the runtime has, or by its own", async () => {
  const client = await connected();
  await client[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]();
  assert.equal(client.state, "closed");
  assert.equal("undefined" in client, false);
});

test("publishes of a program that crashed are sent by the next one, once, in order", async () => {
  const file = join(folder, "outbox.json");
  const subscriber = await connected();
  const heard = collector();
  await subscriber.subscribe("left-over", ({ data }) => heard.add(data));
  // A port that nobody listens on: the program cannot send what it publishes.
  const env = { ...process.env, OUTBOX: file, ADDRESS: "ws://127.0.0.1:9/ws" };
  const crashing = spawn(process.execPath, ["./crashing.mjs"], { env, stdio: "inherit" });
  await within(once(crashing, "exit"), () => "the crash");
  assert.equal(new FileStorage(file).length, 3);
  const next = await connected({ outbox: keepPublishes(storageStore(new FileStorage(file))) });
  await heard.has(3);
  await next.publish("left-over", 4);
  await heard.has(4);
  assert.deepEqual(heard.list, [1, 2, 3, 4]);
  await leave(subscriber, next);
  assert.equal(new FileStorage(file).length, 0);
});

test("what does not fit the schema never reaches the handler", async () => {
  const validate = (value) => typeof value === "number" ? { value: value + 1 } : { issues: [] };
  const schema = { "~standard": { version: 1, vendor: "test", validate } };
  const client = await connected();
  const heard = collector();
  const errors = collector();
  client.on("error", errors.add);
  await client.subscribe("numbers", ({ data }) => heard.add(data), { schema });
  await client.publish("numbers", "one", { echo: true });
  await client.publish("numbers", 1, { echo: true });
  await heard.has(1);
  assert.deepEqual([heard.list, errors.list[0].origin], [[2], "schema"]);
  await leave(client);
});

test("a report says what it runs in, and not the token", async () => {
  const client = await connected();
  const report = await client.diagnose();
  assert.match(report.runtime, process.versions.bun ? /Bun/ : /Node/);
  assert.match(`${report}`, /connected/);
  assert.doesNotMatch(`${report}${JSON.stringify(report)}`, new RegExp(TOKEN));
  await leave(client);
});

test("the table of codes is an entry point of its own", () => {
  assert.equal(new protocol.PushError("rate_limited").code, "rate_limited");
  assert.equal(protocol.PushError, PushError);
});
