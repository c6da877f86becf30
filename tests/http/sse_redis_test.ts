import { assertEquals } from "@std/assert";
import type { GatewayOptions } from "../../mod.ts";
import { seededRandom } from "../../server/testing/mod.ts";
import { EventReader } from "../support/event_reader.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { startRedis } from "../support/redis.ts";
import { within } from "../support/within.ts";
import type { Frame } from "../support/wire_client.ts";

const COUNT = 200;

Deno.test("readers of streams who hang up and come back at any node get all, in order and once (Redis)", async () => {
  const seed = 11;
  const random = seededRandom(seed);
  await using redis = await startRedis();
  await using stack = new AsyncDisposableStack();
  const options: GatewayOptions = {
    push: {
      presence: { broadcastChanges: false },
      delivery: { storeBackend: "redis" },
      redis: { url: redis.url },
    },
  };
  const nodes: Served[] = [];
  for (let i = 0; i < 2; i++) nodes.push(stack.use(await startGateway(options)));
  const any = () => random.pick(nodes).http;

  /** An `EventSource` of two channels; resolves to what it got of each. */
  const plain = async (started: () => void) => {
    const got: Record<string, unknown[]> = { a: [], b: [] };
    const url = () => `${any()}/api/push/sse?channel=a&channel=b`;
    let id = "";
    while (got.a.length + got.b.length < 2 * COUNT) {
      await using reader = await EventReader.open(url(), { headers: { "last-event-id": id } });
      for (let left = 1 + random.below(40); left > 0; left--) {
        const event = await within(reader.read(), `an event, seed ${seed}`);
        if (event === undefined) break;
        started();
        if (event.data !== undefined) {
          const { channel, data, code } = JSON.parse(event.data);
          got[channel].push(data ?? code);
        }
        id = reader.lastId;
        if (got.a.length + got.b.length === 2 * COUNT) break;
      }
    }
    return got;
  };

  /** A poller with streams, as `@push/client` is one; resolves to what it got of each channel. */
  const poller = async (started: () => void) => {
    const got: Record<string, unknown[]> = { a: [], b: [] };
    const connect = {
      ...{ type: "connect", version: 1, instance: "i", attempt: 1, client_id: "ann" },
      subscriptions: [{ channel: "a" }, { channel: "b" }],
    };
    const { body: { poll_token, connected } } = await ask(`${any()}/api/push/poll/register`, {
      body: { connect },
    });
    const positions: Frame[] = connected.subscriptions.map(({ channel, epoch, seq }: Frame) => ({
      channel,
      epoch,
      seq,
    }));
    while (got.a.length + got.b.length < 2 * COUNT) {
      const body = { poll_token, positions };
      await using reader = await EventReader.open(`${any()}/api/push/sse`, { body });
      for (let left = 1 + random.below(20); left > 0; left--) {
        const event = await within(reader.read(), `an event, seed ${seed}`);
        if (event === undefined) break;
        started();
        for (const { channel, seq, data } of JSON.parse(event.data!)) {
          const position = positions.find((each) => each.channel === channel)!;
          if (seq > position.seq) got[channel].push(data);
          position.seq = Math.max(position.seq, seq);
        }
        if (got.a.length + got.b.length === 2 * COUNT) break;
        if (random.below(4) > 0) continue;
        const acks = positions.map(({ channel, epoch, seq }) => ({ channel, epoch, upto: seq }));
        const frames = [{ type: "ack", acks }];
        const { status } = await ask(`${any()}/api/push/poll/send`, {
          body: { poll_token, frames },
        });
        assertEquals(status, 200);
      }
    }
    return got;
  };

  const ready = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const readers = [plain(ready[0].resolve), plain(ready[1].resolve), poller(ready[2].resolve)];
  const received = Promise.all(readers);
  await Promise.race([received, Promise.all(ready.map(({ promise }) => promise))]);
  for (let n = 1; n <= COUNT; n++) {
    for (const channel of ["a", "b"]) await random.pick(nodes).gateway.publish(channel, n);
  }
  const wanted = Array.from({ length: COUNT }, (_, i) => i + 1);
  for (const got of await within(received, `all to get everything, seed ${seed}`, 60_000)) {
    assertEquals(got, { a: wanted, b: wanted }, `seed ${seed}`);
  }
});
