import { assertEquals, assertMatch } from "@std/assert";
import { clientImports, servePage } from "../../dev/pages.ts";

const FOLDER = new URL("../../examples/chat/", import.meta.url);

function serve(path: string): Promise<Response | undefined> {
  return servePage(new Request(`http://127.0.0.1${path}`), FOLDER);
}

Deno.test("a page's folder and the client's modules are served as a browser wants them", async () => {
  for (
    const [path, type] of [
      ["/", "text/html"],
      ["/page.css", "text/css"],
      ["/page.js", "text/javascript"],
      ["/client/mod.ts", "text/javascript"],
      ["/client/protocol/codec.ts", "text/javascript"],
    ]
  ) {
    const response = await serve(path);
    assertEquals(response?.headers.get("content-type"), `${type}; charset=utf-8`, path);
    await response?.body?.cancel();
  }
});

Deno.test("every entry point of the client that a page may import is served, without types", async () => {
  for (const [name, path] of Object.entries(await clientImports())) {
    assertMatch(name, /^@push\/client(\/\w+)?$/);
    const text = await (await serve(path))?.text() ?? "";
    assertMatch(text, /\b(export|import)\b/);
    assertEquals(/\bexport +type\b/.test(text), false, path);
  }
});

Deno.test("nothing else is served", async () => {
  for (
    const path of [
      "/main.ts",
      "/README.md",
      "/missing.js",
      "/client/missing.ts",
      "/client/deno.json",
      "/client/../mod.ts",
      "/client/%2e%2e/mod.ts",
      "/client/..%2fmod.ts",
      "/..%2fcluster%2fREADME.md",
      "/constructor",
      "/api/push/publish",
    ]
  ) assertEquals(await serve(path), undefined, path);
});
