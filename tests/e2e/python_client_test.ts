import { assert, assertEquals } from "@std/assert";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { until } from "../support/within.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";
import { PythonProcess } from "./python_process.ts";

const TOKEN = "s3cret";
const MESSAGES = 60;

/** Publishes to the Python client, with somebody coming and going between. */
async function talk({ gateway, ws }: Served): Promise<void> {
  await gateway.publish("alerts", { n: 0, text: "grüße \u2028 😀" });
  const guest = await WireClient.open(`${ws}?client_id=guest&token=${TOKEN}`);
  await guest.subscribe("alerts");
  await Promise.all(
    Array.from({ length: MESSAGES - 1 }, (_, n) => gateway.publish("alerts", { n: n + 1 })),
  );
  await guest.close();
}

function checkMessages(printed: readonly Frame[]): void {
  const messages = printed.filter(({ type }) => type === "channel_message");
  const numbered = messages.filter(({ data }) => typeof data === "object");
  assertEquals(numbered.map(({ data }) => data.n), Array.from({ length: MESSAGES }, (_, n) => n));
  assertEquals(numbered[0].data.text, "grüße \u2028 😀");
  assertEquals(new Set(numbered.map(({ event_id }) => event_id)).size, MESSAGES);
  for (const message of numbered) {
    const keys = ["type", "channel", "data", "event_id", "timestamp", "source", "target"];
    assertEquals(Object.keys(message), keys);
  }
}

async function allSettled(served: Served, clientId: string): Promise<void> {
  const presence = await served.gateway.presence();
  assertEquals(presence.filter((present) => present.clientId === clientId), []);
  assertEquals(await served.gateway.deadLetters(), []);
  const { text } = await ask(`${served.http}/metrics`, { token: TOKEN });
  const counter = (name: string) =>
    Number(new RegExp(`^push_${name} (\\d+)$`, "m").exec(text)?.[1]);
  assertEquals(counter("timed_out_total"), 0);
  assert(counter("acknowledged_total") >= MESSAGES + 1);
}

for (const [how, websocket] of [["header", "deno"], ["query", "deno"], ["header", "ws"]] as const) {
  Deno.test(`Python over a WebSocket of ${websocket}, its token in the ${how}: all frames of the fixed wire`, async () => {
    await using served = await startGateway({ authToken: TOKEN, websocket });
    await using watcher = await WireClient.open(served.ws, { authorization: `Bearer ${TOKEN}` });
    await watcher.subscribe("replies");
    const args = [`${served.ws}?client_id=py`, how];
    await using client = await PythonProcess.start("websocket_client.py", args, { TOKEN });

    await client.line("a pong", ({ type }) => type === "pong");
    const reply = await watcher.next("channel_message");
    assertEquals([reply.data, reply.source], [{ hello: "world" }, "py"]);
    const [py] = await served.gateway.presence("alerts");
    assertEquals([py.clientId, py.status, py.metadata], ["py", "online", { lang: "python" }]);
    await talk(served);
    await served.gateway.publish("alerts", "again");
    await client.line(
      "the redelivery",
      ({ data, _redelivered }) => data === "again" && _redelivered,
    );
    await served.gateway.publish("alerts", "stop");
    await client.end();

    const { printed } = client;
    const answer = (type: string) => printed.find((frame) => frame.type === type);
    assertEquals(answer("channel.created"), {
      type: "channel.created",
      channel: "python",
      ok: true,
    });
    assertEquals(answer("channel.subscribed"), {
      type: "channel.subscribed",
      channel: "alerts",
      ok: true,
    });
    assertEquals(answer("channel.published"), {
      type: "channel.published",
      channel: "replies",
      delivered: 1,
    });
    assertEquals(answer("channel.list")?.channels.toSorted(), ["alerts", "python", "replies"]);
    assertEquals(answer("presence.list")?.clients[0].client_id, "py");
    assertEquals(answer("presence.heartbeat_ack"), { type: "presence.heartbeat_ack", ok: true });
    checkMessages(printed);
    // Every message was outstanding when it was acknowledged; presence never is.
    const acknowledged = printed.filter(({ type }) => type === "ack_received");
    for (const { event_id, ok } of acknowledged) {
      assertEquals(ok, !event_id.startsWith("presence"), event_id);
    }
    assertEquals(acknowledged.filter(({ ok }) => ok).length >= MESSAGES + 1, true);
    assertEquals(printed.filter(({ type }) => type === "error"), []);
    await until(async () => (await served.gateway.presence("alerts")).length === 0, "py has left");
    await allSettled(served, "py");
  });
}

Deno.test("Python over a WebSocket, with a wrong token: the upgrade is refused", async () => {
  await using served = await startGateway({ authToken: TOKEN });
  const args = [`${served.ws}?client_id=py`, "header"];
  await using client = await PythonProcess.start("websocket_client.py", args, { TOKEN: "wrong" });
  let complaint = "";
  await client.end().catch((error) => complaint = error.message);
  assert(complaint.includes("401"), complaint);
});

for (const websocket of ["deno", "ws"] as const) {
  Deno.test(`Python over long-polling of ${websocket}: every route of the fixed wire`, () => {
    return poll(websocket);
  });
}

async function poll(websocket: "deno" | "ws"): Promise<void> {
  await using served = await startGateway({ authToken: TOKEN, websocket });
  await using watcher = await WireClient.open(served.ws, { authorization: `Bearer ${TOKEN}` });
  await watcher.subscribe("replies");
  await using client = await PythonProcess.start("polling_client.py", [served.ws], { TOKEN });

  const { answer: registered } = await client.line("register", ({ route }) => route === "register");
  assertEquals(Object.keys(registered), ["client_id", "poll_token"]);
  const { client_id } = registered;
  const { answer: { presence } } = await client.line(
    "presence",
    ({ route }) => route === "presence",
  );
  assertEquals(presence.map(({ last_seen: _, ...it }: Frame) => it), [
    { client_id, status: "online", metadata: { lang: "python" }, channels: ["alerts"] },
  ]);
  const reply = await watcher.next("channel_message");
  assertEquals([reply.data, reply.source], [{ hello: "world" }, client_id]);
  await client.line("publish", ({ route }) => route === "publish");
  await talk(served);
  await served.gateway.publish("alerts", "stop");
  await client.end();

  const answers = (route: string) =>
    client.printed.filter((line) => line.route === route).map(({ answer }) => answer);
  assertEquals(answers("subscribe"), [{ ok: true, channel: "alerts" }]);
  assertEquals(answers("heartbeat"), [{ ok: true }]);
  assertEquals(answers("publish"), [{ ok: true, channel: "replies", delivered: 1 }]);
  assertEquals(answers("unsubscribe"), [{ ok: true, channel: "alerts" }]);
  assertEquals(answers("ack").filter(({ ok }) => ok).length, MESSAGES + 1);
  checkMessages(client.printed);
}
