import { assertEquals } from "@std/assert";
import { EventReader } from "../../support/event_reader.ts";
import { ask } from "../../support/http_client.ts";
import { type Effects, timed } from "./effect.ts";

/** What the options of server-sent events do, and those of the pages that may use them. */
export const SSE: Effects = {
  "push.sse.enabled": {
    says: "off, nobody listens by server-sent events",
    async run() {
      await using off = await timed({ sse: { enabled: false } });
      const { status } = await ask(`${off.http}/api/push/sse?channel=news`);
      assertEquals(status, 404);
      await using on = await timed();
      await using reader = await EventReader.open(`${on.http}/api/push/sse?channel=news`);
      assertEquals(reader.response.status, 200);
    },
  },
  "push.allowedOrigins": {
    says: "pages of these origins may use the gateway beside those of its own host, no others",
    async run() {
      await using gateway = await timed({ allowedOrigins: ["https://app.example"] });
      const statusFor = async (origin: string) => {
        const { status } = await ask(`${gateway.http}/api/push/channels`, { headers: { origin } });
        return status;
      };
      assertEquals(await statusFor("https://app.example"), 200);
      assertEquals(await statusFor("https://other.example"), 403);
      assertEquals(await statusFor(gateway.http), 200);
      await using open = await timed({ allowedOrigins: ["*"] });
      const { status } = await ask(`${open.http}/api/push/channels`, {
        headers: { origin: "https://other.example" },
      });
      assertEquals(status, 200);
    },
  },
};
