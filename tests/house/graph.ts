/**
 * The module graph, as `deno info --json` sees it, and the arrows that it may have.
 *
 * @module
 */

/** One import of one module by another. Files are named by their path from the root. */
export interface Edge {
  from: string;
  to: string;
  /** What the importing file says: `./store.ts`, `@push/client/protocol`. */
  specifier: string;
  /** An import of types only is erased; it loads nothing. */
  kind: "value" | "type";
  dynamic: boolean;
}

/** One rule about who imports whom: the target must match `allows` and must not match `forbids`. */
export interface Arrow {
  says: string;
  from: RegExp;
  allows?: RegExp;
  forbids?: RegExp;
}

const CORE = /^server\/(hub\.ts$|(channel|limits|nodes|presence|session)\/)/;

/** The arrows of the house. */
export const ARROWS: readonly Arrow[] = [
  {
    says: "the client imports nothing from outside its folder, and no package",
    from: /^client\//,
    allows: /^client\//,
  },
  {
    says: "the wire types import nothing but one another",
    from: /^client\/protocol\//,
    allows: /^client\/protocol\//,
  },
  {
    says: "the gateway uses the wire types and nothing else of the client",
    from: /^(mod\.ts$|server\/)/,
    forbids: /^client\/(?!protocol\/mod\.ts$)/,
  },
  {
    says: "stores and transports implement contracts and never import the core",
    from: /^server\/(stores|transports)\//,
    forbids: /^server\/((gateway|hub)\.ts$|(channel|dialog|http|nodes|presence|session)\/)/,
  },
  {
    says: "the core knows stores and transports by their contracts only",
    from: CORE,
    forbids:
      /^server\/(command\/|gateway\.ts|dialog\/|http\/|stores\/(?!(store|cluster|revocations|session_key)\.ts)|transports\/(?!connection\.ts))/,
  },
];

/** The imports that break a rule, one sentence each. */
export function offenders(edges: Edge[], { from, allows, forbids }: Arrow): string[] {
  return edges
    .filter((edge) => from.test(edge.from))
    .filter(({ to }) => (allows !== undefined && !allows.test(to)) || forbids?.test(to))
    .map(sentence);
}

/** The imports that load one of these packages at start, although it is needed only when chosen. */
export function eager(edges: Edge[], packages: string[]): string[] {
  return edges
    .filter(({ to }) => packages.some((name) => to.startsWith(`npm:${name}@`)))
    .filter((edge) => edge.kind === "value" && !edge.dynamic)
    .map(sentence);
}

/** What runs once `file` is loaded: itself and what it imports, directly or not, types apart. */
export function loadedBy(file: string, edges: Edge[]): string[] {
  const loaded = new Set([file]);
  for (const here of loaded) {
    for (const { from, to, kind } of edges) {
      if (from === here && kind === "value") loaded.add(to);
    }
  }
  return [...loaded].sort();
}

/** A way round in a circle along imports of values; `undefined` if there is none. */
export function cycle(edges: Edge[]): string[] | undefined {
  const next = Map.groupBy(edges.filter((edge) => edge.kind === "value"), (edge) => edge.from);
  const finished = new Set<string>();
  function walk(path: string[]): string[] | undefined {
    const here = path[path.length - 1];
    const start = path.indexOf(here);
    if (start < path.length - 1) return path.slice(start);
    if (finished.has(here)) return undefined;
    for (const { to } of next.get(here) ?? []) {
      const found = walk([...path, to]);
      if (found !== undefined) return found;
    }
    finished.add(here);
  }
  for (const from of next.keys()) {
    const found = walk([from]);
    if (found !== undefined) return found;
  }
}

/** Every import of these files and of what they import, within the folder `root`. */
export async function readEdges(root: URL, files: string[]): Promise<Edge[]> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const imports = files.map((file) => `import ${JSON.stringify(new URL(file, root).href)};`);
    await Deno.writeTextFile(entry, imports.join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", entry],
      cwd: root,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return edgesOf(JSON.parse(new TextDecoder().decode(stdout)), root);
  } finally {
    await Deno.remove(entry);
  }
}

interface Info {
  modules: {
    specifier: string;
    error?: string;
    dependencies?: {
      specifier: string;
      code?: { specifier?: string; error?: string };
      type?: { specifier?: string; error?: string };
      isDynamic?: boolean;
    }[];
  }[];
}

function edgesOf({ modules }: Info, root: URL): Edge[] {
  const edges: Edge[] = [];
  for (const module of modules) {
    if (module.error !== undefined) throw new Error(module.error);
    if (!module.specifier.startsWith(root.href)) continue;
    for (const { specifier, code, type, isDynamic } of module.dependencies ?? []) {
      for (const [kind, target] of [["value", code], ["type", type]] as const) {
        if (target === undefined) continue;
        if (target.specifier === undefined) throw new Error(target.error);
        edges.push({
          from: module.specifier.replace(root.href, ""),
          to: target.specifier.replace(root.href, ""),
          specifier,
          kind,
          dynamic: kind === "value" && isDynamic === true,
        });
      }
    }
  }
  return edges;
}

function sentence({ from, specifier, kind }: Edge): string {
  return `${from} imports ${kind === "type" ? "types of " : ""}${specifier}`;
}
