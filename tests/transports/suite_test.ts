import { longpoll } from "./longpoll_line.ts";
import { sse } from "./sse_line.ts";
import { CASES } from "./suite.ts";
import { Trial } from "./trial.ts";
import { websocket, ws } from "./websocket_line.ts";

/** The other transports of a gateway that listens by `node:http`. */
const OVER_NODE = [sse, longpoll].map((it) => (
  { ...it, name: `${it.name} over node:http`, options: ws.options }
));

for (const transport of [websocket, ws, sse, longpoll, ...OVER_NODE]) {
  for (const { name, options, run } of CASES) {
    Deno.test(`${transport.name}: ${name}`, async () => {
      await using trial = await Trial.begin(transport, options);
      await run(trial);
    });
  }
}
