/**
 * What pages in a browser are made of: their own files, and the modules of `@push/client`, served as
 * they are with the types taken out, so that what runs in the page is the source, file by file.
 *
 * @module
 */
import * as module from "node:module";

/** The types of Node that a dependency brings along may be older than this function. */
const { stripTypeScriptTypes } = module as unknown as {
  stripTypeScriptTypes(source: string): string;
};

const CLIENT = new URL("../client/", import.meta.url);
const PREFIX = "/client/";
const HOME = "/page.html";
const TYPES: Record<string, string> = { html: "text/html", css: "text/css", js: "text/javascript" };

/**
 * Answers a request for a file of a folder, its `page.html` at `/`, or for a module of the client;
 * `undefined` if it asks for something else.
 */
export async function servePage(request: Request, folder: URL): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  const [, name, extension] = /^\/(\w+\.(\w+))$/.exec(pathname === "/" ? HOME : pathname) ?? [];
  if (!Object.hasOwn(TYPES, extension ?? "")) return await serveClientModule(request);
  const text = await read(new URL(name, folder));
  return text === undefined ? undefined : answer(text, TYPES[extension]);
}

/** The module of the client that a request asks for; `undefined` if it asks for something else. */
export async function serveClientModule(request: Request): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  // Without an escaped slash in it, an address leads nowhere else.
  const path = /^\/client\/([\w/]+\.ts)$/.exec(pathname)?.[1];
  const text = path === undefined ? undefined : await read(new URL(path, CLIENT));
  return text === undefined ? undefined : answer(stripTypeScriptTypes(text), TYPES.js);
}

/** Addresses of the client's entry points by the names that a page imports, as an import map has them. */
export async function clientImports(): Promise<Record<string, string>> {
  const { name, exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", CLIENT)));
  return Object.fromEntries(
    Object.entries<string>(exports).map(([entry, file]) => [
      name + entry.slice(1),
      PREFIX + file.slice(2),
    ]),
  );
}

/** Text that a browser asks for anew each time. */
export function answer(text: string, type: string): Response {
  const headers = { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" };
  return new Response(text, { headers });
}

async function read(url: URL): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(url);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
