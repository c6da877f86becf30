import { assertEquals } from "@std/assert";
import { inWorld } from "../core/harness.ts";

const limits = { maxTakeovers: 2 };

Deno.test(
  "who guesses the secret of a session uses up none of the takeovers that its holder may do",
  inWorld({ limits }, async (w) => {
    const client = await w.extended();
    const connected = client.connection.take("connected")[0];
    const { client_id, secret } = connected;
    const claim = async (instance: string, shown: string | undefined) => {
      const next = w.dial();
      next.say({ type: "connect", version: 1, instance, attempt: 1, client_id, secret: shown });
      await w.settle();
      return next.closed ?? next.frames[0].type;
    };
    for (let n = 0; n < 10; n++) {
      assertEquals(await claim(`guess ${n}`, "0".repeat(32)), "bad_secret");
    }
    assertEquals(await claim("reloaded", secret), "connected");
    assertEquals(client.closed, "replaced");
    assertEquals(await claim("again", secret), "connected");
    assertEquals(await claim("once more", secret), "too_many_takeovers");
  }),
);

Deno.test(
  "a client that comes back takes nothing from itself, however often its network fails",
  inWorld({ limits }, async (w) => {
    for (let attempt = 1; attempt <= 10; attempt++) {
      await w.extended("ann", { instance: "one", attempt });
    }
  }),
);
