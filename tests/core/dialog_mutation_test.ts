import { assert, assertEquals } from "@std/assert";
import { isCode } from "@push/client/protocol";
import fc from "fast-check";
import { type Said, type TestClient, World } from "./harness.ts";

const seeded = { seed: 20250104, numRuns: 4000 };

/** Frames that have no answer when all is well. */
const SILENT = ["ack", "nack", "renew", "disconnect"];

/** One right frame of every type; `$epoch` and `$id` stand for those of a message in flight. */
const FRAMES: readonly Said[] = [
  { type: "channel.create", channel: "made", metadata: { a: 1 }, request_id: 1 },
  { type: "channel.subscribe", channel: "d", last: 2, request_id: 2 },
  { type: "channel.subscribe", channel: "d", since: { epoch: "$epoch", seq: 1 }, request_id: 2 },
  {
    type: "channel.subscribe",
    channel: "c",
    position: { epoch: "$epoch", seq: 3, open: [1, 1, 3, 3] },
    request_id: 2,
  },
  { type: "channel.subscribe", channel: "d", all: true },
  { type: "channel.unsubscribe", channel: "c", request_id: 3 },
  {
    type: "channel.publish",
    channel: "d",
    data: { x: [1] },
    id: "p",
    echo: true,
    request_id: 4,
  },
  { type: "channel.list", request_id: 5 },
  { type: "presence.heartbeat", status: "away", metadata: { b: [2] }, request_id: 6 },
  { type: "presence.query", channel: "c", request_id: 7 },
  { type: "message_ack", event_id: "$id", request_id: 8 },
  { type: "message_nack", event_id: "$id", delay: 1.5, request_id: 9 },
  { type: "ping", request_id: 10 },
  {
    type: "ack",
    acks: [
      { channel: "c", epoch: "$epoch", upto: 1, ranges: [2, 3] },
      { channel: "e", epoch: "$epoch", upto: 1, ranges: [2, 2] },
    ],
  },
  { type: "nack", channel: "c", epoch: "$epoch", seq: 2, delay: 0 },
  { type: "renew", renew: [{ channel: "c", epoch: "$epoch", ranges: [1, 2] }] },
  { type: "disconnect", forget: true },
];

const OPENING: Said = {
  type: "connect",
  version: 1,
  token: "t",
  client_id: "ann",
  secret: "s",
  instance: "i",
  attempt: 1,
  session_ttl: 30,
  subscriptions: [
    { channel: "c", position: { epoch: "$epoch", seq: 3, open: [1, 2] } },
    { channel: "d", last: 1 },
    { channel: "e", since: { epoch: "$epoch", seq: 1 }, all: false },
  ],
};

type Path = readonly (string | number)[];

/** Places of every member of a frame, however deep. */
function paths(value: unknown, at: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = [...at, Array.isArray(value) ? Number(key) : key];
    return [path, ...paths(inner, path)];
  });
}

const REMOVED = Symbol("removed");

