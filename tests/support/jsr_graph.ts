/**
 * What JSR tells of the imports of each file of a package, so that Deno loads a whole package
 * without waiting for one file to learn of the next (`moduleGraph2`).
 *
 * @module
 */

/** A place in a text: line and column, from 0. */
type Place = [line: number, character: number];

interface Dependency {
  type: "static" | "dynamic";
  kind?: "import" | "importType";
  specifier?: string;
  specifierRange?: [Place, Place];
  argument?: string;
  argumentRange?: [Place, Place];
  importAttributes?: { known: Record<string, string> };
}

/** A module as `deno info --json` tells of it. */
interface Info {
  specifier: string;
  dependencies?: {
    specifier: string;
    isDynamic?: boolean;
    assertionType?: string;
    code?: { span: Span };
    type?: { span: Span };
  }[];
}

interface Span {
  start: { line: number; character: number };
  end: { line: number; character: number };
}

/** The imports of each module among these files. */
export async function moduleGraph(
  files: ReadonlyMap<string, Uint8Array>,
): Promise<Record<string, { dependencies?: Dependency[] }>> {
  const folder = await Deno.makeTempDir({ prefix: "push-jsr-" });
  try {
    const modules = [...files.keys()].filter((path) => path.endsWith(".ts"));
    for (const [path, bytes] of files) {
      const target = `${folder}/package${path}`;
      await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
      await Deno.writeFile(target, bytes);
    }
    // One module that imports all of them, as only one can be asked about.
    const all = modules.map((path) => `import "./package${path}";`).join("\n");
    await Deno.writeTextFile(`${folder}/all.ts`, all);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-config", "--no-remote", "--no-npm", "--no-lock", "all.ts"],
      cwd: folder,
      stderr: "null",
    }).output();
    const told: { modules: Info[] } = JSON.parse(new TextDecoder().decode(stdout));
    const infos = new Map(
      told.modules.map((info) => [decodeURI(info.specifier).split("/package")[1], info]),
    );
    return Object.fromEntries(modules.map((path) => {
      const dependencies = infos.get(path)?.dependencies?.map(dependency) ?? [];
      return [path, dependencies.length > 0 ? { dependencies } : {}];
    }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function dependency(
  { specifier, isDynamic, assertionType, code, type }: NonNullable<Info["dependencies"]>[number],
): Dependency {
  const range = placesOf((code ?? type)!.span);
  const extra = assertionType === undefined
    ? {}
    : { importAttributes: { known: { type: assertionType } } };
  return isDynamic ? { type: "dynamic", argument: specifier, argumentRange: range, ...extra } : {
    type: "static",
    kind: code === undefined ? "importType" : "import",
    specifier,
    specifierRange: range,
    ...extra,
  };
}

function placesOf({ start, end }: Span): [Place, Place] {
  return [[start.line, start.character], [end.line, end.character]];
}
