/**
 * Pages for real browsers, and the gateway that they talk to.
 *
 * @module
 */
import { QUIET } from "./gateway.ts";
import { Gateway, type GatewayOptions } from "../../mod.ts";
import { answer, clientImports, serveClientModule } from "../../dev/pages.ts";

/** What a page is to be like. */
export interface PageOptions {
  /** Whether `@push/client` is one minified file, as `deno bundle` makes it. Default its sources. */
  readonly bundled?: boolean;
  /** Value of the header `Content-Security-Policy`. */
  readonly csp?: string;
  /** A script that runs before anything else of the page. */
  readonly before?: string;
}

/** Serves pages that can `import("@push/client")`, and each other entry point of the client. */
export class PageServer implements AsyncDisposable {
  /** The gateway on the origin of the pages: its WebSocket is at `/ws`. */
  readonly gateway: Gateway;
  /** Whether event streams are held back until they end, as some proxies do. */
  buffersStreams = false;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #imports: Record<string, string>;

  private constructor(gateway: Gateway, imports: Record<string, string>) {
    this.gateway = gateway;
    this.#imports = imports;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  /** Starts a server on a free port, with a gateway mounted in it. */
  static async start(options: GatewayOptions = {}): Promise<PageServer> {
    const gateway = new Gateway({
      log: QUIET,
      ...options,
      push: { enabled: true, ...options.push },
    });
    return new PageServer(gateway, await clientImports());
  }

  /** Port of 127.0.0.1 that it listens on. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** Scheme, host and port of the pages. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Address of the gateway's WebSocket. */
  get ws(): string {
    return `ws://127.0.0.1:${this.port}${this.gateway.settings.path}`;
  }

  /** Address of an empty page, for `visit.open()`. */
  page({ bundled, csp, before }: PageOptions = {}): string {
    const url = new URL("/page", this.origin);
    if (bundled) url.searchParams.set("bundled", "");
    if (csp !== undefined) url.searchParams.set("csp", csp);
    if (before !== undefined) url.searchParams.set("before", before);
    return url.href;
  }

  /** Stops the gateway and the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway.stop();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/page") return this.#page(url.searchParams);
    if (url.pathname === "/favicon.ico") return new Response(null, { status: 204 });
    if (url.pathname.startsWith("/bundle/")) {
      const entry = this.#imports[`@push/${url.pathname.slice("/bundle/".length)}`];
      return answer(await bundle(entry), "text/javascript");
    }
    const response = await serveClientModule(request) ?? await this.gateway.fetch(request);
    return this.buffersStreams && url.pathname === "/api/push/sse" ? buffered(response) : response;
  }

  #page(query: URLSearchParams): Response {
    const names = Object.entries(this.#imports);
    const imports = query.has("bundled")
      ? Object.fromEntries(names.map(([name]) => [name, name.replace("@push", "/bundle")]))
      : this.#imports;
    const html = `<!doctype html><meta charset="utf-8"><title>Page</title>
<script>${query.get("before") ?? ""}</script>
<script type="importmap">${JSON.stringify({ imports })}</script>`;
    const csp = query.get("csp");
    return new Response(html, {
      headers: {
        "content-type": "text/html; charset=utf-8",
        ...csp === null ? {} : { "content-security-policy": csp },
      },
    });
  }
}

function buffered({ body, status, headers }: Response): Response {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const held = body?.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (chunk) => void chunks.push(chunk),
      flush: (controller) => chunks.forEach((chunk) => controller.enqueue(chunk)),
    }),
  );
  return new Response(held, { status, headers });
}

/** Bundles of this run: they are made once, and the text is all that is kept. */
const bundles = new Map<string, Promise<string>>();

function bundle(entry: string): Promise<string> {
  const made = bundles.get(entry) ?? runBundler(`.${entry}`);
  bundles.set(entry, made);
  return made;
}

async function runBundler(entry: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", "--minify", entry],
    cwd: new URL("../../", import.meta.url),
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot bundle ${entry}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
