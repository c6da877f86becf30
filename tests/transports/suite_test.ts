import { longpoll } from "./longpoll_line.ts";
import { sse } from "./sse_line.ts";
import { CASES } from "./suite.ts";
import { Trial } from "./trial.ts";
import { websocket } from "./websocket_line.ts";

for (const transport of [websocket, sse, longpoll]) {
  for (const { name, options, run } of CASES) {
    Deno.test(`${transport.name}: ${name}`, async () => {
      await using trial = await Trial.begin(transport, options);
      await run(trial);
    });
  }
}
