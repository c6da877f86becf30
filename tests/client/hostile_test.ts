import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { PushError } from "@push/client";
import type { Json } from "@push/client/protocol";
import { connected, setUp } from "./setup.ts";

/** One frame of every type that a gateway may send. */
const VALID: { [key: string]: Json }[] = [
  { type: "channel.created", channel: "a", ok: true, request_id: 1 },
  { type: "channel.subscribed", channel: "a", ok: true, epoch: "e1", seq: 0, request_id: 2 },
  { type: "channel.unsubscribed", channel: "a", ok: true, request_id: 3 },
  { type: "channel.published", channel: "a", delivered: 1, event_id: "e1:1:a", request_id: 4 },
  { type: "channel.list", channels: ["a"], request_id: 5 },
  { type: "presence.heartbeat_ack", ok: true },
  { type: "presence.list", channel: null, presence: [], clients: [{ client_id: "x" }] },
  { type: "pong" },
  { type: "presence_join", channel: "a", data: { client_id: "x", status: "y" } },
  { type: "presence_diff", channel: "a", joins: [{ client_id: "x" }], updates: [], leaves: [] },
  { type: "error", code: "internal", message: "m", channel: "a" },
  { type: "channel.gap", channel: "b", epoch: "e1", seq: 3, reason: "retention" },
  { type: "channel.epoch", channel: "b", epoch: "e2", earlier: [{ epoch: "e1", base: 3 }] },
  { type: "channel.epoch", channel: "a", epoch: "e3", earlier: [{ epoch: "e1", base: 0 }] },
  {
    type: "connected",
    version: 1,
    client_id: "x",
    subscriptions: [{ type: "channel.subscribed", channel: { toString: 1 }, epoch: "e1", seq: 0 }],
  },
  {
    type: "channel_message",
    channel: "b",
    data: 1,
    event_id: "e1:1:b",
    timestamp: 1,
    source: null,
    target: null,
    seq: 1,
    epoch: "e1",
    id: "x",
    _redelivered: true,
    _retry_count: 1,
  },
];

const nonsense: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(
    { toString: 1, valueOf: 1 },
    -1,
    0.5,
    2 ** 53,
    1e308,
    "",
    "e1",
    "a",
    [],
    {},
    [[]],
    null,
    true,
  ),
);

/** A valid frame with one to three members replaced, removed or added. */
const mutated = fc.tuple(
  fc.constantFrom(...VALID),
  fc.array(
    fc.tuple(fc.nat(20), fc.option(nonsense), fc.constantFrom("", "__proto__", "constructor")),
    { minLength: 1, maxLength: 3 },
  ),
).map(([frame, changes]) => {
  const members: [string, unknown][] = Object.entries(frame);
  for (const [at, value, added] of changes) {
    const index = at % members.length;
    if (added) members.push([added, value]);
    else if (value === null && members.length > 1) members.splice(index, 1);
    else members[index] = [members[index][0], value];
  }
  return `{${members.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join()}}`;
});

Deno.test("no frame of a gateway, however wrong, disturbs the client", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(mutated, fc.json(), fc.string()), { minLength: 1, maxLength: 20 }),
      async (texts) => {
        const { client, gateway, clock } = await connected();
        const got: Json[] = [];
        await client.subscribe("a", ({ data }) => got.push(data));
        await client.subscribe("b", () => {});
        for (const text of texts) gateway.current!.raw!(text);
        await clock.advance(1000);
        assertEquals(client.state, "connected");
        gateway.send({ type: "channel.gap", channel: "a", epoch: "z", seq: 0, reason: "epoch" });
        gateway.message("a", 1, { epoch: "z", data: "fine" });
        await clock.advance(1000);
        assertEquals(got.at(-1), "fine");
        assertEquals(await client.listChannels(), ["a", "b"]);
        assertEquals(({} as { polluted?: unknown }).polluted, undefined);
        await client.disconnect();
        assertEquals(clock.pending, 0);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("no answer to connect, however wrong, does more than fail", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(mutated, fc.json()), { maxLength: 4 }), async (texts) => {
      const { client, gateway, clock } = setUp();
      gateway.answers.connect = (_, connection) => {
        for (const text of texts) connection.raw?.(text);
      };
      const settled = client.connect().then(() => "connected", (error) => error.name);
      await clock.advance(30_000);
      await client.disconnect();
      await clock.advance(2000);
      assert(["connected", "PushError"].includes(await settled));
      assertEquals(clock.pending, 0);
    }),
    { numRuns: 200 },
  );
});

