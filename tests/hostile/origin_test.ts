import { assertEquals } from "@std/assert";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { exchange, upgradeRequest } from "../support/tcp_client.ts";
import { WireClient } from "../support/wire_client.ts";

const APP = "https://app.example";
const TOKEN = "s3cret";
const AUTHORIZATION = `Bearer ${TOKEN}`;

/** What pages of somebody else, and programs that pretend to be one, send. */
const FOREIGN: readonly (readonly [what: string, origin: string])[] = [
  ["no page that has a name", "null"],
  ["nothing", ""],
  ["another host", "https://evil.example"],
  ["a host that begins alike", `${APP}.evil.example`],
  ["a host that ends alike", "https://evil-app.example"],
  ["a host below it", "https://x.app.example"],
  ["a host above it", "https://example"],
  ["another port", `${APP}:444`],
  ["the port of its own scheme", `${APP}:443`],
  ["another scheme", "http://app.example"],
  ["a scheme that is none", "javascript:alert(1)"],
  ["a page within it", `blob:${APP}/x`],
  ["the end of the name's tree", `${APP}.`],
  ["a path", `${APP}/`],
  ["a user before it", "https://app.example@evil.example"],
  ["a user in front", "https://x@app.example"],
  ["it in another's path", `https://evil.example/${APP}`],
  ["it in another's fragment", `https://evil.example#${APP}`],
  ["capitals", "https://APP.example"],
  ["a letter that looks alike", "https://xn--pp-8cd.example"],
  ["two of them", `${APP}, https://evil.example`],
  ["two of them in one", `${APP} ${APP}`],
  ["no scheme", "app.example"],
  ["a star", "*"],
  ["a file", "file://"],
  ["this machine where the gateway is reached by name", "http://localhost.evil.example"],
];

async function gateway(): Promise<Served> {
  return await startGateway({ authToken: TOKEN, push: { allowedOrigins: [APP] } });
}

Deno.test("a page of another origin is refused before its upgrade, though it has the token", async (t) => {
  await using served = await gateway();
  for (const [what, origin] of FOREIGN) {
    await t.step(what, async () => {
      const fields = { Origin: origin, Authorization: AUTHORIZATION };
      const answer = await exchange(served.port, upgradeRequest("/ws?client_id=eve", fields));
      assertEquals([answer?.status, JSON.parse(answer!.body).code], [403, "origin_not_allowed"]);
      assertEquals(answer?.headers.has("sec-websocket-accept"), false);
    });
  }
  const twice = upgradeRequest("/ws", { Origin: `${APP}\r\nOrigin: https://evil.example` });
  assertEquals((await exchange(served.port, twice))?.status, 403);
  assertEquals(await served.gateway.presence(), []);
});

Deno.test("a page of another origin is refused by polling, streams and publishing, too", async () => {
  await using served = await gateway();
  for (const [what, origin] of FOREIGN) {
    for (
      const head of [
        "POST /api/push/poll/register",
        "POST /api/push/publish",
        "POST /api/push/sse",
        "GET /api/push/sse?channel=news",
        "GET /api/push/presence",
      ]
    ) {
      const body = head.startsWith("POST") ? '{"channel":"news","data":1}' : "";
      const answer = await exchange(
        served.port,
        `${head} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: ${origin}\r\n` +
          `Authorization: ${AUTHORIZATION}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      assertEquals(answer?.status, 403, `${head} ${what}`);
    }
  }
  assertEquals(await served.gateway.channels(), []);
});

Deno.test("the page that is allowed, and a program that is none, need the token all the same", async () => {
  await using served = await gateway();
  for (const Origin of [APP, undefined]) {
    const without = await exchange(served.port, upgradeRequest("/ws?token=wrong", { Origin }));
    assertEquals(without?.status, 401);
    const fields = { Origin, Authorization: AUTHORIZATION };
    assertEquals((await exchange(served.port, upgradeRequest("/ws", fields)))?.status, 101);
  }
});

Deno.test("no cookie is an identity: a browser that has one is asked for a token like everybody", async () => {
  await using served = await gateway();
  const cookie = `token=${TOKEN}; auth_token=${TOKEN}; session=${TOKEN}; Authorization=${TOKEN}`;
  const body = { channel: "news", data: 1 };
  const published = await ask(`${served.http}/api/push/publish`, { body, headers: { cookie } });
  assertEquals([published.status, published.body.code], [401, "token_required"]);
  const registered = await ask(`${served.http}/api/push/poll/register`, {
    body: {},
    headers: { cookie },
  });
  assertEquals([registered.status, registered.body.code], [401, "token_required"]);
  await using client = await WireClient.open(served.ws, { cookie });
  client.send({ type: "ping" });
  assertEquals((await client.closed).code, 4500);
  for (const { headers } of [published, registered]) {
    assertEquals(headers.get("set-cookie"), null);
    assertEquals(headers.get("access-control-allow-credentials"), null);
  }
});
