/** The gateway as measured: the memory store, no limit of rates, everything else at its default. */
import { Gateway } from "../mod.ts";

const gateway = new Gateway({
  port: 0,
  websocket: Deno.args.includes("ws") ? "ws" : "deno",
  push: {
    enabled: true,
    delivery: { enabled: !Deno.args.includes("no-delivery") },
    // One publisher stands for many.
    limits: { frameRate: 0, publishRate: 0 },
  },
});
await gateway.start();
console.log(`port ${gateway.address.port}`);
