import { assert, assertEquals, assertMatch } from "@std/assert";
import { ARROWS, cycle, eager, type Edge, loadedBy, offenders, readEdges } from "./graph.ts";
import { namesIn, OUTSIDE_WORLD, TIME_AND_CHANCE } from "./names.ts";

const ROOT = new URL("../../", import.meta.url);
const NOT_OURS = [".git", "node_modules", "coverage"];
const files = (await list("")).sort();
const sources = files.filter((file) => /^(mod\.ts$|client\/|server\/)/.test(file))
  .filter((file) => file.endsWith(".ts") && !file.endsWith("_test.ts"));

/** Every file of the project by its path from the root. */
async function list(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(new URL(folder || "./", ROOT))) {
    if (NOT_OURS.includes(entry.name)) continue;
    const path = folder + entry.name;
    if (entry.isFile) found.push(path);
    if (entry.isDirectory) found.push(...await list(`${path}/`));
  }
  return found;
}

function read(file: string): Promise<string> {
  return Deno.readTextFile(new URL(file, ROOT));
}

/** What `find` reports of each file, with the file's name before it. */
async function inEach(among: string[], find: (source: string) => string[]): Promise<string[]> {
  const reports = among.map(async (file) => find(await read(file)).map((it) => `${file}:${it}`));
  return (await Promise.all(reports)).flat();
}

Deno.test("arrows: who imports whom", async (t) => {
  const edges = await readEdges(ROOT, sources);

  for (const arrow of ARROWS) {
    await t.step(arrow.says, () => assertEquals(offenders(edges, arrow), []));
  }
  await t.step("the gateway names the client's package and no path into it", () => {
    const into = edges.filter(({ to }) => to.startsWith("client/"));
    const paths = into.filter(({ from, specifier }) =>
      !from.startsWith("client/") && specifier !== "@push/client/protocol"
    );
    assertEquals(paths, []);
  });
  await t.step("no module imports itself by way of others", () => {
    assertEquals(cycle(edges), undefined);
  });
  await t.step("ioredis, @deno/kv, jose and ws are loaded only when configured", () => {
    assertEquals(eager(edges, ["ioredis", "@deno/kv", "jose", "ws"]), []);
  });
});

Deno.test("arrows: a forbidden import is found", () => {
  const edge = (from: string, to: string, more?: Partial<Edge>): Edge => (
    { from, to, specifier: to, kind: "value", dynamic: false, ...more }
  );
  const wrong = [
    [edge("client/client.ts", "dev/std/async/mod.ts"), edge("client/client.ts", "node:net")],
    [edge("client/protocol/frames.ts", "client/client.ts")],
    [edge("server/hub.ts", "client/client.ts", { kind: "type" })],
    [edge("server/stores/kv/store.ts", "server/session/session.ts", { kind: "type" })],
    [edge("server/hub.ts", "server/stores/memory/store.ts")],
  ];
  const right = [
    edge("client/client.ts", "client/protocol/mod.ts"),
    edge("server/stores/kv/store.ts", "server/stores/store.ts"),
    edge("server/hub.ts", "server/stores/store.ts", { kind: "type" }),
    edge("server/gateway.ts", "npm:ioredis@^6", { dynamic: true }),
  ];
  ARROWS.forEach((arrow, i) => {
    assertEquals(offenders([...wrong[i], ...right], arrow).length, wrong[i].length, arrow.says);
  });
  assertEquals(loadedBy("a", [edge("b", "c"), edge("a", "b"), edge("c", "a")]), ["a", "b", "c"]);
  assertEquals(loadedBy("a", [edge("a", "b", { kind: "type" })]), ["a"]);
  assertEquals(cycle([edge("a", "b"), edge("b", "c"), edge("c", "b")]), ["b", "c", "b"]);
  assertEquals(cycle([edge("a", "b"), edge("b", "a", { kind: "type" })]), undefined);
  assertEquals(eager([edge("a", "npm:ioredis@^6")], ["ioredis"]), ["a imports npm:ioredis@^6"]);
  assertEquals(eager([edge("a", "npm:ioredis@^6", { dynamic: true })], ["ioredis"]), []);
});

