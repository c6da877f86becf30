/**
 * A registry of packages on this machine, in the form of JSR: `deno publish` uploads to it, and
 * `jsr:` specifiers load from it where `JSR_URL` names it. So what a test loads are the very files
 * that would be published, with the imports rewritten as publishing rewrites them.
 *
 * @module
 */
import { moduleGraph } from "./jsr_graph.ts";

/** A version of a package, as the registry answers for it. */
interface Version {
  readonly files: Map<string, Uint8Array<ArrayBuffer>>;
  readonly meta: string;
}

/** Where `deno publish` sends a package, and asks for it before. */
const UPLOAD = /^\/api\/scopes\/([^/]+)\/packages\/([^/]+)(?:\/versions\/([^/]+))?$/;
/** Where a package is loaded from: what is known of it, of a version, and a file. */
const LOAD = /^\/(@[^/]+\/[^/]+)\/(?:meta\.json|(.+)_meta\.json|([^/]+)(\/.+))$/;

/** A registry that runs until it is disposed of. */
export class Registry implements AsyncDisposable {
  /** Path of every request that was answered with 200, in order. */
  readonly served: string[] = [];
  readonly #packages: Map<string, Map<string, Version>> = new Map();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** Starts a registry without packages, on a free port. */
  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  /** What `JSR_URL` must be for a program to use this one. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /**
   * Publishes the package of a folder with `deno publish`.
   *
   * @param flags more flags of `deno publish`
   * @throws {Error} with the words of `deno publish` if it refuses
   */
  async publish(folder: string | URL, ...flags: string[]): Promise<void> {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["publish", "--quiet", "--allow-dirty", "--no-provenance", "--token=none", ...flags],
      cwd: folder,
      env: { JSR_URL: this.url, NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    if (!success) {
      throw new Error(`Cannot publish ${folder}: ${text.decode(stdout)}${text.decode(stderr)}`);
    }
  }

  /** Paths of the files of a package, each with a slash before it. */
  files(name: string): string[] {
    return [...this.#newest(name)?.[1].files.keys() ?? []].sort();
  }

  /** Loses a file of a package, as if it had not been published. @returns what brings it back */
  lose(name: string, file: string): () => void {
    const files = this.#newest(name)?.[1].files;
    const bytes = files?.get(file);
    if (!files || !bytes) throw new Error(`${name} has no ${file}`);
    files.delete(file);
    return () => files.set(file, bytes);
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  /** The version that was published last, with its number. */
  #newest(name: string): [string, Version] | undefined {
    return [...this.#packages.get(name) ?? []].at(-1);
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, scope, name, version] = UPLOAD.exec(pathname) ?? [];
    const response = scope === undefined
      ? this.#load(pathname)
      : await this.#upload(request, `@${scope}/${name}`, version);
    if (response === undefined) {
      return Response.json({ code: "notFound", message: pathname }, { status: 404 });
    }
    if (scope === undefined) this.served.push(pathname);
    return response;
  }

  #load(path: string): Response | undefined {
    const [, name, described, version, file] = LOAD.exec(path) ?? [];
    const versions = this.#packages.get(name);
    if (versions === undefined) return undefined;
    if (version !== undefined) {
      const bytes = versions.get(version)?.files.get(file);
      return bytes && new Response(bytes);
    }
    const headers = { "content-type": "application/json" };
    if (described !== undefined) {
      const found = versions.get(described);
      return found && new Response(found.meta, { headers });
    }
    const [scope, short] = name.slice(1).split("/");
    const all = Object.fromEntries([...versions.keys()].map((version) => [version, {}]));
    const latest = this.#newest(name)?.[0];
    return Response.json({ scope, name: short, latest, versions: all });
  }

  async #upload(
    request: Request,
    name: string,
    version: string | undefined,
  ): Promise<Response | undefined> {
    // Every package that somebody wants to publish exists.
    if (version === undefined) return Response.json({ name });
    if (request.method !== "POST") return undefined;
    const config = new URL(request.url).searchParams.get("config")!;
    const files = await unpack(request.body!);
    const versions = this.#packages.get(name) ?? new Map();
    this.#packages.set(name, versions.set(version, await describe(files, config)));
    const [packageScope, packageName] = name.slice(1).split("/");
    const task = { packageScope, packageName, packageVersion: version };
    return Response.json({ id: "1", status: "success", error: null, ...task });
  }
}

/** What the registry tells of a version beside its files. */
async function describe(files: Version["files"], config: string): Promise<Version> {
  const { exports } = JSON.parse(new TextDecoder().decode(files.get(config)));
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const [path, bytes] of files) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    manifest[path] = { size: bytes.length, checksum: `sha256-${digest}` };
  }
  const meta = JSON.stringify({
    manifest,
    exports: typeof exports === "string" ? { ".": exports } : exports,
    moduleGraph2: await moduleGraph(files),
  });
  return { files, meta };
}

/** Files of a tar archive under gzip, by their paths, each with a slash before it. */
async function unpack(archive: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Version["files"]> {
  const bytes = await new Response(archive.pipeThrough(new DecompressionStream("gzip"))).bytes();
  const files: Version["files"] = new Map();
  const field = (at: number, length: number): string =>
    new TextDecoder().decode(bytes.subarray(at, at + length)).replace(/\0.*$/s, "");
  let longName: string | undefined;
  // Blocks of 512 bytes: a header, then the content, filled up (POSIX.1-1988, "ustar").
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const size = parseInt(field(at + 124, 12), 8);
    const content = bytes.slice(at + 512, at + 512 + size);
    const prefix = field(at + 257, 5) === "ustar" ? field(at + 345, 155) : "";
    const type = field(at + 156, 1);
    // GNU's tar puts a name that is too long for its field into an entry of its own.
    if (type === "L") longName = new TextDecoder().decode(content).replace(/\0.*$/s, "");
    else {
      const path = longName ?? (prefix === "" ? "" : `${prefix}/`) + field(at, 100);
      if (type === "0" || type === "") files.set(`/${path.replace(/^\.?\//, "")}`, content);
      longName = undefined;
    }
    at += 512 + 512 * Math.ceil(size / 512);
  }
  return files;
}
