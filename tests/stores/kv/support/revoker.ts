/**
 * A process that revokes in a store as fast as it can until it is killed, and says what was answered: a
 * line with the name and the end of each.
 *
 * @module
 */
import { openStore } from "./files.ts";

const [path, life] = Deno.args;
const store = await openStore(path);
const encoder = new TextEncoder();
const HOUR = 3_600_000;
let n = 0;

async function revoke(): Promise<never> {
  while (true) {
    // Some names are new, some are those of all lives, and each reaches further than before.
    const name = ++n % 3 === 0 ? `all ${n % 30}` : `${life}.${n}`;
    const now = Date.now();
    const until = now + HOUR + Number(life) * HOUR + n;
    await store.revoke({ kind: "token", name, at: now, until }, now);
    Deno.stdout.writeSync(encoder.encode(`${name}\t${until}\n`));
  }
}

await Promise.all(Array.from({ length: 8 }, revoke));
