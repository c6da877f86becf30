import { assert, assertEquals, assertMatch } from "@std/assert";
import { PushClient, type PushError, type StateChange } from "@push/client";
import { VERSION } from "../../client/diagnose.ts";
import { Gateway } from "../../mod.ts";
import config from "../../client/deno.json" with { type: "json" };
import { connected, setUp } from "./setup.ts";

Deno.test("each change of state has a code, a reason and what to do", async () => {
  const { client, gateway, clock } = setUp();
  const changes: StateChange[] = [];
  client.on("state", (change) => changes.push(change));
  await client.connect();
  gateway.drop(4000, "going_away: restarting");
  await clock.advance(500);
  gateway.drop(4510);
  await clock.advance(0);
  assertEquals(
    changes.map(({ state, code, action }) => [state, code, action]),
    [
      ["connecting", undefined, undefined],
      ["connected", undefined, undefined],
      ["reconnecting", "going_away", "Try again later."],
      ["connected", undefined, undefined],
      ["closed", "replaced", "Use another clientId, or stay away."],
    ],
  );
  for (const { reason } of changes) assert(reason.length > 5, reason);
});

Deno.test("diagnose() says how things stand, as JSON and as text", async () => {
  const health = () => Promise.resolve(new Response('{"status":"ok"}'));
  const { client, gateway, settle } = await connected({ clientId: "shop", fetch: health });
  await client.subscribe("a", () => {}, { ack: "manual" });
  await client.subscribe("b");
  gateway.message("a", 1);
  gateway.message("a", 2);
  gateway.answers["channel.publish"] = () => undefined;
  client.publish("a", "a secret payload").catch(() => {});
  await settle();
  const report = await client.diagnose();
  assertEquals(JSON.parse(JSON.stringify(report)), { ...report });
  assertEquals(JSON.parse(`${report}`), { ...report });
  const { runtime, terms, ...rest } = report;
  assertEquals(rest, {
    version: VERSION,
    url: "ws://gateway.test/ws",
    state: "connected",
    reason: "Connected over websocket.",
    transport: "websocket",
    failures: {},
    clientId: "shop",
    named: true,
    outbox: 1,
    channels: [
      { channel: "a", flowing: true, epoch: "e1", seq: 2, unsettled: 2 },
      { channel: "b", flowing: true, epoch: "e1", seq: 0, unsettled: 0 },
    ],
    health: '200 after 0 ms: {"status":"ok"}',
  });
  assertMatch(runtime!, /^Deno\//);
  assertEquals(terms.ackTimeout, 30_000);
  assert(!`${report}`.includes("secret"));
  await client.disconnect();
});

Deno.test("diagnose() says what went wrong, and what to do", async () => {
  const fails = () => Promise.reject(new TypeError("connection refused"));
  const { client, gateway, clock } = setUp({ fetch: fails });
  gateway.sockets = "refused";
  client.connect().catch(() => {});
  await clock.advance(10);
  const { state, code, action, transport, failures, health } = await client.diagnose();
  assertEquals([state, code, transport], ["connecting", "connection_failed", undefined]);
  assertMatch(action!, /allowedOrigins/);
  assertEquals(Object.keys(failures).sort(), ["longpoll", "sse", "websocket"]);
  assertMatch(failures.websocket!, /1006/);
  assertEquals(health, "TypeError: connection refused");
  await client.disconnect();
});

Deno.test("diagnose() waits for /health no longer than requestTimeout", async () => {
  const asked: string[] = [];
  let signal: AbortSignal | null | undefined;
  const { client, clock } = setUp({
    requestTimeout: 3,
    fetch: (url, init) => {
      asked.push(url);
      signal = init.signal;
      return new Promise(() => {});
    },
  });
  const diagnosing = client.diagnose();
  await clock.advance(3000);
  assertEquals((await diagnosing).health, "PushError: It took too long.");
  assertEquals([asked, signal?.aborted], [["http://gateway.test/health"], true]);
  assertEquals(clock.pending, 0);
});

Deno.test("no token and no secret is ever in a diagnosis, whoever repeats it", async () => {
  const secrets = ["t0ken-of-the-user", 'quote"d\\token', "in-the-url"];
  for (const token of secrets.slice(0, 2)) {
    for (const authToken of [token, () => Promise.resolve(token)]) {
      const { gateway, clock } = setUp();
      const client = new PushClient(`ws://gateway.test/ws?token=${secrets[2]}&x=y`, {
        authToken,
        clock,
        WebSocket: gateway.WebSocket,
        fetch: (url) => Promise.reject(new TypeError(`${url} ${token} s3cret ${secrets[2]}`)),
      });
      client.on("error", () => {});
      await client.connect();
      gateway.drop(4000, `going_away: not you, ${token} ${secrets[2]} s3cret`);
      await clock.advance(0);
      const report = await client.diagnose();
      assertMatch(report.reason, /not you/, `${report}`);
      for (const secret of [...secrets, "s3cret"]) {
        for (const form of [secret, JSON.stringify(secret).slice(1, -1)]) {
          assert(!`${report}`.includes(form), `${report}`);
          assert(!JSON.stringify(report).includes(form), form);
          assert(!Deno.inspect(report).includes(form), form);
        }
      }
      assertEquals(report.url, "ws://gateway.test/ws");
      await client.disconnect();
    }
  }
});

Deno.test("a diagnosis never rejects, whatever the state", async () => {
  const { client, clock } = setUp({ authToken: () => Promise.reject(new Error("no token today")) });
  assertEquals((await client.diagnose()).state, "idle");
  const refused = client.connect().catch((error: PushError) => error);
  await clock.advance(0);
  const { reason } = await client.diagnose();
  assertMatch(reason, /no token today/);
  await client.disconnect();
  await refused;
  assertEquals((await client.diagnose()).state, "closed");
});

Deno.test("diagnose() of a client of a real gateway tells that it is healthy", async () => {
  const gateway = new Gateway({
    port: 0,
    log: { level: "off" },
    authToken: "the-shared-token",
    push: { enabled: true },
  });
  await gateway.start();
  const client = new PushClient(`ws://127.0.0.1:${gateway.address.port}/ws`, {
    authToken: "the-shared-token",
  });
  await client.connect();
  const report = await client.diagnose();
  assertMatch(report.health, /^200 after \d+ ms: \{"status":"ok"/);
  assert(!`${report}`.includes("the-shared-token"));
  await client.disconnect();
  await gateway.stop();
});

Deno.test("the version in a diagnosis is that of the package", () => {
  assertEquals(VERSION, config.version);
});
