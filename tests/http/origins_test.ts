import { assert, assertEquals } from "@std/assert";
import { Origins } from "../../server/http/origins.ts";
import { QUIET, type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { exchange, upgradeRequest } from "../support/tcp_client.ts";
import { Gateway, type GatewayOptions } from "../../mod.ts";

const APP = "https://app.example";
const EVIL = "https://evil.example";

interface Judged {
  readonly says: string;
  readonly origin: string | undefined;
  readonly allowed?: readonly string[];
  /** Address that is asked. */
  readonly url: string;
  /** Where the gateway listens, if it does. */
  readonly listensAt?: string;
  readonly passes: boolean;
}

const LOOPBACK = { url: "http://127.0.0.1:8765/ws", listensAt: "127.0.0.1" };
const PUBLIC = { url: "http://push.example:8765/ws", listensAt: "0.0.0.0" };
const JUDGED: readonly Judged[] = [
  { says: "no page", origin: undefined, ...PUBLIC, passes: true },
  { says: "a stranger", origin: EVIL, ...PUBLIC, passes: false },
  { says: "a stranger, on this machine", origin: EVIL, ...LOOPBACK, passes: false },
  { says: "one of the list", origin: APP, allowed: [APP], ...PUBLIC, passes: true },
  {
    says: "an application's own scheme",
    origin: "tauri://localhost",
    allowed: ["tauri://localhost"],
    ...PUBLIC,
    passes: true,
  },
  { says: "another than the list has", origin: EVIL, allowed: [APP], ...PUBLIC, passes: false },
  { says: "anybody", origin: EVIL, allowed: ["*"], ...PUBLIC, passes: true },
  { says: "a page without an origin", origin: "null", allowed: [APP], ...PUBLIC, passes: false },
  { says: "a page without an origin", origin: "null", ...LOOPBACK, passes: false },
  { says: "anybody, even without one", origin: "null", allowed: ["*"], ...PUBLIC, passes: true },
  {
    says: "another port of the list",
    origin: `${APP}:8443`,
    allowed: [APP],
    ...PUBLIC,
    passes: false,
  },
  {
    says: "another scheme of the list",
    origin: "http://app.example",
    allowed: [APP],
    ...PUBLIC,
    passes: false,
  },
  {
    says: "a name that ends alike",
    origin: "https://evilapp.example",
    allowed: [APP],
    ...PUBLIC,
    passes: false,
  },
  {
    says: "a name that begins alike",
    origin: `${APP}.evil.example`,
    allowed: [APP],
    ...PUBLIC,
    passes: false,
  },
  { says: "the own host", origin: "http://push.example:8765", ...PUBLIC, passes: true },
  { says: "the own host in capitals", origin: "http://PUSH.example:8765", ...PUBLIC, passes: true },
  { says: "another port of the own host", origin: "http://push.example", ...PUBLIC, passes: false },
  {
    says: "the own host behind a proxy with TLS",
    origin: APP,
    url: "http://app.example/ws",
    listensAt: "127.0.0.1",
    passes: true,
  },
  {
    says: "the same, where the proxy names the port",
    origin: APP,
    url: "http://app.example:443/ws",
    listensAt: "127.0.0.1",
    passes: true,
  },
  { says: "a page of this machine", origin: "http://localhost:5173", ...LOOPBACK, passes: true },
  { says: "a page of this machine", origin: "http://[::1]:3000", ...LOOPBACK, passes: true },
  { says: "a page of this machine", origin: "https://127.0.0.2", ...LOOPBACK, passes: true },
  { says: "a page of this machine", origin: "http://app.localhost:1", ...LOOPBACK, passes: true },
  {
    says: "a page of this machine, gateway by IPv6",
    origin: "http://localhost:1",
    url: "http://[::1]:8765/ws",
    listensAt: "::1",
    passes: true,
  },
  {
    says: "a page of this machine, gateway for all",
    origin: "http://localhost:1",
    ...PUBLIC,
    passes: false,
  },
  {
    says: "a name that looks so",
    origin: "http://localhost.evil.example",
    ...LOOPBACK,
    passes: false,
  },
  {
    says: "a name that looks so",
    origin: "http://127.0.0.1.evil.example",
    ...LOOPBACK,
    passes: false,
  },
  {
    says: "a page of this machine, mounted there",
    origin: "http://localhost:1",
    url: "http://127.0.0.1:80/ws",
    passes: true,
  },
  {
    says: "a page of this machine, mounted elsewhere",
    origin: "http://localhost:1",
    url: "http://push.example/ws",
    passes: false,
  },
  { says: "nonsense", origin: "nonsense", ...LOOPBACK, passes: false },
  { says: "nonsense", origin: "file://", ...LOOPBACK, passes: false },
  { says: "nonsense", origin: "://", ...LOOPBACK, passes: false },
  {
    says: "a list instead of one",
    origin: `${APP} ${APP}`,
    allowed: [APP],
    ...PUBLIC,
    passes: false,
  },
];

for (const { says, origin, allowed, url, listensAt, passes } of JUDGED) {
  Deno.test(`origins: ${says} (${origin ?? "none"}) ${passes ? "may" : "may not"} use ${url}`, () => {
    const headers: HeadersInit = origin === undefined ? {} : { origin };
    const request = new Request(url, { headers });
    const verdict = new Origins(allowed, listensAt).judge(request, new URL(url));
    assertEquals(verdict.allowed, passes);
    const shown = verdict.headers["access-control-allow-origin"];
    assertEquals(shown, allowed?.includes("*") && origin !== undefined ? "*" : origin);
  });
}

Deno.test("origins: over TLS a page of the same host that came without is not the gateway's own", () => {
  const url = "https://push.example/ws";
  const origins = new Origins(undefined, undefined);
  for (
    const [origin, secure, passes] of [
      ["http://push.example", true, false],
      ["https://push.example", true, true],
      // Behind a proxy that nobody trusts it is not known.
      ["http://push.example", false, true],
    ] as const
  ) {
    const request = new Request(url, { headers: { origin } });
    assertEquals(origins.judge(request, new URL(url), secure).allowed, passes);
  }
});

Deno.test("origins: that one page may says nothing of the next", () => {
  const origins = new Origins(undefined, undefined);
  const judge = (url: string, origin: string, secure = false) =>
    origins.judge(new Request(url, { headers: { origin } }), new URL(url), secure).allowed;
  for (let round = 0; round < 2; round++) {
    assertEquals(judge("http://push.example/ws", "http://push.example"), true);
    assertEquals(judge("http://push.example/ws", "http://other.example"), false);
    assertEquals(judge("http://other.example/ws", "http://push.example"), false);
    assertEquals(judge("http://push.example/ws", "http://push.example", true), false);
  }
});

function serve(allowedOrigins?: string[], more: GatewayOptions = {}): Promise<Served> {
  return startGateway({ ...more, push: { allowedOrigins, ...more.push } });
}

const ROUTES: readonly [method: string, path: string, body?: unknown][] = [
  ["POST", "/api/push/poll/register", {}],
  ["POST", "/api/push/poll/messages", { poll_token: "x" }],
  ["POST", "/api/push/sse", { poll_token: "x" }],
  ["GET", "/api/push/sse"],
  ["POST", "/api/push/publish", { channel: "a", data: 1 }],
  ["GET", "/api/push/channels"],
  ["GET", "/api/push/nothing"],
];

Deno.test("origins: every route refuses a page of another origin before it does anything, and may be asked why", async () => {
  await using gateway = await serve([APP]);
  for (const [method, path, body] of ROUTES) {
    const url = gateway.http + path;
    const refused = await ask(url, { method, body, headers: { origin: EVIL } });
    assertEquals([refused.status, refused.body.code], [403, "origin_not_allowed"], path);
    assertEquals(refused.headers.get("access-control-allow-origin"), EVIL);
    assertEquals(refused.headers.get("vary"), "Origin");
    const taken = await ask(url, { method, body, headers: { origin: APP } });
    assert(taken.status !== 403, path);
    assertEquals(taken.headers.get("access-control-allow-origin"), APP);
    assertEquals(taken.headers.get("vary"), "Origin");
    const plain = await ask(url, { method, body });
    assertEquals(plain.headers.get("access-control-allow-origin"), null);
    assertEquals(plain.headers.get("vary"), "Origin");
    for (const { headers } of [refused, taken, plain]) {
      assertEquals(headers.get("access-control-allow-credentials"), null);
    }
  }
  // Of the strangers' publishes none was stored.
  const { body } = await ask(`${gateway.http}/api/push/channels`);
  assertEquals(
    body.channels.map(({ name, head }: { name: string; head: number }) => [name, head]),
    [
      ["a", 2],
    ],
  );
});

Deno.test("origins: a WebSocket is refused before the upgrade", async () => {
  await using gateway = await serve([APP]);
  const upgrade = (origin?: string) =>
    exchange(gateway.port, upgradeRequest("/ws", origin === undefined ? {} : { Origin: origin }));
  for (const origin of [EVIL, "null", "https://app.example.evil.example"]) {
    const answer = await upgrade(origin);
    assertEquals([answer!.status, JSON.parse(answer!.body).code], [403, "origin_not_allowed"]);
  }
  for (const origin of [undefined, APP, "http://localhost:3000", `http://127.0.0.1`]) {
    assertEquals((await upgrade(origin))!.status, 101, origin);
  }
  const { text } = await ask(`${gateway.http}/metrics`);
  assert(text.includes('push_errors_total{code="origin_not_allowed"} 3'), text);
});

Deno.test("origins: a browser that asks first is told what it may send", async () => {
  await using gateway = await serve([APP], { authToken: "secret" });
  const asks = (origin: string, path: string) =>
    ask(gateway.http + path, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization",
      },
    });
  for (const [, path] of ROUTES) {
    const { status, headers, text } = await asks(APP, path);
    assertEquals([status, text], [204, ""], path);
    assertEquals(headers.get("access-control-allow-origin"), APP);
    assertEquals(headers.get("access-control-allow-methods"), "GET, POST");
    const fields = headers.get("access-control-allow-headers")!.split(", ");
    assertEquals(fields, ["authorization", "content-type", "last-event-id"]);
    assertEquals(headers.get("access-control-max-age"), "600");
    assertEquals(headers.get("vary"), "Origin");
    const refused = await asks(EVIL, path);
    assertEquals([refused.status, refused.headers.get("access-control-allow-methods")], [
      403,
      null,
    ]);
  }
  // Whoever asks for something else is answered as before.
  const bare = await ask(`${gateway.http}/api/push/publish`, { method: "OPTIONS" });
  assertEquals([bare.status, bare.headers.get("allow")], [405, "POST"]);
});