/** Values that a member may have by mistake or malice. */
const values = fc.oneof(
  { weight: 3, arbitrary: fc.constant(REMOVED) },
  fc.constantFrom(null, true, false, "", "c", "no such thing", "__proto__", "a b", "é", "$epoch"),
  fc.constantFrom(0, -1, 1, 2, 1.5, 4096, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308, 1e-7),
  fc.constantFrom([], [1], [1, 2], [2, 1], [1, 1, 1, 1], [[]], {}, { a: 1 }, { length: 2 }, [{}]),
  fc.constant("x".repeat(10_000)),
  fc.constant(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key ${i}`, i]))),
  fc.constant(JSON.parse(`${"[".repeat(60)}${"]".repeat(60)}`)),
  fc.constantFrom(...FRAMES.map(({ type }) => type), "connect"),
  fc.jsonValue(),
);

function mutated(frame: Said): fc.Arbitrary<{ frame: unknown; what: string }> {
  const where = fc.constantFrom(...paths(frame), ["extra"], ["__proto__"], ["type"]);
  const mutations = fc.array(fc.tuple(where, values), { minLength: 1, maxLength: 3 });
  return mutations.map((mutations) => {
    const copy = structuredClone(frame) as Record<string, unknown>;
    for (const [path, value] of mutations) {
      let inner: unknown = copy;
      for (const key of path.slice(0, -1)) inner = (inner as Record<string, unknown>)?.[key];
      if (typeof inner !== "object" || inner === null) continue;
      const key = path.at(-1)!;
      if (value === REMOVED) Reflect.deleteProperty(inner, key);
      else {Object.defineProperty(inner, key, {
          value: structuredClone(value),
          enumerable: true,
          configurable: true,
          writable: true,
        });}
    }
    return { frame: copy, what: JSON.stringify(copy).slice(0, 300) };
  });
}

/** All that a refused frame must leave as it is. */
async function state(w: World, client: TestClient | undefined): Promise<string> {
  const now = w.clock.now();
  const { target } = w.interposed;
  return JSON.stringify([
    await target.stats(now),
    (await target.channels(now)).map(({ name, head, metadata }) => [name, head, metadata]),
    await target.load("n:bob:anonymous", Infinity, ["c", "d", "e"], now),
    w.hub.presence.list(null).map((entry) => ({ ...entry, last_seen: 0 })),
    w.hub.sessionCount,
    ["c", "d", "e"].map((name) => w.hub.subscribers(name)),
    client?.frames.filter(({ type }) => type === "channel_message").length,
    w.hub.context.metrics.acknowledged,
    w.hub.context.metrics.refused,
  ]);
}

/** Bob with three messages in flight on two channels, on a wire. */
async function scene(wire: "fixed" | "extended") {
  const w = new World({ presence: { broadcastChanges: false } });
  const bob = await w.connect("bob", { wire });
  for (const channel of ["c", "e"]) {
    await bob.subscribe(channel);
    await w.publish(channel, 1, 2, 3);
  }
  await w.pass(1_000);
  const [{ event_id }] = bob.messages;
  return { w, bob, epoch: event_id.split(":")[0], id: event_id };
}

function fill(frame: unknown, { epoch, id }: { epoch: string; id: string }): string {
  return JSON.stringify(frame).replaceAll("$epoch", epoch).replaceAll("$id", id);
}

/** What came, but for what flows by itself. */
function answers(client: TestClient, from: number) {
  const flows = ["channel_message", "channel.gap"];
  return client.frames.slice(from).filter(({ type }) => !flows.includes(type));
}

for (const wire of ["fixed", "extended"] as const) {
  Deno.test(`every mutation of every frame has one answer or a close with a code (${wire} wire)`, async () => {
    let s = await scene(wire);
    const frames = fc.constantFrom(...FRAMES).chain(mutated);
    const refusals = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(frames, async ({ frame, what }) => {
        const { w, bob } = s;
        const before = await state(w, bob);
        const from = bob.frames.length;
        bob.sayText(fill(frame, s));
        await w.settle();
        const came = answers(bob, from);
        const type = String((frame as Said).type);
        if (bob.closed !== undefined) {
          assert(bob.closed === "normal" || isCode(bob.closed), what);
          assert(came.length <= 1, what);
        } else {
          const silent = wire === "extended" && SILENT.includes(type);
          assert(came.length === 1 || (silent && came.length === 0), `${came.length} ${what}`);
        }
        for (const answer of came) {
          if (answer.type !== "error") continue;
          refusals.set(answer.code, (refusals.get(answer.code) ?? 0) + 1);
          assert(isCode(answer.code) && answer.code !== "internal", `${answer.code} ${what}`);
          assert(answer.message.length < 400, what);
          assertEquals(await state(w, bob), before, what);
        }
        // What was done changes the scene: the next one gets its own.
        if (came[0]?.type !== "error") {
          await w.end();
          s = await scene(wire);
        }
      }),
      seeded,
    );
    await s.w.end();
    assertEquals(({} as Record<string, unknown>).a, undefined);
    for (const code of ["bad_request", "unknown_type"]) assert(refusals.get(code)! > 100, code);
  });
}

Deno.test("every mutation of 'connect' lets the client in, or refuses it with a code and no trace", async () => {
  let s = await scene("extended");
  let [letIn, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(mutated(OPENING), async ({ frame, what }) => {
      const { w } = s;
      const before = await state(w, undefined);
      const client = w.dial();
      client.sayText(fill(frame, s));
      await w.settle();
      const came = answers(client, 0);
      assertEquals(came.length, 1, what);
      const [answer] = came;
      if (answer.type === "error") {
        refused++;
        assert(isCode(answer.code) && answer.code !== "internal", `${answer.code} ${what}`);
        // Another first frame than 'connect' opens the fixed wire, and is answered there.
        const isConnect = (frame as Said).type === "connect";
        if (isConnect) assertEquals(await state(w, undefined), before, what);
        // It is either closed, or may be corrected.
        if (client.closed === undefined && isConnect) {
          client.sayText(fill({ ...OPENING, client_id: undefined, secret: undefined }, s));
          await w.settle();
          assertEquals(client.frames.at(1)?.type, "connected", what);
        } else if (client.closed !== undefined) assert(isCode(client.closed), what);
      } else {
        letIn++;
      }
      await w.end();
      s = await scene("extended");
    }),
    { ...seeded, numRuns: 800 },
  );
  await s.w.end();
  assert(letIn > 50 && refused > 50, `${letIn} let in, ${refused} refused`);
});
