import { assert, assertEquals } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { WireClient } from "../support/wire_client.ts";

Deno.test("nobody is present as somebody else, whatever a heartbeat says", async () => {
  await using served = await startGateway();
  await using ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await ann.subscribe("news");
  await ann.ask({ type: "presence.heartbeat", status: "busy", metadata: { role: "owner" } });
  await using eve = await WireClient.open(`${served.ws}?client_id=eve`);
  for (
    const claim of [
      { client_id: "ann" },
      { clientId: "ann", source: "ann", session: "n:ann:anonymous" },
      { entry: { client_id: "ann" }, presence: [{ client_id: "ann", status: "offline" }] },
    ]
  ) {
    const answer = await eve.ask({ type: "presence.heartbeat", status: "gone", ...claim });
    assertEquals(answer, { type: "presence.heartbeat_ack", ok: true });
  }
  const poller = await PollClient.register(served.http, { client_id: "mal" });
  assertEquals((await poller.post("heartbeat", { client_id: "ann", status: "gone" })).status, 200);
  const [member, ...others] = await served.gateway.presence("news");
  assertEquals([member.clientId, member.status, member.metadata], ["ann", "busy", {
    role: "owner",
  }]);
  assertEquals(others, [], "who has not subscribed is in no channel");
});

Deno.test("metadata and a status beyond their limits are refused, and change nothing", async () => {
  await using served = await startGateway();
  await using client = await WireClient.open(`${served.ws}?client_id=ann`);
  const beat = { type: "presence.heartbeat", status: "busy", metadata: { a: 1 } };
  assertEquals((await client.ask(beat)).ok, true);
  const before = (await served.gateway.presence()).map((
    { status, metadata },
  ) => [status, metadata]);
  const long = "x".repeat(1_000_000);
  const keys = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, i]));
  for (const metadata of [{ a: long }, { [long]: 1 }, keys, { a: "ü".repeat(520) }]) {
    assertEquals((await client.ask({ ...beat, metadata })).code, "metadata_too_large");
    const created = await client.ask({ type: "channel.create", channel: "plan", metadata });
    assertEquals(created.code, "metadata_too_large");
  }
  assertEquals((await client.ask({ ...beat, status: long })).code, "bad_request");
  const poller = await PollClient.register(served.http, { client_id: "ann2" });
  const { status, body } = await poller.post("heartbeat", { metadata: { a: long } });
  assertEquals([status, body.code], [413, "metadata_too_large"]);
  const after = (await served.gateway.presence()).filter(({ clientId }) => clientId === "ann");
  assertEquals(after.map(({ status, metadata }) => [status, metadata]), before);
  assertEquals(await served.gateway.channels(), []);
});

Deno.test("who comes and goes without end leaves nothing behind, and others hear the end of it", async () => {
  await using served = await startGateway();
  await using witness = await WireClient.open(`${served.ws}?client_id=witness`);
  await witness.subscribe("news");
  await using flapping = await WireClient.open(`${served.ws}?client_id=flapping`);
  const times = 1000;
  for (let n = 0; n < times; n++) {
    flapping.send({ type: "channel.subscribe", channel: "news" });
    flapping.send({ type: "presence.heartbeat", status: `s${n}` });
    flapping.send({ type: "channel.unsubscribe", channel: "news" });
  }
  await flapping.take(3 * times);
  assertEquals((await served.gateway.presence("news")).map(({ clientId }) => clientId), [
    "witness",
  ]);
  await served.gateway.publish("news", "still here");
  assertEquals((await witness.next("channel_message")).data, "still here");
  const heard = witness.unread.filter(({ type }) => type.startsWith("presence_"));
  assert(heard.length < times, `${heard.length} events for ${times} comings and goings`);
  const { push } = (await ask(`${served.http}/health`)).body;
  assertEquals([push.sessions, push.connections.websocket], [2, 2]);
});