Deno.test("arrows: imports are read from real files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const root = new URL(`file://${folder}/`);
    await Deno.writeTextFile(new URL("b.ts", root), "export type T = 1; export const v = 1;");
    await Deno.writeTextFile(
      new URL("a.ts", root),
      `import type { T } from "./b.ts"; export const t: T = 1; await import("./b.ts");`,
    );
    const about = { from: "a.ts", to: "b.ts", specifier: "./b.ts" };
    assertEquals(await readEdges(root, ["a.ts"]), [
      { ...about, kind: "value", dynamic: true },
      { ...about, kind: "type", dynamic: false },
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("time and chance are named in clock files only", async () => {
  const among = sources.filter((file) => !/clock[^/]*$/.test(file));
  assertEquals(await inEach(among, (source) => namesIn(source, TIME_AND_CHANCE)), []);
});

Deno.test("the core names neither Deno, nor WebSocket, nor any clock", async () => {
  const loaded = loadedBy("server/hub.ts", await readEdges(ROOT, sources));
  const core = loaded.filter((file) => file.startsWith("server/") && !/clock[^/]*$/.test(file));
  for (
    const name of ["channel/channel", "session/cursor", "session/session", "session/subscription"]
  ) {
    assert(core.includes(`server/${name}.ts`), `the hub does not load server/${name}.ts`);
  }
  assertEquals(await inEach(core, (source) => namesIn(source, OUTSIDE_WORLD)), []);
});

Deno.test("names: what runs is found, what only reads alike is not", () => {
  const wrong = `
    setTimeout(f, 1);
    globalThis.setInterval(f, 1);
    const at = Date.now(), again = new Date(), text = Date();
    const { signal } = { signal: AbortSignal["timeout"](5) };
    const handles = { setImmediate };
    let conn: Deno.Conn;`;
  assertEquals(namesIn(wrong, OUTSIDE_WORLD), [
    "2: setTimeout",
    "3: setInterval",
    "4: Date",
    "4: Date.now",
    "4: Date()",
    "5: AbortSignal.timeout",
    "6: setImmediate",
    "7: Deno",
  ]);
  const right = `
    // setTimeout(f, 1)
    const text = "Date.now()" + \`Math.random()\`;
    clock.setTimeout(f); clock.Date.now();
    class Clock { setTimeout() {} Date = 1; }
    const table = { Deno: 1, performance: 2 };`;
  assertEquals(namesIn(right, OUTSIDE_WORLD), []);
  assertEquals(namesIn("new Date(0)", TIME_AND_CHANCE), []);
});

Deno.test("both packages and the newest entry of the change log carry one version", async () => {
  const { version } = JSON.parse(await read("deno.json"));
  const client = JSON.parse(await read("client/deno.json"));
  assertMatch(version, /^\d+\.\d+\.\d+$/);
  assertEquals(client.version, version);
  assertEquals(newest(await read("CHANGELOG.md")), version);
});

Deno.test("the newest entry of a change log is its first", () => {
  assertEquals(
    newest("# Changelog\n\n## [2.0.0] - Unreleased\n\n## [1.0.0] - 2020-01-01"),
    "2.0.0",
  );
  assertEquals(newest("# Changelog\n"), undefined);
});

function newest(changeLog: string): string | undefined {
  return /^## \[(\d+\.\d+\.\d+)\]/m.exec(changeLog)?.[1];
}

// Brackets and plus signs keep this file from breaking its own rules.
const UNWANTED: [what: string, pattern: RegExp, example: string][] = [
  ["a job left undone", /\b(TO[D]O|FIX[M]E)\b/, "// TO" + "DO: later"],
  ["a path of one machine", /[/](home|Users)[/][\w.-]+[/]/, "/home/" + "ann/push"],
  ["a path of one machine", /[/](root|tmp)[/]\w/, "/tmp/" + "push.db"],
  ["a path of one machine", /\b[A-Z]:\\Users\\/, "C:" + "\\Users\\ann"],
  ["an address of one registry", /\bregistry[.]|"tar[b]all":/, "https://registry" + ".example"],
];

function unwanted(text: string): string[] {
  return text.split("\n").flatMap((line, i) =>
    UNWANTED.filter(([, pattern]) => pattern.test(line)).map(([what]) => `${i + 1}: ${what}`)
  );
}

Deno.test("no file holds a job left undone or a path of one machine", async () => {
  const texts = files.filter((file) =>
    /(^|\/)[^.]+$|\.([cm]?[jt]s|json|lock|lua|md|sh|ya?ml)$/.test(file)
  );
  assertEquals(await inEach(texts, unwanted), []);

  const here = decodeURIComponent(ROOT.pathname);
  const telling = here.split("/").length > 3;
  const namesHere = (text: string) =>
    telling && text.includes(here) ? ["it names its own place"] : [];
  assertEquals(await inEach(texts, namesHere), []);
});

Deno.test("a job left undone and a path of one machine are found", () => {
  for (const [what, , example] of UNWANTED) assertEquals(unwanted(`\n${example}`), [`2: ${what}`]);
  assertEquals(unwanted("see /etc/push/config.json, temporary /tmp and the todo list"), []);
});

Deno.test("every file with tests is called something_test.ts, and none skips a test", async () => {
  const misnamed = files.filter((file) =>
    /(^|\/|\.)test\.[cm]?[jt]sx?$/.test(file) && file !== "dev/test.ts"
  );
  assertEquals(misnamed, []);

  const typescript = files.filter((file) => file.endsWith(".ts"));
  const others = typescript.filter((file) =>
    !file.endsWith("_test.ts") && !file.startsWith("server/testing/")
  );
  assertEquals(await inEach(others, (source) => namesIn(source, ["Deno.test"])), []);
  const skips = ["Deno.test.ignore", "Deno.test.only"];
  assertEquals(await inEach(typescript, (source) => namesIn(source, skips)), []);

  assertEquals(namesIn(`Deno.test.only("x", f)`, ["Deno.test", ...skips]).length, 2);
  assert(namesIn(`Deno.test.ignore("x", f)`, skips).length > 0);
});
