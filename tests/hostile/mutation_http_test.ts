import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { isCode } from "../../client/protocol/mod.ts";
import { mutated } from "./mutate.ts";
import { BODIES } from "./samples.ts";
import { type Answer, ask, PollClient } from "../support/http_client.ts";
import { TcpClient, upgradeRequest } from "../support/tcp_client.ts";
import { assertRefusal, runs, Siege, TRANSPORTS } from "./siege.ts";

/** Runs of each property, by the transport. */
const RUNS = {
  deno: { bodies: 1500, bytes: 500, queries: 700, heads: 1000, tokens: 1000 },
  ws: { bodies: 400, bytes: 100, queries: 100, heads: 600, tokens: 100 },
};
/** After so many runs it is seen to that nobody else has noticed anything. */
const BATCH = 20;
const TOKEN = "A-token_of.this+gateway~1234567890/=";

function assertAnswered({ status, body }: Answer, what: string): void {
  if (status === 200) return;
  assert(status >= 400 && status < 500, `${status} for ${what}`);
  const { retry_after: _, ...rest } = body;
  assertEquals(Object.keys(rest).sort(), ["code", "error", "ok"], what);
  assertEquals(body.ok, false);
  assertRefusal(body.code, body.error);
}

/** Runs a property, and looks after others now and then. */
async function besiege<T>(
  siege: Siege,
  arbitrary: fc.Arbitrary<T>,
  count: number,
  attack: (value: T) => Promise<void>,
): Promise<void> {
  let n = 0;
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      await attack(value);
      if (++n % BATCH === 0) await siege.check();
    }),
    runs(count),
  );
  await siege.check();
}

const PATHS = [...new Set(BODIES.map(([path]) => path)), "sse", "revoke", "nothing"];
const QUERIED = ["presence", "dead-letters", "poll/presence", "channels", "sse", "publish"];
const MUTABLE = {
  method: fc.constantFrom(
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "get",
    "",
    "G E T",
    "A",
  ),
  target: fc.constantFrom(
    "/ws",
    "/ws?client_id=a%00",
    "/ws?client_id=%ff&client_id=b",
    "/ws?token=%",
    "//ws",
    "/ws/../ws",
    "/%77s",
    "*",
    "",
    "http://[::1/ws",
    "ws://x/ws",
    "/api/push/sse?channel=a",
    "/api/push/poll/__proto__",
    "/api/push/poll/toString",
    "/api/push/..%2f..%2fhealth",
    "/health?probe=live",
    `/${"a".repeat(70_000)}`,
  ),
  version: fc.constantFrom("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "", "X"),
};
const NAMES = [
  "Host",
  "Upgrade",
  "Connection",
  "Sec-WebSocket-Key",
  "Sec-WebSocket-Version",
  "Sec-WebSocket-Protocol",
  "Sec-WebSocket-Extensions",
  "Origin",
  "Authorization",
  "Content-Length",
  "Transfer-Encoding",
  "Content-Type",
  "Expect",
  "Cookie",
  "Forwarded",
  "X-Forwarded-For",
  "X-Forwarded-Proto",
  "Last-Event-ID",
  "Accept",
  "__proto__",
  "constructor",
  "",
  "A B",
  "\u0000",
];
const value = fc.oneof(
  fc.constantFrom("", " ", "null", "websocket", "upgrade", "13", "chunked", "-1", "99999999999"),
  fc.constantFrom(
    "Bearer",
    "Bearer ",
    "Bearer a b",
    "Basic Og==",
    "100-continue",
    "a\r\n b",
    "\u0000",
  ),
  fc.constantFrom("x".repeat(10_000), "é", "\u007f", "127.0.0.1, ::1, x", 'for=_x;proto="', "a,,b"),
  fc.string({ unit: "binary", maxLength: 40 }),
);
type Fields = Record<string, string | undefined>;
/** The head of a request: one that is right, with one to four things changed. */
const head = fc.tuple(
  fc.record(MUTABLE, { requiredKeys: [] }),
  fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.option(value, { nil: undefined })), {
    minLength: 1,
    maxLength: 3,
  }),
).map(([{ method = "GET", target = "/ws", version = "HTTP/1.1" }, changed]) =>
  upgradeRequest(target, Object.fromEntries(changed) as Fields, `${method} ${target} ${version}`)
);

/** Texts that are nearly the token. */
const nearly = fc.oneof(
  fc.nat(TOKEN.length - 1).map((at) => TOKEN.slice(0, at) + TOKEN.slice(at + 1)),
  fc.nat(TOKEN.length - 1).map((at) => TOKEN.slice(0, at)),
  fc.tuple(fc.nat(TOKEN.length), fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 2 }))
    .map(([at, more]) => TOKEN.slice(0, at) + more + TOKEN.slice(at)),
  fc.tuple(fc.nat(TOKEN.length - 1), fc.integer({ min: 33, max: 126 })).map(([at, code]) =>
    TOKEN.slice(0, at) + String.fromCharCode(code) + TOKEN.slice(at + 1)
  ),
  fc.constantFrom(TOKEN.toLowerCase(), TOKEN + TOKEN, `"${TOKEN}"`, encodeURIComponent(TOKEN)),
  fc.constantFrom("x".repeat(8_000), "null", "undefined", "__proto__", "anonymous"),
)
  // One with a blank is none where it stands in a header.
  .filter((token) => token !== TOKEN && /^\S+$/.test(token));

