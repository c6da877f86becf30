import { assertEquals } from "@std/assert";

const PROGRAM = new URL("../../bench/mod.ts", import.meta.url).pathname;

/** Processes that this one started and that run. */
async function childrenOf(parent: number): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // It may have ended since the folder was read.
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    const [state, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (state !== "Z" && Number(ppid) === parent) found.push(Number(name));
  }
  return found;
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((again) => setTimeout(again, 20));
}

for (const signal of ["SIGINT", "SIGKILL"] as const) {
  Deno.test(`the command leaves no process behind when it is ended by ${signal}`, async () => {
    const bench = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", PROGRAM, "--only", "churn", "--minutes", "5"],
      stdout: "null",
      stderr: "null",
    }).spawn();
    let children: number[] = [];
    // A gateway, and a load generator.
    await until(async () => (children = await childrenOf(bench.pid)).length >= 2);
    bench.kill(signal);
    const { code } = await bench.status;
    assertEquals(code, signal === "SIGINT" ? 130 : 137);
    for (const pid of children) {
      await until(() => Deno.stat(`/proc/${pid}`).then(() => false, () => true));
    }
  });
}
