import { assertEquals } from "@std/assert";
import { PushClient } from "../../client/mod.ts";
import { startGateway } from "../support/gateway.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { within } from "../support/within.ts";

for (const transport of ["websocket", "longpoll"] as const) {
  Deno.test(`a client whose token ends shows another one in time, and notices nothing (${transport})`, async () => {
    const clock = new SocketClock();
    const shown = Promise.withResolvers<void>();
    await using gateway = await startGateway({}, {
      clock,
      authenticate: (_request, token) => {
        if (token === "second") shown.resolve();
        const left = token === "first" ? 1_200 : 3_600_000;
        return { subject: "ann", expiresAt: clock.now() + left };
      },
    });
    const tokens = ["first", "second"];
    await using client = new PushClient(
      gateway.ws,
      { clientId: "desk", transports: [transport], authToken: () => tokens.shift() ?? "none" },
    );
    await client.connect();
    const changes: unknown[] = [];
    client.on("state", (change) => changes.push(change));
    const messages = await client.subscribe("news");
    await within(shown.promise, "the second token to be shown");
    await clock.advance(5_000);
    await gateway.gateway.publish("news", "still there");
    for await (const { data } of messages) {
      assertEquals(data, "still there");
      break;
    }
    assertEquals([changes, tokens], [[], []]);
  });
}