Deno.test("no answer over HTTP, however wrong, does more than fail", async () => {
  const answers = fc.array(
    fc.record({ status: fc.constantFrom(200, 204, 301, 404, 409, 500), body: nonsense }),
    { minLength: 1, maxLength: 10 },
  );
  await fc.assert(
    fc.asyncProperty(answers, fc.boolean(), async (list, registers) => {
      let asked = 0;
      const setup = setUp({
        transports: ["longpoll"],
        fetch: (url, init) => {
          if (registers && asked === 0) {
            asked++;
            return setup.gateway.fetch(url, init);
          }
          const { status, body } = list[asked++ % list.length];
          return Promise.resolve(
            new Response(status === 204 ? null : JSON.stringify(body), { status }),
          );
        },
      });
      const { client, clock } = setup;
      client.connect().catch(() => {});
      client.publish("a", 1).catch(() => {});
      await clock.advance(20_000);
      await client.disconnect();
      await clock.advance(2000);
      assertEquals(clock.pending, 0);
    }),
    { numRuns: 100 },
  );
});

Deno.test("what makes no sense is told by the error event, with a code", async () => {
  const { client, gateway, settle, errors } = await connected();
  const wrong = ["{", "5", "null", '"text"', "[[]]", '{"type":7}', '{"type":"bogus"}', ""];
  for (const text of wrong) gateway.current!.raw!(text);
  gateway.current!.raw!(new Uint8Array(3));
  await settle();
  assertEquals(errors.map(({ error, origin }) => [(error as PushError).code, origin]), [
    ...wrong.map(() => ["bad_frame", "gateway"]),
    ["bad_frame", "gateway"],
  ]);
  gateway.send({ type: "error", code: "rate_limited", message: "slow down", channel: "a" });
  await settle();
  const { error, channel } = errors.at(-1)!;
  assertEquals([(error as PushError).code, channel], ["rate_limited", "a"]);
  await client.disconnect();
});

Deno.test("a late answer to something given up is no error", async () => {
  const { client, gateway, settle, errors } = await connected();
  const abort = new AbortController();
  let id = 0;
  gateway.answers["channel.list"] = ({ request_id }) => {
    id = request_id;
  };
  const listing = client.listChannels({ signal: abort.signal }).catch(() => {});
  await settle();
  abort.abort();
  await listing;
  gateway.send({ type: "channel.list", channels: ["x"], request_id: id });
  await settle();
  assertEquals(errors, []);
  await client.disconnect();
});

Deno.test("a payload called __proto__ stays a payload", async () => {
  const { client, gateway, settle } = await connected();
  const got: Json[] = [];
  await client.subscribe("a", ({ data }) => got.push(data));
  const frame = JSON.stringify(gateway.messageFrame("a", 1, { data: "X" }));
  gateway.current!.raw!(frame.replace('"X"', '{"__proto__":{"polluted":true}}'));
  await settle();
  assert(Object.hasOwn(got[0] as object, "__proto__"));
  assertEquals(({} as { polluted?: unknown }).polluted, undefined);
  await client.disconnect();
});

Deno.test("without a listener errors go to the console, also those of error listeners", async () => {
  const shown: unknown[][] = [];
  const real = console.error;
  console.error = (...args) => shown.push(args);
  try {
    const { clientOf, FakeGateway } = await import("./fake_gateway.ts");
    const { clock } = setUp();
    const gateway = new FakeGateway();
    const client = clientOf(gateway, clock);
    await client.connect();
    gateway.send({ type: "bogus" });
    await clock.advance(0);
    client.on("error", () => Promise.reject(new Error("mine")));
    gateway.send({ type: "bogus" });
    await clock.advance(0);
    await client.disconnect();
  } finally {
    console.error = real;
  }
  assertEquals(shown.map(([prefix, error]) => [prefix, (error as Error).message.slice(0, 7)]), [
    ["Push:", "A frame"],
    ["Push:", "mine"],
  ]);
});

Deno.test("a number that is none, ahead of the answer to a subscription, is no error of the client", async () => {
  for (const transport of ["websocket", "longpoll"] as const) {
    const { client, gateway, settle } = await connected({ transports: [transport] });
    gateway.answers["channel.subscribe"] = () => undefined;
    const subscribing = client.subscribe("a");
    await settle();
    const asked = gateway.last("channel.subscribe");
    const seq = { toString: 1, valueOf: 1 };
    gateway.send(
      { type: "channel.epoch", channel: "a", epoch: "e2", earlier: [], seq },
      { ...gateway.subscribed(asked), request_id: asked.request_id },
    );
    await subscribing;
    await client.disconnect();
  }
});
