import { assert, assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import type { KvStore } from "../../../server/stores/kv/store.ts";
import { openDatabase, openPackage } from "../../../server/stores/kv/engine.ts";
import { draft, numbers } from "../../../server/testing/store_trial.ts";
import { Folder, KEEP_ALL, openStore, trialOf } from "./support/files.ts";

const NOW = 1_000_000;
const FILLER = new URL("./support/filler.ts", import.meta.url).pathname;

/** What a process said of itself. */
interface Report {
  readonly answered: number;
  readonly codes: readonly string[];
  readonly trouble: string | null;
}

async function succeeds(command: string, ...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, {
      args,
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

/** A small disk; `undefined` where the system lets only its administrator make one. */
async function smallDisk(folder: Folder) {
  const path = folder.file("disk");
  await Deno.mkdir(path);
  const options = ["-t", "tmpfs", "-o", "size=4m", "push-kv-test", path];
  if (!await succeeds("mount", ...options)) return undefined;
  const filler = `${path}/filler`;
  return {
    path: `${path}/push.db`,
    fill: (bytes: number) => Deno.writeFile(filler, new Uint8Array(bytes)),
    free: () => Deno.remove(filler),
    [Symbol.asyncDispose]: async () => void await succeeds("umount", path),
  };
}

/** Publishes until the store refuses; resolves to how many were answered, and the refusal. */
async function publishUntilFull(store: KvStore, from: number): Promise<[number, PushError]> {
  for (let n = from;; n++) {
    const payload = JSON.stringify([n, "x".repeat(20_000)]);
    try {
      await store.append("c", [draft({ id: `${n}`, payload })], NOW);
    } catch (error) {
      assert(error instanceof PushError);
      return [n - 1, error];
    }
  }
}

async function seqsOf(store: KvStore): Promise<number[]> {
  const { messages } = await store.read("c", 0, 100_000, NOW);
  assert(messages.every(({ seq, payload }) => JSON.parse(payload)[0] === seq));
  return messages.map(({ seq }) => seq);
}

/** Runs the filler, and hands its reports over as they come. */
async function fill(
  command: string,
  args: readonly string[],
  heard: (report: Report, child: Deno.ChildProcess) => Promise<void> | void,
): Promise<void> {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    while (text.includes("\n")) {
      const [line] = text.split("\n", 1);
      text = text.slice(line.length + 1);
      await heard(JSON.parse(line), child);
    }
  }
  if (!child.stdin.locked) await child.stdin.close();
  assertEquals((await child.status).code, 0);
}

/** A process whose files cannot grow beyond a limit, until it is lifted. */
async function fillToLimit(folder: Folder, engine: string): Promise<void> {
  const path = folder.file();
  // Writing beyond the limit is an error instead of a signal that kills.
  const script = `trap '' XFSZ; ulimit -S -f 4000; exec "$0" run -A --quiet "$@"`;
  const reports: Report[] = [];
  await fill("sh", ["-c", script, Deno.execPath(), FILLER, "full", path, engine], async (
    report,
    child,
  ) => {
    reports.push(report);
    if (reports.length > 1) return;
    assert(await succeeds("prlimit", "--pid", `${child.pid}`, "--fsize=unlimited"));
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("go on\n"));
    await writer.close();
  });
  const [full, swept, after] = reports;
  assert(full.answered > 10);
  assertEquals(full.codes, ["unavailable"]);
  assert(full.trouble?.startsWith("The store's file cannot be written: "), full.trouble ?? "");
  assertEquals([swept.answered, swept.trouble], [full.answered, null]);
  assertEquals(after, { answered: full.answered + 10, codes: ["unavailable"], trouble: null });
  await keeps(path, after.answered);
}

/** Asserts that a file has so many messages, each once, and takes another. */
async function keeps(path: string, answered: number): Promise<void> {
  const store = await openStore(path, KEEP_ALL);
  assertEquals(await seqsOf(store), numbers(1, answered));
  assertEquals((await trialOf(store, NOW).append("c", [draft()])).head, answered + 1);
  await store[Symbol.asyncDispose]();
}

for (
  const [engine, open] of [["Deno.openKv", openDatabase], ["npm:@deno/kv", openPackage]] as const
) {
  const terms = { ...KEEP_ALL, openDatabase: open };

  Deno.test(`KvStore on a full disk refuses publishes, loses none, and recovers by itself, ${engine}`, async () => {
    await using folder = await Folder.make();
    await using disk = await smallDisk(folder);
    // Where nobody may make a disk, a limit on files does as well.
    if (disk === undefined) return await fillToLimit(folder, engine);
    await disk.fill(2_000_000);
    let store = await openStore(disk.path, terms);
    const t = trialOf(store, NOW);
    const generation = await t.attach("s");
    let answered = 0;
    for (let round = 0; round < 2; round++) {
      const [last, refusal] = await publishUntilFull(store, answered + 1);
      assert(last > answered, "something fits");
      assertEquals(refusal.code, "unavailable");
      assert(/full/.test(store.trouble ?? ""), store.trouble);
      answered = last;
      assertEquals(await seqsOf(store), numbers(1, answered));
      if (round > 0) break;
      // Positions cannot be written either; they count all the same.
      for (let i = 0; i < 20; i++) {
        await t.stand("s", generation, "c", i).catch((error) => assert(error instanceof PushError));
      }
      assertEquals((await t.position("s", "c"))?.floor, 19);
      await disk.free();
      // The next time that it is asked to tidy up it finds out.
      await store.sweep(NOW);
      assertEquals(store.trouble, undefined);
    }
    await store[Symbol.asyncDispose]();
    store = await openStore(disk.path, terms);
    assertEquals(await seqsOf(store), numbers(1, answered));
    assertEquals((await store.load("s", Infinity, ["c"], NOW))?.[0]?.floor, 19);
    await store[Symbol.asyncDispose]();
  });

  Deno.test(`KvStore whose files cannot grow refuses publishes, loses none, and recovers by itself, ${engine}`, async () => {
    await using folder = await Folder.make();
    await fillToLimit(folder, engine);
  });

  Deno.test(`KvStore loses nothing that it answered while the disk said that it failed, ${engine}`, async () => {
    await using folder = await Folder.make();
    // A tracer makes the system say so; where it may not trace, the limit on files does.
    if (!await succeeds("strace", "-o", "/dev/null", "true")) {
      return await fillToLimit(folder, engine);
    }
    for (
      const [calls, error] of [["fsync,fdatasync", "EIO"], ["pwrite64", "ENOSPC"]] as const
    ) {
      const path = folder.file(`${error}.db`);
      const tracer = ["-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`];
      const inject = `inject=${calls}:error=${error}:when=60..90+2`;
      const program = [Deno.execPath(), "run", "-A", "--quiet", FILLER, "errors", path, engine];
      const reports: Report[] = [];
      await fill("strace", [...tracer, "-e", inject, ...program], (one) => void reports.push(one));
      const [{ answered, codes, trouble }] = reports;
      assert(answered > 20);
      assertEquals([codes, trouble], [["unavailable"], null]);
      await keeps(path, answered);
    }
  });
}
