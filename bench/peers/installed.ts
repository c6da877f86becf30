/** Servers of others: found where they are installed, and installed where the user asks for it. */

/** What is there. */
export interface Installed {
  /** Folder with their packages. */
  readonly folder: string;
  /** Program of Node. */
  readonly node?: string;
  /** Program of Bun. */
  readonly bun?: string;
  /** Whether `npm:ws` is in the folder. */
  readonly ws: boolean;
  /** Whether `npm:socket.io` is in the folder. */
  readonly socketio: boolean;
}

/** Names as people give them, and the packages that they are. */
export const PACKAGES: Readonly<Record<string, string>> = {
  ws: "ws@8",
  socketio: "socket.io@4",
  bun: "bun@1",
};

/** Looks for them: in a folder of this bench, and Bun and Node on the path. */
export async function find(): Promise<Installed> {
  const folder = folderOfPeers();
  const has = (name: string) => exists(`${folder}/node_modules/${name}/package.json`);
  const own = `${folder}/node_modules/bun/bin/bun.exe`;
  const [node, bun, ws, socketio] = await Promise.all([
    runs("node"),
    exists(own).then((is) => runs(is ? own : "bun")),
    has("ws"),
    has("socket.io"),
  ]);
  return { folder, node, bun, ws, socketio };
}

/**
 * Installs them by npm, into a folder of the user's caches.
 *
 * @throws {Error} if npm fails
 */
export async function install(names: readonly string[]): Promise<void> {
  const folder = folderOfPeers();
  await Deno.mkdir(folder, { recursive: true });
  const packages = names.map((name) => PACKAGES[name]);
  const { success } = await new Deno.Command("npm", {
    args: ["install", "--no-audit", "--no-fund", "--prefix", folder, ...packages],
    stdout: "null",
  }).spawn().status;
  if (!success) throw new Error(`npm could not install ${packages.join(", ")}`);
}

/** What says how those that are missing are installed; none if there is nothing to say. */
export function hint({ node, bun, ws, socketio }: Installed): string | undefined {
  const missing = [
    ...(ws ? [] : ["ws"]),
    ...(socketio ? [] : ["socketio"]),
    ...(bun === undefined ? ["bun"] : []),
  ];
  if (missing.length === 0) return undefined;
  const needs = node === undefined ? " (ws and socketio run on Node, which is not there)" : "";
  return `Not there: ${missing.join(", ")}. --peers ${
    missing.join(",")
  } installs with npm${needs}.`;
}

/** The command that runs a program which loads packages from this folder. */
export function nodeProgram(node: string, program: string, folder: string): readonly string[] {
  return [node, program, `${folder}/`];
}

function folderOfPeers(): string {
  const caches = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "."}/.cache`;
  return `${caches}/push-bench`;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** The program, if it runs. */
async function runs(program: string): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command(program, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).output();
    return success ? program : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
