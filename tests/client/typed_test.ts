import { assertEquals } from "@std/assert";
import {
  type ClientOptions,
  type Json,
  type Message,
  PushClient,
  type Subscription,
} from "@push/client";
import * as v from "valibot";
import { ManualClock } from "../../server/testing/mod.ts";
import { clientOf, FakeGateway } from "./fake_gateway.ts";

const LEVEL = v.picklist(["info", "bad"]);

interface Alert {
  level: "info" | "bad";
}
interface Chat {
  text: string;
}
interface Channels {
  alerts: Alert;
  count: number;
  [room: `room:${string}`]: Chat;
  anything: unknown;
}

/** Compiles only if both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
function assertType<_ extends true>(): void {}

function clients(): {
  typed: PushClient<Channels>;
  untyped: PushClient;
  gateway: FakeGateway;
  settle: () => Promise<void>;
} {
  const clock = new ManualClock();
  const gateway = new FakeGateway();
  const typed: PushClient<Channels> = clientOf(gateway, clock) as PushClient<Channels>;
  return { typed, untyped: clientOf(gateway, clock), gateway, settle: () => clock.advance(0) };
}

Deno.test("a map of channels gives handlers, loops and waits the payloads of their channel", async () => {
  const { typed, gateway, settle } = clients();
  await typed.connect();
  const got: unknown[] = [];
  await typed.subscribe("alerts", (message) => {
    assertType<Same<typeof message, Message<Alert>>>();
    got.push(message.data.level);
  });
  const rooms = await typed.subscribe("room:1");
  assertType<Same<typeof rooms, Subscription<Chat>>>();
  const count = typed.waitFor("count", {
    match: (message) => {
      assertType<Same<typeof message, Message<number>>>();
      return message.data > 1;
    },
  });
  assertType<Same<typeof count, Promise<Message<number>>>>();
  await settle();
  gateway.message("alerts", 1, { data: { level: "bad" } });
  gateway.message("room:1", 1, { data: { text: "hello" } });
  gateway.message("count", 1, { data: 2 });
  for await (const { data } of rooms) {
    got.push(data.text);
    break;
  }
  got.push((await count).data);
  assertEquals(got, ["bad", "hello", 2]);
  await typed.disconnect();
});

Deno.test("the channel of a message tells which payload it has", async () => {
  const { typed, gateway, settle } = clients();
  await typed.connect();
  const got: unknown[] = [];
  typed.on("channel_message", (message) => {
    if (message.channel === "alerts") {
      assertType<Same<typeof message.data, Alert>>();
      got.push(message.data.level);
    } else if (message.channel === "count") {
      assertType<Same<typeof message.data, number>>();
      got.push(message.data + 1);
    }
  });
  await typed.subscribe("alerts");
  await typed.subscribe("count");
  gateway.message("alerts", 1, { data: { level: "info" } });
  gateway.message("count", 1, { data: 41 });
  await settle();
  assertEquals(got, ["info", 42]);
  await typed.disconnect();
});

Deno.test("publish() takes what the map says, and createChannel() and the others only its names", async () => {
  const { typed, gateway } = clients();
  await typed.connect();
  await typed.publish("alerts", { level: "info" });
  await typed.publish("room:7", { text: "hi" });
  await typed.publish("anything", [1, "two"]);
  await typed.createChannel("count");
  await typed.getPresence("room:2");
  await typed.unsubscribe("alerts");
  assertEquals(gateway.of("channel.publish").map(({ data }) => data), [
    { level: "info" },
    { text: "hi" },
    [1, "two"],
  ]);
  await typed.disconnect();
});

// Never called: the checker proves each line.
function _refused(typed: PushClient<Channels>, name: string): unknown[] {
  return [
    // @ts-expect-error: a name that is not in the map
    typed.subscribe("alert"),
    // @ts-expect-error: any name at all
    typed.subscribe(name),
    // @ts-expect-error: a handler of other payloads
    typed.subscribe("alerts", (_: Message<number>) => {}),
    // @ts-expect-error: a member that the payload has not
    typed.subscribe("room:1", ({ data }) => data.level),
    // @ts-expect-error: another payload
    typed.publish("alerts", { level: "good" }),
    // @ts-expect-error: the payload of another channel
    typed.publish("room:1", 5),
    // @ts-expect-error: a name that is not in the map
    typed.publish("rooms:1", { text: "" }),
    // @ts-expect-error: a name that is not in the map
    typed.waitFor("alert"),
    // @ts-expect-error: a test of other payloads
    typed.waitFor("count", { match: (_: Message<string>) => true }),
    // @ts-expect-error: a name that is not in the map
    typed.createChannel("nothing"),
    // @ts-expect-error: a name that is not in the map
    typed.unsubscribe("nothing"),
    // @ts-expect-error: a name that is not in the map
    typed.getPresence("nothing"),
    // @ts-expect-error: there is no such event
    typed.on("message", () => {}),
    typed.subscribe("alerts", ({ data }) => data.level, { schema: v.object({ level: LEVEL }) }),
    // @ts-expect-error: a schema of other payloads
    typed.subscribe("alerts", () => {}, { schema: v.number() }),
    // @ts-expect-error: a schema of other payloads
    typed.waitFor("count", { schema: v.string() }),
  ];
}

function _untyped(client: PushClient, options: ClientOptions, name: string): unknown[] {
  const any = client.subscribe(name);
  assertType<Same<typeof any, Promise<Subscription<Json>>>>();
  const said = client.subscribe<Alert>(name, ({ data }) => data.level);
  assertType<Same<typeof said, Promise<Subscription<Alert>>>>();
  const inferred = client.subscribe(name, (_: Message<Chat>) => {});
  assertType<Same<typeof inferred, Promise<Subscription<Chat>>>>();
  const waited = client.waitFor<number>(name, { match: ({ data }) => data > 1 });
  assertType<Same<typeof waited, Promise<Message<number>>>>();
  const made = client.subscribe(name, { schema: v.pipe(v.string(), v.transform(Number)) });
  assertType<Same<typeof made, Promise<Subscription<number>>>>();
  const matched = client.waitFor(name, {
    schema: v.object({ level: LEVEL }),
    match: ({ data }) => data.level === "bad",
  });
  assertType<Same<typeof matched, Promise<Message<{ level: "info" | "bad" }>>>>();
  client.on("channel_message", (message) => assertType<Same<typeof message, Message>>());
  return [
    any,
    made,
    matched,
    client.publish(name, new Date()),
    new PushClient("ws://x", options),
    // @ts-expect-error: nothing is known of the payload
    client.subscribe(name, ({ data }) => data.level),
  ];
}

Deno.test("a client with a map passes where any client is wanted", () => {
  const { typed, untyped } = clients();
  const of = (client: PushClient): string => client.state;
  assertEquals([of(typed), of(untyped)], ["idle", "idle"]);
});

Deno.test("where the map says unknown the call says what is expected", async () => {
  const { typed, gateway, settle } = clients();
  await typed.connect();
  const got: string[] = [];
  const subscription = await typed.subscribe<Chat>("anything", ({ data }) => got.push(data.text));
  assertType<Same<typeof subscription, Subscription<Chat>>>();
  gateway.message("anything", 1, { data: { text: "x" } });
  await settle();
  assertEquals(got, ["x"]);
  await typed.disconnect();
});
