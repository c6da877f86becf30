import { assertEquals } from "@std/assert";
import type { GatewayEvent, GatewayEvents } from "../../mod.ts";
import type { LogRecord } from "../../server/logging/record.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { PollClient } from "../support/http_client.ts";
import { until } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

const QUIET = { presence: { broadcastChanges: false } };

/** Gathers what a gateway tells of one event. */
function heard<Event extends GatewayEvent>({ gateway }: Served, event: Event): unknown[] {
  const events: unknown[] = [];
  gateway.on(event, ((detail: unknown) => events.push(detail)) as GatewayEvents[Event]);
  return events;
}

Deno.test("events: connected and disconnected tell who, and over what", async () => {
  await using served = await startGateway({ push: QUIET });
  const connected = heard(served, "connected");
  const disconnected = heard(served, "disconnected");
  const ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await ann.ask({ type: "ping" });
  await ann.ask({ type: "ping" });
  const bob = await PollClient.register(served.http, { client_id: "bob" });
  assertEquals(connected, [
    { clientId: "ann", transport: "websocket" },
    { clientId: "bob", transport: "longpoll" },
  ]);
  await bob.post("unregister");
  await ann.close();
  await until(() => disconnected.length === 2, "both have gone");
  assertEquals(disconnected, connected.toReversed());
});

Deno.test("events: a takeover is one that goes and one that comes", async () => {
  await using served = await startGateway({ push: QUIET });
  const events: string[] = [];
  served.gateway.on("connected", ({ transport }) => events.push(`+${transport}`));
  served.gateway.on("disconnected", ({ transport }) => events.push(`-${transport}`));
  await using ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await ann.ask({ type: "ping" });
  await PollClient.register(served.http, { client_id: "ann" });
  await ann.closed;
  assertEquals(events, ["+websocket", "-websocket", "+longpoll"]);
});

Deno.test("events: published tells what was stored, once, and who published it", async () => {
  await using served = await startGateway({ push: QUIET });
  const published = heard(served, "published");
  await using ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await ann.publish("news", { n: 1 }, { id: "p1" });
  await ann.publish("news", { n: 1 }, { id: "p1" });
  const { eventId } = await served.gateway.publish("sport", [2]);
  assertEquals(published.length, 2);
  const [first, second] = published as Record<string, unknown>[];
  assertEquals([first.channel, first.seq, first.source, first.data], ["news", 1, "ann", { n: 1 }]);
  assertEquals(second, { channel: "sport", eventId, seq: 1, source: null, data: [2] });
});

Deno.test("events: deadLettered tells what was given up, by whom and why", async () => {
  await using served = await startGateway({ push: { ...QUIET, delivery: { maxRetries: 1 } } });
  const dead = heard(served, "deadLettered");
  await using ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await ann.subscribe("news");
  const { eventId } = await served.gateway.publish("news", { n: 1 });
  for (const _ of [1, 2]) {
    const { event_id } = await ann.next("channel_message");
    ann.send({ type: "message_nack", event_id });
  }
  await until(() => dead.length === 1, "the message is given up");
  assertEquals(dead, [{
    channel: "news",
    clientId: "ann",
    eventId,
    data: { n: 1 },
    attempts: 2,
    reason: "nack",
  }]);
});

/** A gateway, and what it logs. */
async function reporting(): Promise<{ served: Served; reports: LogRecord[] }> {
  const reports: LogRecord[] = [];
  const log = (record: LogRecord) => void reports.push(record);
  return { served: await startGateway({ log: { level: "error" }, push: QUIET }, { log }), reports };
}

Deno.test("events: a handler that throws is reported and harms nothing", async () => {
  const { served, reports } = await reporting();
  await using _ = served;
  const events: GatewayEvent[] = ["connected", "disconnected", "published"];
  for (const event of events) {
    served.gateway.on(event, () => {
      throw new Error(`handler of ${event}`);
    });
  }
  const later = heard(served, "published");
  await using ann = await WireClient.open(`${served.ws}?client_id=ann`);
  await ann.subscribe("news");
  assertEquals((await served.gateway.publish("news", 1)).delivered, 1);
  assertEquals((await ann.next()).data, 1);
  assertEquals(later.length, 1, "the other handler is called, too");
  await ann.close();
  await until(() => reports.length === 3, "all three are reported");
  assertEquals(
    reports.map(({ event, fields }) => [event, fields.about, fields.error]),
    ["connected", "published", "disconnected"].map((
      name,
    ) => ["handler.failed", name, `Error: handler of ${name}`]),
  );
});

Deno.test("events: an async handler that rejects is reported and does not end the process", async () => {
  const { served, reports } = await reporting();
  await using _ = served;
  served.gateway.on("published", async () => {
    await Promise.resolve();
    throw new Error("rejected");
  });
  await served.gateway.publish("news", 1);
  await until(() => reports.length === 1, "it is reported");
  assertEquals(reports[0].fields, { about: "published", error: "Error: rejected" });
  assertEquals((await served.gateway.publish("news", 2)).seq, 2);
  await until(() => reports.length === 2, "it is called and reported again");
});

Deno.test("events: a handler that was taken off hears no more", async () => {
  await using served = await startGateway({ push: QUIET });
  const seen: number[] = [];
  const off = served.gateway.on("published", ({ seq }) => seen.push(seq));
  await served.gateway.publish("news", 1);
  off();
  off();
  await served.gateway.publish("news", 2);
  assertEquals(seen, [1]);
});