for (const websocket of TRANSPORTS) {
  const count = RUNS[websocket];

  Deno.test(`mutated bodies are answered with a code, never with 500 (${websocket})`, async () => {
    await using siege = await Siege.begin({ websocket });
    const { http } = siege.served;
    const connect = { type: "connect", version: 1, instance: "i", attempt: 1, client_id: "poll" };
    const { pollToken } = await PollClient.register(http, { connect });
    const bodies = BODIES.map(([path, body]) => {
      const whole = "poll_token" in body && body.poll_token === ""
        ? { ...body, poll_token: pollToken }
        : body;
      return mutated([whole]).map((text) => [path, text] as const);
    });
    await besiege(siege, fc.oneof(...bodies), count.bodies, async ([path, text]) => {
      const answer = await ask(`${http}/api/push/${path}`, { body: text });
      assertAnswered(answer, `${path} ${text.slice(0, 300)}`);
    });
  });

  Deno.test(`bodies of any bytes are refused with a code (${websocket})`, async () => {
    await using siege = await Siege.begin({ websocket });
    const request = fc.tuple(
      fc.constantFrom(...PATHS),
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
    );
    await besiege(siege, request, count.bytes, async ([path, bytes]) => {
      const url = `${siege.served.http}/api/push/${path}`;
      const answer = await ask(url, { body: new Uint8Array(bytes) });
      assert(answer.status !== 200, path);
      assertAnswered(answer, path);
    });
  });

  Deno.test(`queries of any text are answered with a code, never with 500 (${websocket})`, async () => {
    await using siege = await Siege.begin({ websocket });
    const names = fc.constantFrom(
      ..."channel session seq limit client_id token ticket since last all x __proto__".split(" "),
    );
    const pairs = fc.array(fc.tuple(names, fc.string({ unit: "binary" })), { maxLength: 4 });
    const request = fc.tuple(fc.constantFrom(...QUERIED), pairs);
    await besiege(siege, request, count.queries, async ([path, pairs]) => {
      const abort = new AbortController();
      const url = `${siege.served.http}/api/push/${path}?${new URLSearchParams(pairs)}`;
      const response = await fetch(url, { signal: abort.signal });
      const { status, headers } = response;
      if (headers.get("content-type")?.startsWith("text/event-stream")) {
        await response.body?.cancel();
        return abort.abort();
      }
      const body = await response.json();
      assert(status === 200 || status >= 400 && status < 500 && isCode(body.code), url);
    });
  });

  Deno.test(`mutated heads are answered or dropped, never with 500 (${websocket})`, async () => {
    await using siege = await Siege.begin({ websocket });
    await besiege(siege, head, count.heads, async (text) => {
      using client = await TcpClient.connect(siege.served.port);
      await client.write(text);
      // What is not whole yet ends here.
      await client.end();
      const answer = await client.answer();
      if (answer === undefined || answer.status === 101 || answer.status === 100) return;
      const { status, headers, body } = answer;
      const isFine = status >= 200 && status < 500 || status === 501 || status === 505;
      assert(isFine, `${status} for ${JSON.stringify(text.slice(0, 500))}`);
      if (status < 400 || headers.get("content-type")?.includes("json") !== true) return;
      if (body !== "") assertRefusal(JSON.parse(body).code, JSON.parse(body).error);
    });
  });

  Deno.test(`what is nearly the token is refused wherever it is shown (${websocket})`, async () => {
    await using siege = await Siege.begin({ websocket, authToken: TOKEN });
    const { http, port } = siege.served;
    const places: Record<string, (token: string) => Promise<{ status: number; code: string }>> = {
      header: async (token) => {
        using client = await TcpClient.connect(port);
        await client.write(upgradeRequest("/ws", { Authorization: `Bearer ${token}` }));
        return ofRaw(await client.answer());
      },
      query: async (token) => {
        using client = await TcpClient.connect(port);
        await client.write(upgradeRequest(`/ws?token=${encodeURIComponent(token)}`));
        return ofRaw(await client.answer());
      },
      body: async (auth_token) => {
        const body = { client_id: "eve", auth_token };
        return of(await ask(`${http}/api/push/poll/register`, { body }));
      },
      connect: async (token) => {
        const connect = { type: "connect", version: 1, instance: "i", attempt: 1, token };
        return of(await ask(`${http}/api/push/poll/register`, { body: { connect } }));
      },
    };
    const guess = fc.tuple(fc.constantFrom(...Object.keys(places)), nearly);
    await besiege(siege, guess, count.tokens, async ([place, token]) => {
      const { status, code } = await places[place](token);
      assert([400, 401].includes(status), `${status} in the ${place} for ${token}`);
      assert(["token_invalid", "token_required", "bad_request"].includes(code), code);
    });
    assertEquals((await siege.served.gateway.presence()).length, 1, "only the witness is here");
    const lines = JSON.stringify(siege.logged);
    assert(siege.logged.length > 0 && !lines.includes(TOKEN), "the token is in no line of the log");
  });
}

function of({ status, body }: Answer): { status: number; code: string } {
  return { status, code: body.code };
}

function ofRaw(answer: { status: number; body: string } | undefined) {
  const { status = 0, body = "{}" } = answer ?? {};
  return { status, code: JSON.parse(body).code as string };
}