Deno.test("origins: health is answered to all, and read by pages that may use the gateway", async () => {
  await using gateway = await serve([APP]);
  for (const [origin, shown] of [[EVIL, null], [APP, APP]] as const) {
    const { status, headers } = await ask(`${gateway.http}/health`, { headers: { origin } });
    assertEquals([status, headers.get("access-control-allow-origin")], [200, shown]);
  }
});

Deno.test("origins: errors, and answers of a gateway that drains or is off, can be read by pages", async () => {
  const gateway = new Gateway({ push: { enabled: true, allowedOrigins: ["*"] } });
  const at = (path: string) =>
    gateway.fetch(new Request(`http://push.example${path}`, { headers: { origin: EVIL } }));
  const wrong = await at("/api/push/sse");
  assertEquals([wrong.status, wrong.headers.get("access-control-allow-origin")], [400, "*"]);
  await gateway.stop();
  const late = await at("/api/push/channels");
  assertEquals([late.status, late.headers.get("access-control-allow-origin")], [503, "*"]);
  assertEquals(late.headers.get("access-control-expose-headers"), "retry-after");
  const off = new Gateway({ push: { allowedOrigins: [APP] } });
  const answer = await off.fetch(
    new Request("http://push.example/api/push/sse", { headers: { origin: APP } }),
  );
  assertEquals([answer.status, answer.headers.get("access-control-allow-origin")], [404, APP]);
  await off.stop();
});

