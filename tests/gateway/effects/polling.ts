import { assertEquals } from "@std/assert";
import { ask, PollClient } from "../../support/http_client.ts";
import { within } from "../../support/within.ts";
import { type Effects, timed } from "./effect.ts";

/** What the options of polling do. */
export const POLLING: Effects = {
  "push.polling.enabled": {
    says: "off, no poll route answers",
    async run() {
      await using gateway = await timed({ polling: { enabled: false } });
      const { status } = await ask(`${gateway.http}/api/push/poll/register`, { body: {} });
      assertEquals(status, 404);
    },
  },
  "push.polling.longPollTimeout": {
    says: "a poll without news is held so long",
    async run() {
      await using gateway = await timed({ polling: { longPollTimeout: 12 } });
      const client = await PollClient.register(gateway.http);
      let answered = false;
      const held = gateway.clock.scheduled(12_000);
      const poll = client.poll().finally(() => answered = true);
      await held;
      await gateway.clock.advance(11_900);
      assertEquals(answered, false);
      await gateway.clock.advance(100);
      assertEquals(await within(poll, "the poll's answer"), []);
    },
  },
  "push.polling.maxBatchSize": {
    says: "an answer has no more messages",
    async run() {
      await using gateway = await timed({ polling: { maxBatchSize: 2 } });
      const client = await PollClient.register(gateway.http);
      await client.post("subscribe", { channel: "news" });
      for (let n = 1; n <= 3; n++) await gateway.gateway.publish("news", n);
      assertEquals((await client.poll()).map(({ data }) => data), [1, 2]);
      assertEquals((await client.poll()).map(({ data }) => data), [3]);
    },
  },
};
