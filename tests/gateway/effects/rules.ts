import { assertEquals } from "@std/assert";
import { ask } from "../../support/http_client.ts";
import { WireClient } from "../../support/wire_client.ts";
import { type Effects, timed } from "./effect.ts";

/** What the rules of who may do what do. */
export const RULES: Effects = {
  "push.auth.rules": {
    says: "what a rule allows to a subject works, what none allows is refused",
    async run() {
      await using gateway = await timed({
        auth: {
          rules: [
            { subjects: ["anonymous"], channels: ["news:*"], actions: ["subscribe"] },
            { subjects: ["*"], channels: ["own:{subject}"], actions: ["publish", "subscribe"] },
          ],
        },
      });
      await using client = await WireClient.open(gateway.ws);
      const say = async (type: string, channel: string) =>
        (await client.ask({ type, channel, data: 1 })).type;
      assertEquals(await say("channel.subscribe", "news:a"), "channel.subscribed");
      assertEquals(await say("channel.publish", "news:a"), "error");
      assertEquals(await say("channel.subscribe", "news"), "error");
      assertEquals(await say("channel.publish", "own:anonymous"), "channel.published");
      assertEquals(await say("channel.publish", "own:ann"), "error");
      assertEquals((await ask(`${gateway.http}/metrics`)).status, 403);
    },
  },
};
