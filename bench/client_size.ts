/**
 * What `@push/client` adds to a page: bundled, minified and gzipped, by entry point and by file, beside
 * the clients of others.
 *
 * The last part of `deno task bench:client`; `deno run -A bench/client_size.ts` prints it alone (Linux:
 * `gzip` makes the figures, as most servers do; esbuild, Terser and the others come from npm).
 *
 * @module
 */
import { show, table } from "./figures.ts";

const CLIENT = new URL("../client/", import.meta.url).pathname;
/** What pages import. */
const PAGES: Readonly<Record<string, readonly string[]>> = {
  "@push/client": [`${CLIENT}mod.ts`],
  "  with /outbox": [`${CLIENT}mod.ts`, `${CLIENT}persistence/mod.ts`],
  "  with /tabs": [`${CLIENT}mod.ts`, `${CLIENT}tabs/mod.ts`],
  "socket.io-client": ["socket.io-client"],
  "centrifuge": ["centrifuge"],
};
const OTHERS = { "socket.io-client": "^4", "centrifuge": "^5" };

/** What esbuild tells of a bundle. */
interface Output {
  readonly inputs: { readonly [file: string]: { readonly bytesInOutput: number } };
}

/** Prints it. */
export async function printSize(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "push-bench-" });
  try {
    const manifest = { private: true, dependencies: OTHERS };
    await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify(manifest));
    await run(folder, Deno.execPath(), "install", "--quiet", "--node-modules-dir=auto");
    const rows = [["bytes a page loads", "minified", "gzipped", "gzipped, by Terser"]];
    for (const [name, modules] of Object.entries(PAGES)) {
      const entry = modules.map((each) => `export * from ${JSON.stringify(each)};`).join("\n");
      await Deno.writeTextFile(`${folder}/entry.js`, entry);
      await bundle(folder, "bundle.js");
      await bundle(folder, "minified.js", "--minify");
      await run(
        folder,
        ...[Deno.execPath(), "run", "-A", "--quiet", "npm:terser@5", "bundle.js", "--module"],
        ...["--compress", "passes=3,unsafe_arrows=true", "--mangle", "--output", "terser.js"],
      );
      const { size } = await Deno.stat(`${folder}/minified.js`);
      const gzipped = await Promise.all([
        gzip(folder, "minified.js"),
        gzip(folder, "terser.js"),
      ]);
      rows.push([name, show(size), ...gzipped.map(show)]);
    }
    table(rows);
    await printFiles(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** How the files of the client share in it. */
async function printFiles(folder: string): Promise<void> {
  await Deno.writeTextFile(`${folder}/entry.js`, `export * from "${CLIENT}mod.ts";`);
  await bundle(folder, "minified.js", "--minify", "--metafile=meta.json");
  const { outputs } = JSON.parse(await Deno.readTextFile(`${folder}/meta.json`));
  const [{ inputs }] = Object.values(outputs) as Output[];
  const files = Object.entries(inputs)
    .map(([file, { bytesInOutput }]) => [file.replace(/^.*client\//, ""), bytesInOutput] as const)
    .filter(([, bytes]) => bytes > 0)
    .toSorted(([, one], [, other]) => other - one);
  console.log("By file, minified:");
  table(files.map(([file, bytes]) => [file, show(bytes)]));
}

async function bundle(folder: string, output: string, ...flags: string[]): Promise<void> {
  await run(
    folder,
    ...[Deno.execPath(), "run", "-A", "--quiet", "npm:esbuild@0.25", "entry.js", "--bundle"],
    ...["--format=esm", "--target=es2022", "--platform=browser", "--log-level=error"],
    ...[`--outfile=${output}`, ...flags],
  );
}

/** Bytes of a file of the folder, gzipped. */
async function gzip(folder: string, file: string): Promise<number> {
  return (await run(folder, "gzip", "-9", "-n", "-c", file)).length;
}

async function run(folder: string, program: string, ...args: string[]): Promise<Uint8Array> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd: folder })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return stdout;
}

if (import.meta.main) await printSize();
