import { assertEquals } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { WireClient } from "../support/wire_client.ts";

const CLIENTS = 40;
const MESSAGES = 60;
/** A round has 48 writes, or 768 KiB: these take many. */
const PADDING = "x".repeat(3000);

for (const websocket of ["deno", "ws"] as const) {
  for (const flushInterval of [0, 0.005]) {
    Deno.test(`over ${websocket}, with an interval of ${flushInterval}, many get much in many rounds: all of it, once, in order`, async () => {
      const push = { flushInterval, presence: { enabled: false } };
      await using gateway = await startGateway({ websocket, push });
      await using all = new AsyncDisposableStack();
      const fixed: WireClient[] = [];
      const extended: WireClient[] = [];
      const subscriptions = [{ channel: "news" }, { channel: "more" }];
      for (let n = 0; n < CLIENTS; n++) {
        const one = all.use(await WireClient.open(gateway.ws));
        for (const { channel } of subscriptions) await one.subscribe(channel);
        fixed.push(one);
        const [other] = await WireClient.connect(gateway.ws, { subscriptions });
        extended.push(all.use(other));
      }
      const wanted: Record<string, number[]> = { news: [], more: [] };
      for (let n = 0; n < MESSAGES; n++) {
        const channel = n % 3 === 0 ? "more" : "news";
        wanted[channel].push(n);
        const published = gateway.gateway.publish(channel, { n, PADDING });
        // Some come alone, and some together.
        if (n % 7 === 0) await published;
      }
      for (const client of [...fixed, ...extended]) {
        const got: Record<string, number[]> = { news: [], more: [] };
        for (const { channel, data } of await client.take(MESSAGES, "channel_message")) {
          got[channel].push(data.n);
        }
        assertEquals(got, wanted);
      }
      const arrays = (clients: WireClient[]) =>
        clients.flatMap(({ texts }) => texts).some((text) => text.startsWith("["));
      assertEquals([arrays(fixed), arrays(extended)], [false, true]);
      for (const client of [fixed[0], extended[0]]) {
        assertEquals((await client.ask({ type: "ping" })).type, "pong", "nothing came twice");
      }
    });
  }
}

for (const websocket of ["deno", "ws"] as const) {
  for (const wire of ["fixed", "extended"] as const) {
    Deno.test(`over ${websocket} (${wire}): who reads is not slow, however much comes at once`, async () => {
      const limits = { maxMessageBytes: 32_768, maxBufferedBytes: 32_768 };
      await using gateway = await startGateway({ websocket, push: { limits } });
      const open = async (instance: string): Promise<WireClient> => {
        if (wire === "fixed") return await WireClient.open(`${gateway.ws}?client_id=ann`);
        return (await WireClient.connect(gateway.ws, { client_id: "ann", instance }))[0];
      };
      const first = await open("a");
      await first.subscribe("news");
      const largest = "x".repeat(32_766);
      await gateway.gateway.publish("news", largest);
      assertEquals((await first.next("channel_message")).data, largest);
      await first.settled();
      await first.close();

      for (let n = 0; n < 600; n++) await gateway.gateway.publish("news", n);
      await using again = await open("b");
      await again.subscribe("news");
      const wanted = [largest, ...Array.from({ length: 600 }, (_, n) => n)];
      const got = await again.take(wanted.length, "channel_message");
      assertEquals(got.map(({ data }) => data), wanted);
      await again.settled();
    });
  }
}