Deno.test("origins: a page reads a stream of another origin", async () => {
  await using gateway = await serve([APP]);
  const aborted = new AbortController();
  const response = await fetch(`${gateway.http}/api/push/sse?channel=a`, {
    headers: { origin: APP },
    signal: aborted.signal,
  });
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("access-control-allow-origin"), APP);
  aborted.abort();
  await response.body!.cancel().catch(() => {});
});

Deno.test("origins: a page cannot ask by way of a picture or a frame either, where no Origin is sent", async () => {
  await using gateway = await serve([APP]);
  const url = `${gateway.http}/api/push/sse?channel=spam`;
  const asked = async (site: string, dest: string, to = url) =>
    (await ask(to, { headers: { "sec-fetch-site": site, "sec-fetch-dest": dest } })).status;
  for (const site of ["cross-site", "same-site"]) {
    for (const dest of ["image", "script", "iframe", "empty"]) {
      assertEquals(await asked(site, dest), 403, `${site} ${dest}`);
    }
  }
  const channels = `${gateway.http}/api/push/channels`;
  assertEquals((await ask(channels)).body.channels, []);
  // A link that somebody follows, what somebody types, and the gateway's own pages.
  assertEquals(await asked("cross-site", "document", channels), 200);
  assertEquals(await asked("none", "document", channels), 200);
  assertEquals(await asked("same-origin", "empty", channels), 200);
  assertEquals(await asked("cross-site", "image", `${gateway.http}/health`), 200);
  await using open = await serve(["*"]);
  assertEquals(await asked("cross-site", "image", `${open.http}/api/push/channels`), 200);
});

Deno.test("origins: a page reads that the store cannot be opened, and an EventSource comes back", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/file`;
  await Deno.writeTextFile(file, "");
  try {
    const delivery = { storeBackend: "kv", kvPath: `${file}/push.db` } as const;
    const push = { enabled: true, allowedOrigins: [APP], delivery };
    const gateway = new Gateway({ log: QUIET, push });
    const at = (accept: string) =>
      gateway.fetch(
        new Request("http://push.example/api/push/sse?channel=a", {
          headers: { origin: APP, accept },
        }),
      );
    const plain = await at("*/*");
    assertEquals([plain.status, (await plain.json()).code], [503, "unavailable"]);
    assertEquals(plain.headers.get("access-control-allow-origin"), APP);
    const source = await at("text/event-stream");
    assertEquals([source.status, source.headers.get("access-control-allow-origin")], [200, APP]);
    assert((await source.text()).includes('"code":"unavailable"'));
    await gateway.stop();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
