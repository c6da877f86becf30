import { assertEquals } from "@std/assert";
import { type Json, PushClient } from "@push/client";
import { startGateway } from "../support/gateway.ts";
import { TabBrowser } from "./tab_browser.ts";

const TRANSPORTS = ["websocket", "sse", "longpoll"] as const;

/** Waits for what becomes of each. */
function outcomes(all: Promise<unknown>[]): Promise<string[]> {
  return Promise.all(all.map((each) => each.then(() => "done", ({ code }) => code)));
}

function nested(levels: number): Json {
  return levels > 0 ? [nested(levels - 1)] : "deep down";
}

for (const transport of TRANSPORTS) {
  for (const maxNesting of [20, 64, 200]) {
    Deno.test(`what is nested too deeply is refused alone (${transport}, maxNesting ${maxNesting})`, async () => {
      await using served = await startGateway({ push: { limits: { maxNesting } } });
      await using client = new PushClient(served.ws, { transports: [transport] });
      await client.connect();
      // A frame, a list of frames and the body of a request are around it.
      const most = maxNesting - 3;
      const all = [1, nested(most + 1), 2, nested(most), 3].map((data) =>
        client.publish("a", data)
      );
      const asked = [most, most + 1].map((levels) =>
        client.createChannel(`b${levels}`, { x: nested(levels - 1) })
      );
      const refused = "nesting_too_deep";
      const expected = ["done", refused, "done", "done", "done", "done", refused];
      assertEquals(await outcomes([...all, ...asked]), expected);
      assertEquals(client.isConnected, true);
    });
  }

  Deno.test(`a gateway that takes small frames gets no large ones (${transport})`, async () => {
    const limits = { maxFrameBytes: 70_000, maxMessageBytes: 70_000 };
    await using served = await startGateway({ push: { limits } });
    await using client = new PushClient(served.ws, { transports: [transport] });
    await client.connect();
    const payloads = [...Array(10).fill("€".repeat(5000)), "x".repeat(69_000), "x".repeat(69_998)];
    const expected = [...Array(11).fill("done"), "message_too_large"];
    assertEquals(
      await outcomes(
        payloads.map((data, i) => client.publish("a", data, { id: i + "ü".repeat(100) })),
      ),
      expected,
    );
    const asked = client.createChannel("b", { x: "x".repeat(30_000) });
    assertEquals(await outcomes([asked]), ["frame_too_large"]);
    assertEquals(client.isConnected, true);
  });
}

Deno.test("a gateway that takes small frames gets no large ones of tabs either", async () => {
  const limits = { maxFrameBytes: 70_000 };
  await using served = await startGateway({ push: { limits } });
  const client = new TabBrowser().open().client(served.ws);
  await client.connect();
  const all = Array.from({ length: 10 }, () => client.publish("a", "x".repeat(20_000)));
  assertEquals(await outcomes(all), Array(10).fill("done"));
  await client.disconnect();
});
