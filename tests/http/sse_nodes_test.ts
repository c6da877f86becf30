import { assert, assertEquals, assertMatch } from "@std/assert";
import type { GatewayOptions } from "../../mod.ts";
import { EventReader } from "../support/event_reader.ts";
import { RoamingPoller, type ServedNode, ServedNodes } from "../support/poll_nodes.ts";
import type { Frame } from "../support/wire_client.ts";
import { until, within } from "../support/within.ts";

const QUIET: GatewayOptions = { push: { presence: { broadcastChanges: false } } };

function stream({ http }: ServedNode, { token }: RoamingPoller, positions: Frame[] = []) {
  return EventReader.open(`${http}/api/push/sse`, { body: { poll_token: token, positions } });
}

function plain({ http }: ServedNode, query: string, id = "") {
  return EventReader.open(`${http}/api/push/sse?${query}`, { headers: { "last-event-id": id } });
}

/** A poller of the extended wire that is subscribed to `news`. */
async function extended(at: ServedNode): Promise<[poller: RoamingPoller, epoch: string]> {
  const poller = await RoamingPoller.register(at, {
    connect: { type: "connect", version: 1, instance: "i", attempt: 1, client_id: "ann" },
  });
  const frames = [{ type: "channel.subscribe", channel: "news" }];
  const [{ epoch }] = (await poller.must(at, "send", { frames })).frames;
  return [poller, epoch];
}

/** The frames of the next events, until there are some. */
async function some(reader: EventReader): Promise<Frame[]> {
  while (true) {
    const frames: Frame[] = await reader.next();
    if (frames.length > 0) return frames;
  }
}

Deno.test("a poller's stream may be opened at any node, and ends where the poller was", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const [poller, epoch] = await extended(nodes.nodes[0]);
  const open: EventReader[] = [];
  for (let n = 1; n <= 9; n++) {
    const reader = await nodes.awaits(
      stream(nodes.nodes[n % 3], poller, n === 1 ? [] : [{ channel: "news", epoch, seq: n - 1 }]),
    );
    assertEquals(await reader.next(), []);
    const before = open.pop();
    if (before !== undefined) assertEquals(await before.rest(), []);
    open.push(reader);
    await nodes.nodes[(n + 1) % 3].gateway.publish("news", n);
    const [message, ...rest] = await some(reader);
    assertEquals([message.data, message._redelivered, rest.length], [n, undefined, 0]);
  }
  await open.pop()!.close();
  const { http } = nodes.nodes[0];
  await until(async () => {
    const { push } = await (await fetch(`${http}/health`)).json();
    return push.connections.sse === 0;
  }, "no stream is left");
});

Deno.test("a request that reaches another node ends the stream, and opening it again goes on", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const [poller, epoch] = await extended(one);
  await using reader = await stream(one, poller);
  await one.gateway.publish("news", 1);
  assertEquals((await some(reader)).map(({ data }) => data), [1]);
  await nodes.awaits(poller.must(two, "send", { frames: [{ type: "ping" }] }));
  assertEquals(await reader.rest(), []);
  await one.gateway.publish("news", 2);
  await using again = await nodes.awaits(stream(two, poller, [{ channel: "news", epoch, seq: 1 }]));
  assertEquals((await some(again)).map(({ data }) => data), [2]);
});

Deno.test("a stream goes on at another node when its own was killed, with what was lost on the way", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const [poller, epoch] = await extended(one);
  await using reader = await stream(one, poller);
  for (const n of [1, 2, 3]) await two.gateway.publish("news", n);
  const got: Frame[] = [];
  while (got.length < 3) got.push(...await some(reader));
  await nodes.clock.advance(1_000);
  one.node.kill();
  // The third is taken as if it had not come.
  const positions = [{ channel: "news", epoch, seq: 2, open: [2, 2] }];
  await using again = await nodes.awaits(stream(two, poller, positions));
  assertEquals((await some(again)).map(({ data }) => data), [3]);
  await two.gateway.publish("news", 4);
  assertEquals((await some(again)).map(({ data }) => data), [4]);
});

Deno.test("other nodes go on knowing of a poller that has had one stream for long", async () => {
  await using nodes = await ServedNodes.start(2, QUIET);
  const [one, two] = nodes.nodes;
  const [poller, epoch] = await extended(one);
  const reader = await stream(one, poller);
  for (let i = 0; i < 40; i++) {
    await nodes.clock.advance(10_000);
    assert(Array.isArray(await reader.next()));
  }
  await reader.close();
  await one.gateway.publish("news", 1);
  await using again = await nodes.awaits(stream(two, poller, [{ channel: "news", epoch, seq: 0 }]));
  assertEquals((await some(again)).map(({ data }) => data), [1]);
});

Deno.test("a plain reader goes on at any node from its last id, with nothing lost and nothing twice", async () => {
  await using nodes = await ServedNodes.start(3, QUIET);
  const query = "channel=a&channel=b";
  let id = "";
  const got: unknown[] = [];
  for (let round = 0; round < 9; round++) {
    const [here, there] = [nodes.nodes[round % 3], nodes.nodes[(round + 1) % 3]];
    await there.gateway.publish("a", `a${round}`);
    const reader = await within(plain(here, query, id), "the stream");
    if (id === "") id = (await reader.read())!.id;
    await there.gateway.publish("b", `b${round}`);
    const expected = round === 0 ? 1 : 2;
    const frames: Frame[] = [];
    while (frames.length < expected) frames.push(await reader.next());
    got.push(...frames.map(({ data }) => data).sort());
    id = reader.lastId;
    assertMatch(id, /^\w+:\d+:a,\w+:\d+:b$/);
    await reader.close();
  }
  const wanted = Array.from({ length: 9 }, (_, n) => n === 0 ? ["b0"] : [`a${n}`, `b${n}`]).flat();
  assertEquals(got, wanted);
});
