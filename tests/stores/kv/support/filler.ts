/**
 * A process whose disk fails: it publishes one message after the other, each until it is answered, and
 * says what happened as lines of JSON.
 *
 * - `full`: until five in a row are refused; then it waits for a line, and goes on with ten more.
 * - `errors`: until some were refused, and twenty in a row answered after that.
 *
 * @module
 */
import { PushError } from "@push/client/protocol";
import { openDatabase, openPackage } from "../../../../server/stores/kv/engine.ts";
import { draft } from "../../../../server/testing/store_trial.ts";
import { KEEP_ALL, openStore } from "./files.ts";

const NOW = 1_000_000;
const [mode, path, engine] = Deno.args;
const open = engine === "npm:@deno/kv" ? openPackage : openDatabase;
const store = await openStore(path, { ...KEEP_ALL, openDatabase: open });
const size = mode === "full" ? 20_000 : 200;
const codes = new Set<string>();
let answered = 0;
let refusedInRow = 0;
let answeredInRow = 0;

async function publish(): Promise<void> {
  const n = answered + 1;
  const payload = JSON.stringify([n, "x".repeat(size)]);
  try {
    const { appended: [{ seq }] } = await store.append("c", [draft({ id: `${n}`, payload })], NOW);
    if (seq !== n) throw new Error(`message ${n} got number ${seq}`);
    answered = n;
    answeredInRow++;
    refusedInRow = 0;
  } catch (error) {
    codes.add(error instanceof PushError ? error.code : `${error}`);
    refusedInRow++;
    answeredInRow = 0;
  }
}

function report(): void {
  console.log(JSON.stringify({ answered, codes: [...codes], trouble: store.trouble ?? null }));
}

if (mode === "full") {
  while (refusedInRow < 5) await publish();
  report();
  await Deno.stdin.read(new Uint8Array(100));
  await store.sweep(NOW);
  report();
  const enough = answered + 10;
  for (let tries = 0; answered < enough && tries < 20; tries++) await publish();
} else {
  for (let tries = 0; tries < 3000 && (codes.size === 0 || answeredInRow < 20); tries++) {
    await publish();
  }
}
report();
await store[Symbol.asyncDispose]();
