import { runProgram } from "../support/program.ts";

const CLIENT = new URL("../../client/", import.meta.url);

/** The `package.json` that `deno pack` writes. */
export interface NpmManifest {
  readonly name: string;
  readonly version: string;
  readonly type: string;
  readonly exports: Record<string, { types: string; import: string; default: string }>;
  readonly dependencies?: Record<string, string>;
}

/**
 * Makes the npm package of the client and unpacks it into `node_modules` of a folder, as installing
 * it would.
 *
 * @returns the folder of the package
 */
export async function unpackClient(folder: string): Promise<string> {
  const archive = `${folder}/client.tgz`;
  const target = `${folder}/node_modules/@push/client`;
  await runProgram(Deno.execPath(), ["pack", "--quiet", "--allow-dirty", "-o", archive], {
    cwd: CLIENT.pathname,
  });
  await Deno.mkdir(target, { recursive: true });
  await runProgram("tar", ["xzf", archive, "--strip-components=1", "-C", target]);
  return target;
}
