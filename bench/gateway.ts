/** The gateway as measured: the memory store, everything else at its default. */
import { Gateway } from "../mod.ts";

const gateway = new Gateway({
  port: 0,
  push: { enabled: true, delivery: { enabled: Deno.args[0] !== "no-delivery" } },
});
await gateway.start();
console.log(`port ${gateway.address.port}`);
