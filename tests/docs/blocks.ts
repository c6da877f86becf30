/** The code of a Markdown file: what stands between ```` ```LANGUAGE ```` fences. */
export function codeBlocks(markdown: string, language: string): string[] {
  const blocks: string[] = [];
  for (const [, info, code] of markdown.matchAll(/^```(\S*)[^\n]*\n([\s\S]*?)^```$/gm)) {
    if (info === language) blocks.push(code);
  }
  return blocks;
}

/** Runs a program of a document in a process of its own, against a gateway of the test. */
export async function runBlock(
  code: string,
  port: number,
): Promise<{ success: boolean; stdout: string; stderr: string }> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, code.replaceAll("localhost:8765", `127.0.0.1:${port}`));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--check", "--config", "deno.json", file],
      env: { NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { success, stdout: text(stdout), stderr: text(stderr) };
  } finally {
    await Deno.remove(file);
  }
}
