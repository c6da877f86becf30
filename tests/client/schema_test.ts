import { assertEquals } from "@std/assert";
import * as v from "valibot";
import { type ClientError, type Message, PushClient, PushError, type Schema } from "@push/client";
import { Gateway } from "../../mod.ts";
import { connected, gate } from "./setup.ts";

const ALERT = v.object({ level: v.picklist(["info", "bad"]), at: v.optional(v.string(), "never") });

/** A schema by hand: numbers, doubled; everything else is wrong. */
const DOUBLED: Schema<number> = {
  "~standard": {
    version: 1,
    vendor: "by hand",
    validate: (value) =>
      typeof value === "number"
        ? { value: 2 * value }
        : { issues: [{ message: "no number", path: ["a", { key: 0 }] }] },
  },
};

function told({ error, origin, channel, message }: ClientError): unknown[] {
  return [error instanceof PushError && error.code, origin, channel, message?.eventId];
}

Deno.test("a handler gets what the schema makes of a payload, with its type", async () => {
  const { client, gateway, clock, errors } = await connected();
  const got: { level: "info" | "bad"; at: string }[] = [];
  await client.subscribe("a", ({ data }) => got.push(data), { schema: ALERT });
  gateway.message("a", 1, { data: { level: "bad", more: 1 } });
  await clock.advance(1000);
  assertEquals(got, [{ level: "bad", at: "never" }]);
  assertEquals([errors, gateway.last("ack").acks[0].ranges], [[], [1, 1]]);
  await client.disconnect();
});

Deno.test("what does not fit is told, refused for a growing while, and handed to nobody", async () => {
  const { client, gateway, clock, errors } = await connected();
  const got: number[] = [];
  await client.subscribe("a", ({ data }) => got.push(data), { schema: DOUBLED });
  gateway.message("a", 1, { data: "x" });
  gateway.message("a", 2, { data: 2 });
  gateway.message("a", 1, { data: "x", redelivered: true, retryCount: 2 });
  await clock.advance(1000);
  assertEquals(got, [4]);
  assertEquals(errors.map(told), [["invalid_message", "schema", "a", "e1:1:a"]]);
  assertEquals((errors[0].error as Error).message, "a: 0: no number");
  gateway.message("a", 1, { data: "x", redelivered: true, retryCount: 2 });
  await clock.advance(1000);
  assertEquals(gateway.of("nack").map(({ seq, delay }) => [seq, delay]), [[1, 1], [1, 4]]);
  assertEquals(gateway.last("ack").acks[0].ranges, [2, 2]);
  assertEquals(errors.length, 2);
  await client.disconnect();
});

Deno.test("other subscriptions and listeners of the channel get the payload as it came", async () => {
  const { client, gateway, clock, errors } = await connected();
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(["schema", data]), { schema: DOUBLED });
  await client.subscribe("a", ({ data }) => got.push(["none", data]));
  client.on("channel_message", ({ data }) => got.push(["listener", data]));
  gateway.message("a", 1, { data: 1 });
  gateway.message("a", 2, { data: "x" });
  await clock.advance(1000);
  const of = (name: string) => got.filter((each) => (each as unknown[])[0] === name);
  assertEquals(of("schema"), [["schema", 2]]);
  assertEquals(of("none"), [["none", 1], ["none", "x"]]);
  assertEquals(of("listener"), [["listener", 1], ["listener", "x"]]);
  assertEquals(errors.length, 1);
  await client.disconnect();
});

Deno.test("a loop passes over what does not fit", async () => {
  const { client, gateway, clock, errors } = await connected();
  const subscription = await client.subscribe("a", { schema: ALERT });
  for (const [i, data] of [{ level: "bad" }, 5, { level: "good" }, { level: "info" }].entries()) {
    gateway.message("a", i + 1, { data });
  }
  const got: string[] = [];
  for await (const { data } of subscription) {
    got.push(data.level);
    if (got.length === 2) break;
  }
  await clock.advance(1000);
  assertEquals(got, ["bad", "info"]);
  assertEquals(gateway.of("nack").map(({ seq }) => seq), [2, 3]);
  assertEquals(gateway.last("ack").acks[0].ranges, [1, 1]);
  assertEquals(errors.map(({ origin }) => origin), ["schema", "schema"]);
  await client.disconnect();
});

Deno.test("waitFor() passes over what does not fit, and matches what the schema made", async () => {
  const { client, gateway, clock, errors } = await connected();
  const waiting = client.waitFor("a", { schema: DOUBLED, match: ({ data }) => data > 4 });
  await clock.advance(0);
  for (const [i, data] of [1, "x", 2, 3].entries()) gateway.message("a", i + 1, { data });
  assertEquals((await waiting).data, 6);
  assertEquals(errors.map(told), [["invalid_message", "schema", "a", "e1:2:a"]]);
  await client.disconnect();
});

