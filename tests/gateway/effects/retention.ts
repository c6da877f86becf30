import { assertEquals } from "@std/assert";
import { WireClient } from "../../support/wire_client.ts";
import { type Effects, leave, type Timed, timed } from "./effect.ts";

// A message counts its payload and 64 bytes more.
const PAYLOAD = 936;
const BYTES = PAYLOAD + 64;
const SMALL = { limits: { maxMessageBytes: 1024 } };

async function publish({ gateway }: Timed, channel: string, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) await gateway.publish(channel, `${n}`.padEnd(PAYLOAD - 2));
}

/** Numbers of the messages that a channel has kept. */
async function kept({ ws }: Timed, channel: string): Promise<number[]> {
  const [client] = await WireClient.connect(ws);
  await using _ = client;
  await client.subscribe(channel, { all: true });
  return [...await client.settled()].map(({ seq }) => seq);
}

/** A client that is away with a subscription that it has not settled. */
async function away(gateway: Timed, channel: string): Promise<void> {
  const client = await WireClient.open(`${gateway.ws}?client_id=away`);
  await client.subscribe(channel);
  await leave(gateway, client);
}

/** What the options of retention do. */
export const RETENTION: Effects = {
  "push.delivery.messageTtl": {
    says: "nothing is kept longer, also not for a client that is away",
    async run() {
      await using gateway = await timed({ delivery: { messageTtl: 100 } });
      await away(gateway, "news");
      await publish(gateway, "news", 2);
      await gateway.clock.advance(60_000);
      await publish(gateway, "news", 1);
      await gateway.clock.advance(30_000);
      assertEquals(await kept(gateway, "news"), [1, 2, 3]);
      await gateway.clock.advance(11_000);
      assertEquals(await kept(gateway, "news"), [3]);
      const [client, { session_ttl }] = await WireClient.connect(gateway.ws, { client_id: "ann" });
      await client.close();
      assertEquals(session_ttl, 100, "a named client may be away so long");
    },
  },
  "push.delivery.historySize": {
    says: "so many messages are kept that everybody has settled",
    async run() {
      await using gateway = await timed({ delivery: { historySize: 3 } });
      await publish(gateway, "news", 10);
      assertEquals(await kept(gateway, "news"), [8, 9, 10]);
    },
  },
  "push.delivery.historyBytes": {
    says: "so many bytes are kept that everybody has settled",
    async run() {
      await using gateway = await timed({ delivery: { historyBytes: 4 * BYTES } });
      await publish(gateway, "news", 10);
      assertEquals(await kept(gateway, "news"), [7, 8, 9, 10]);
    },
  },
  "push.delivery.maxChannelBytes": {
    says: "a channel never has more, whoever is away; who misses something is told",
    async run() {
      const delivery = { maxChannelBytes: 5 * BYTES, historyBytes: BYTES };
      await using gateway = await timed({ ...SMALL, delivery });
      await away(gateway, "news");
      await publish(gateway, "news", 10);
      assertEquals(await kept(gateway, "news"), [6, 7, 8, 9, 10]);
      await using client = await WireClient.open(`${gateway.ws}?client_id=away`);
      await client.subscribe("news");
      assertEquals((await client.next()).code, "gap");
      assertEquals((await client.take(5)).map(({ data }) => data.trim()), [
        "6",
        "7",
        "8",
        "9",
        "10",
      ]);
    },
  },
  "push.delivery.maxStoreBytes": {
    says: "all channels together never have more: the oldest messages of any go",
    async run() {
      const delivery = { maxStoreBytes: 20 * BYTES };
      await using gateway = await timed({ ...SMALL, delivery });
      await publish(gateway, "a", 10);
      await gateway.clock.advance(1_000);
      await publish(gateway, "b", 10);
      const store = await gateway.gateway.channels();
      const messages = store.reduce((sum, { head, oldest }) => sum + head - oldest + 1, 0);
      assertEquals(messages < 20 && messages >= 10, true, `${messages} are kept`);
      assertEquals(await kept(gateway, "b"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      assertEquals((await kept(gateway, "a")).at(-1), 10);
    },
  },
};
