import { assert, assertEquals } from "@std/assert";
import { draft, numbers } from "../../../server/testing/store_trial.ts";
import { Folder, KEEP_ALL, openStore } from "./support/files.ts";

const LIVES = 20;
const PUBLISHER = new URL("./support/publisher.ts", import.meta.url).pathname;

/** Runs the publisher until it has said so many lines, and kills it. */
async function liveAndDie(path: string, life: number, lines: number): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", PUBLISHER, path, `${life}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  let said = 0;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    said += chunk.split("\n").length - 1;
    if (said < lines) continue;
    try {
      child.kill("SIGKILL");
    } catch {
      // It is dying already; what it had said is read to the end.
    }
  }
  await child.status;
  // The last line may be torn.
  return text.split("\n").slice(1, -1);
}

Deno.test("KvStore has every answered publish after twenty kill -9 under load, in order and without a hole", async () => {
  await using folder = await Folder.make();
  const path = folder.file();
  const answered = new Map<string, Map<number, string>>();
  let before = new Map<string, number>();
  for (let life = 0; life < LIVES; life++) {
    for (const line of await liveAndDie(path, life, 50 + 37 * (life % 9))) {
      const [channel, seq, id] = line.split(" ");
      const known = answered.get(channel) ?? new Map<number, string>();
      assert(!known.has(Number(seq)), `number ${seq} of ${channel} was given twice`);
      answered.set(channel, known.set(Number(seq), id));
    }
    const store = await openStore(path, KEEP_ALL);
    const heads = new Map<string, number>();
    for (const [channel, known] of answered) {
      const now = Date.now();
      const { head, messages } = await store.read(channel, 0, 100_000, now);
      assert(head >= Math.max(before.get(channel) ?? 0, ...known.keys()), "the head went back");
      assertEquals(messages.map(({ seq }) => seq), numbers(1, head));
      for (const { seq, id, payload } of messages) {
        assertEquals(JSON.parse(payload)[0], id);
        assertEquals(known.get(seq) ?? id, id);
      }
      // The publisher that was not answered asks again: nothing is stored twice.
      const again = await store.append(channel, messages.map(({ id }) => draft({ id })), now);
      assert(again.appended.every(({ seq, duplicate }, i) => duplicate && seq === i + 1));
      heads.set(channel, head);
    }
    before = heads;
    await store[Symbol.asyncDispose]();
  }
  assertEquals(answered.size, 8);
});
