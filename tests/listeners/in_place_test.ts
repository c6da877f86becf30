import { assertEquals } from "@std/assert";

const PROGRAM = new URL("./in_place.ts", import.meta.url).pathname;

/** What a process that listens says, which may do these things. */
async function said(permissions: string[], env: Record<string, string> = {}): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-net=127.0.0.1", ...permissions, PROGRAM],
    env: { NO_COLOR: "1", ...env },
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test("Deno is told to write frames from where they are, unless the user says otherwise or it may not be told", async () => {
  const found = await Promise.all([
    said(["--allow-env"]),
    said(["--allow-env"], { DENO_USE_WRITEV: "" }),
    said([]),
  ]);
  assertEquals(found, ['"1"\n', '""\n', "not asked\n"]);
});
