import { assertEquals } from "@std/assert";
import { Gateway, type GatewayOptions } from "../../mod.ts";
import type { LogRecord } from "../../server/logging/record.ts";
import { Hosts } from "../../server/http/hosts.ts";
import { QUIET, startGateway } from "../support/gateway.ts";
import { exchange, upgradeRequest } from "../support/tcp_client.ts";

const REBOUND = "rebound.example";
const TOKEN = "a-token-of-many";

/** Status and code of the answer to a request with any header `Host`. */
async function asked(port: number, host: string | undefined, target = "/api/push/channels") {
  const field = host === undefined ? "" : `Host: ${host}\r\n`;
  const answer = await exchange(port, `GET ${target} HTTP/1.1\r\n${field}\r\n`);
  const body = answer!.body.startsWith("{") ? JSON.parse(answer!.body) : {};
  return [answer!.status, body.code];
}

const REFUSED = [421, "host_not_allowed"];
const PASSED = [200, undefined];

Deno.test("hosts: on this machine and without a token only its own names are answered", async () => {
  await using gateway = await startGateway();
  const { port } = gateway;
  const own = ["127.0.0.1", `127.0.0.1:${port}`, "localhost", "localhost.:1", "[::1]:8765"]
    .concat("127.1", "app.localhost", "LOCALHOST", "[::ffff:127.0.0.1]");
  for (const host of own) assertEquals(await asked(port, host), PASSED, host);
  const others = [
    REBOUND,
    `${REBOUND}:${port}`,
    "127.0.0.1.example",
    "localhost.example",
    "0.0.0.0",
  ]
    .concat("192.0.2.1", `localhost@${REBOUND}`, `${REBOUND}#.localhost`, "127.0.0.1/api")
    .concat("127.0.0.1?", "localhost localhost", "127.0.0.1, evil.example");
  for (const host of others) {
    const [status] = await asked(port, host);
    assertEquals(status === 421 || status === 400, true, `${host}: ${status}`);
  }
  assertEquals(await asked(port, REBOUND), REFUSED);
});

Deno.test("hosts: a request without a host comes from no page", async () => {
  await using gateway = await startGateway();
  const answer = await exchange(gateway.port, "GET /api/push/channels HTTP/1.0\r\n\r\n");
  assertEquals(answer!.status, 200);
});

Deno.test("hosts: the first line of a request may not name another than the field does", async () => {
  await using gateway = await startGateway();
  const { port } = gateway;
  assertEquals(await asked(port, "127.0.0.1", `http://${REBOUND}/api/push/channels`), REFUSED);
  assertEquals(await asked(port, REBOUND, "http://127.0.0.1/api/push/channels"), REFUSED);
  assertEquals(await asked(port, "127.0.0.1", "http://localhost/api/push/channels"), PASSED);
});

Deno.test("hosts: every route is closed to a page of a rebound name, and the upgrade, too", async () => {
  await using gateway = await startGateway();
  const { port } = gateway;
  const routes = ["/", "/health", "/metrics", "/api/push/channels", "/api/push/sse?channel=a"]
    .concat("/api/push/poll/presence", "/nowhere");
  for (const route of routes) assertEquals(await asked(port, REBOUND, route), REFUSED, route);
  // Of the rebound page itself: same origin, as its browser sees it.
  const fields = { Host: `${REBOUND}:${port}`, Origin: `http://${REBOUND}:${port}` };
  const upgrade = await exchange(port, upgradeRequest("/ws", fields));
  assertEquals([upgrade!.status, JSON.parse(upgrade!.body).code], REFUSED);
  const body = '{"channel":"a","data":1}';
  const post = await exchange(
    port,
    `POST /api/push/publish HTTP/1.1\r\nHost: ${REBOUND}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  assertEquals(post!.status, 421);
  assertEquals(await gateway.gateway.channels(), []);
});

Deno.test("hosts: who asks for a token takes requests for any host, unless hosts are listed", async () => {
  await using open = await startGateway({ authToken: TOKEN });
  assertEquals(await asked(open.port, REBOUND), [401, "token_required"]);
  await using listed = await startGateway({ authToken: TOKEN, allowedHosts: ["push.example"] });
  assertEquals(await asked(listed.port, REBOUND), REFUSED);
  assertEquals(await asked(listed.port, "push.example:8443"), [401, "token_required"]);
  assertEquals(await asked(listed.port, "127.0.0.1"), [401, "token_required"]);
});

Deno.test("hosts: a listed host is answered without a token, and any where the list says so", async () => {
  await using listed = await startGateway({ allowedHosts: ["push.example", "::2", "10.0.0.7"] });
  for (const host of ["push.example", "PUSH.example:1", "[::2]:8765", "10.0.0.7", "localhost"]) {
    assertEquals(await asked(listed.port, host), PASSED, host);
  }
  for (const host of [REBOUND, "a.push.example", "push.example.rebound.example", "[::3]"]) {
    assertEquals(await asked(listed.port, host), REFUSED, host);
  }
  await using any = await startGateway({ allowedHosts: ["*"] });
  assertEquals(await asked(any.port, REBOUND), PASSED);
});

Deno.test("hosts: a mounted gateway leaves them to its server, unless hosts are listed", async () => {
  const ask = async (options: GatewayOptions, url: string) => {
    await using gateway = new Gateway({ push: { enabled: true }, log: QUIET, ...options });
    return (await gateway.fetch(new Request(url))).status;
  };
  assertEquals(await ask({}, `http://${REBOUND}/api/push/channels`), 200);
  const listed = { allowedHosts: ["push.example"] };
  assertEquals(await ask(listed, `http://${REBOUND}/api/push/channels`), 421);
  assertEquals(await ask(listed, "http://push.example/api/push/channels"), 200);
});

Deno.test("hosts: the host that a gateway listens on is its own", () => {
  const judge = (listensAt: string, url: string) =>
    new Hosts(["push.example"], { listensAt, isChecked: false })
      .allows(new Request(url), new URL(url));
  assertEquals(judge("10.1", "http://10.0.0.1:8765/"), true);
  assertEquals(judge("fe80::1", "http://[fe80::1]/"), true);
  assertEquals(judge("10.0.0.1", "http://10.0.0.2/"), false);
});

Deno.test("hosts: that one request is answered says nothing of the next", () => {
  const hosts = new Hosts(["push.example"], { listensAt: "10.0.0.1", isChecked: true });
  const allows = (url: string, host: string) =>
    hosts.allows(new Request(url, { headers: { host } }), new URL(url));
  for (let round = 0; round < 2; round++) {
    assertEquals(allows("http://push.example/", "push.example"), true);
    assertEquals(allows("http://other.example/", "push.example"), false);
    assertEquals(allows("http://push.example/", "other.example"), false);
    assertEquals(allows("http://push.example/", "push.example@other.example"), false);
    assertEquals(allows("http://10.0.0.1/", "10.0.0.1:80"), true);
    assertEquals(allows("http://10.0.0.2/", "10.0.0.1:80"), false);
  }
});

Deno.test("hosts: who is refused is told in the log, by the host that was named", async () => {
  const records: LogRecord[] = [];
  await using gateway = await startGateway({ log: { level: "warn" } }, {
    log: (record) => records.push(record),
  });
  await asked(gateway.port, `${REBOUND}:80`, "/api/push/publish?token=abcdef");
  const [{ event, fields }] = records;
  assertEquals([event, fields], ["host.refused", {
    code: "host_not_allowed",
    peer: "127.0.0.1",
    host: `${REBOUND}:80`,
    path: "/api/push/publish",
  }]);
  assertEquals(records.length, 1);
});
