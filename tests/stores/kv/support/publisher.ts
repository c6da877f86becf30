/**
 * A process that publishes to a store as fast as it can until it is killed, and says what was
 * answered: a line `channel seq n` for each message.
 *
 * @module
 */
import { draft } from "../../../../server/testing/store_trial.ts";
import { KEEP_ALL, openStore } from "./files.ts";

const [path, life] = Deno.args;
const CHANNELS = 8;
const store = await openStore(path, KEEP_ALL);
const encoder = new TextEncoder();
let n = 0;

async function publish(channel: string): Promise<never> {
  while (true) {
    // Now and then one that needs more than one value, or more than one commit.
    const isLarge = Math.random() < 0.02;
    const count = isLarge ? 20 : 1 + n % 7;
    const size = isLarge ? 50_000 : Math.random() < 0.01 ? 70_000 : n % 300;
    const drafts = Array.from({ length: count }, () => {
      const id = `${life}.${++n}`;
      return draft({ id, payload: JSON.stringify([id, "x".repeat(size)]) });
    });
    const { appended } = await store.append(channel, drafts, Date.now());
    const lines = drafts.map(({ id }, i) => `${channel} ${appended[i].seq} ${id}\n`);
    // The whole text leaves at once: what was said was answered.
    Deno.stdout.writeSync(encoder.encode(lines.join("")));
  }
}

console.log("open");
await Promise.all(Array.from({ length: CHANNELS }, (_, i) => publish(`c${i}`)));