Deno.test("a schema may take its time, and messages keep their order", async () => {
  const { client, gateway, clock } = await connected();
  const slow = gate();
  const schema = v.pipeAsync(
    v.number(),
    v.checkAsync(async (n) => {
      if (n === 1) await slow.promise;
      return n !== 3;
    }, "not 3"),
  );
  const got: number[] = [];
  await client.subscribe("a", ({ data }) => got.push(data), { schema });
  for (const data of [1, 2, 3, 4]) gateway.message("a", data, { data });
  await clock.advance(1000);
  assertEquals([got, gateway.of("ack")], [[], []]);
  slow.open();
  await clock.advance(1000);
  assertEquals(got, [1, 2, 4]);
  assertEquals(gateway.of("nack").map(({ seq }) => seq), [3]);
  await client.disconnect();
});

Deno.test("a loop that ends while a schema takes its time leaves the message to the next one", async () => {
  const { client, gateway, clock } = await connected();
  const slow = gate();
  const schema = v.pipeAsync(v.number(), v.checkAsync(() => slow.promise.then(() => true)));
  const subscription = await client.subscribe("a", { schema });
  const first = subscription[Symbol.asyncIterator]();
  const asked = first.next();
  gateway.message("a", 1, { data: 1 });
  await clock.advance(0);
  await client.disconnect();
  assertEquals(await asked, { done: true, value: undefined });
  slow.open();
  await clock.advance(0);
  await client.connect();
  const { value } = await subscription[Symbol.asyncIterator]().next();
  assertEquals((value as Message<number>).data, 1);
  await client.disconnect();
});

Deno.test("a schema that throws is told of as a schema", async () => {
  const { client, gateway, settle, errors } = await connected();
  const schema: Schema<number> = {
    "~standard": {
      version: 1,
      vendor: "broken",
      validate: () => {
        throw new Error("mine");
      },
    },
  };
  await client.subscribe("a", () => {}, { schema });
  gateway.message("a", 1);
  await settle();
  assertEquals(errors.map(({ error, origin }) => [(error as Error).message, origin]), [
    ["mine", "schema"],
  ]);
  assertEquals(gateway.of("nack").length, 1);
  await client.disconnect();
});

Deno.test("with manual acknowledgement what does not fit makes room for the next message", async () => {
  const { client, gateway, settle } = await connected();
  const got: Message<number>[] = [];
  await client.subscribe("a", (message) => void got.push(message), {
    schema: DOUBLED,
    ack: "manual",
  });
  gateway.message("a", 1, { data: "x" });
  gateway.message("a", 2, { data: 2 });
  gateway.message("a", 3, { data: 3 });
  await settle();
  assertEquals(got.map(({ data }) => data), [4]);
  got[0].ack();
  await settle();
  assertEquals(got.map(({ data }) => data), [4, 6]);
  await client.disconnect();
});

Deno.test("what never fits is given up by the gateway, and what comes after it is handled", async () => {
  const gateway = new Gateway({
    port: 0,
    push: { enabled: true, delivery: { maxRetries: 0 } },
  });
  await gateway.start();
  const client = new PushClient(`ws://127.0.0.1:${gateway.address.port}/ws`);
  const refused: ClientError[] = [];
  client.on("error", (error) => refused.push(error));
  await client.connect();
  const handled = gate<number>();
  await client.subscribe("prices", ({ data }) => handled.open(data), { schema: v.number() });
  await gateway.publish("prices", "cheap");
  await gateway.publish("prices", 5);
  assertEquals(await handled.promise, 5);
  // In the order of the connection the nack is before this question.
  await client.listChannels();
  const [letter] = await gateway.deadLetters();
  assertEquals([letter.channel, letter.data, letter.reason], ["prices", "cheap", "nack"]);
  assertEquals(refused.map(({ origin }) => origin), ["schema"]);
  await client.disconnect();
  await gateway.stop();
});

Deno.test("a wait that is over takes nothing that its schema still looks at", async () => {
  const { client, gateway, settle, clock } = await connected({ clientId: "me" });
  gateway.answers["channel.subscribe"] = (frame) => ({
    ...gateway.subscribed(frame),
    stored: true,
  });
  const looked = gate();
  const slow: Schema<unknown> = {
    "~standard": {
      version: 1,
      vendor: "by hand",
      validate: async (value) => {
        await looked.promise;
        return { value };
      },
    },
  };
  const waiting = client.waitFor("a", { schema: slow, timeout: 1 }).catch(({ name }) => name);
  await settle();
  gateway.message("a", 1);
  await clock.advance(1000);
  assertEquals(await waiting, "TimeoutError");
  looked.open();
  await clock.advance(1000);
  assertEquals(gateway.of("ack"), []);
  const got: unknown[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  await settle();
  assertEquals(got, ["a 1"]);
  await client.disconnect();
});
