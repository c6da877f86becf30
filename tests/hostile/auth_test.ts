import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { TempFolder } from "../support/program.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { exchange, upgradeRequest } from "../support/tcp_client.ts";
import { within } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";
import { TRANSPORTS } from "./siege.ts";

const TOKEN = "s3cret";
const PUBLISH = { type: "channel.publish", channel: "news", data: 1 };
const CONNECT = { type: "connect", version: 1, instance: "i", attempt: 1 };

async function assertUntouched({ gateway }: Served): Promise<void> {
  assertEquals([await gateway.channels(), await gateway.presence()], [[], []]);
}

/** First words of somebody who shows no token, or a wrong one, and the close that they get. */
const FIRST: readonly (readonly [what: string, text: string, close: number])[] = [
  ["a publish", JSON.stringify(PUBLISH), 4500],
  ["a subscription", '{"type":"channel.subscribe","channel":"news"}', 4500],
  ["a heartbeat", '{"type":"presence.heartbeat","status":"here"}', 4500],
  ["an unknown type", '{"type":"nothing"}', 4500],
  ["what is no JSON", "hello", 4500],
  ["an array", `[${JSON.stringify(CONNECT)}]`, 4500],
  ["a refresh", `{"type":"auth.refresh","token":"${TOKEN}"}`, 4500],
  ["a token in another frame", JSON.stringify({ ...PUBLISH, token: TOKEN }), 4500],
  ["an opening without a token", JSON.stringify(CONNECT), 4500],
  ["an opening with a wrong one", JSON.stringify({ ...CONNECT, token: "wrong" }), 4501],
  ["an opening with a poller's token", JSON.stringify({ ...CONNECT, poll_token: TOKEN }), 4500],
  ["an opening of another version", JSON.stringify({ ...CONNECT, version: 2, token: TOKEN }), 4505],
];

for (const websocket of TRANSPORTS) {
  Deno.test(`nothing that comes before the token is done, nor what comes behind it (${websocket})`, async (t) => {
    await using served = await startGateway({ websocket, authToken: TOKEN });
    for (const [what, text, close] of FIRST) {
      await t.step(what, async () => {
        await using client = await WireClient.open(`${served.ws}?client_id=eve`);
        // All of it is on its way before the first answer.
        for (const each of [text, JSON.stringify(PUBLISH), text]) client.send(each);
        const { code } = await client.closed;
        // Deno drops a connection whose peer goes on after the close frame.
        assert([close, 0, 1006].includes(code), `${code}`);
        await using alone = await WireClient.open(served.ws);
        alone.send(text);
        assertEquals((await alone.closed).code, close);
      });
    }
    await assertUntouched(served);
  });
}

Deno.test("who shows no token in time is closed, and a token that comes too late opens nothing", async () => {
  const clock = new SocketClock();
  await using served = await startGateway({ authToken: TOKEN }, { clock });
  await using silent = await WireClient.open(served.ws);
  await using late = await WireClient.open(served.ws);
  await clock.advance(10_000);
  late.send({ ...CONNECT, token: TOKEN, subscriptions: [{ channel: "news" }] });
  for (const client of [silent, late]) {
    const { code } = await client.closed;
    assert([4002, 0, 1006].includes(code), `${code}`);
  }
  await assertUntouched(served);
});

Deno.test("who is in is not let in again, neither as somebody else nor with a wrong token", async () => {
  await using served = await startGateway({
    push: {
      presence: { broadcastChanges: false },
      auth: { tokens: [{ name: "ann", token: "ann-s" }, { name: "bob", token: "bob-s" }] },
    },
  });
  const [client] = await WireClient.connect(served.ws, { token: "ann-s", client_id: "desk" });
  await using _ = client;
  await client.subscribe("news");
  for (
    const again of [
      { ...CONNECT, token: "bob-s" },
      { ...CONNECT, token: "ann-s", client_id: "other" },
      { ...CONNECT, token: "wrong" },
    ]
  ) assertEquals((await client.ask(again)).code, "unknown_type");
  for (const token of ["bob-s", "wrong"]) {
    const { type, code } = await client.ask({ type: "auth.refresh", token });
    assertEquals([type, code], ["error", "token_invalid"], token);
  }
  assertEquals((await client.ask({ type: "auth.refresh", token: "ann-s" })).type, "auth.refreshed");
  await served.gateway.publish("news", "still");
  assertEquals((await client.next("channel_message")).data, "still");
});

const SECRET = "0123456789abcdef0123456789abcdef";
const NOW = 1_800_000_000;
const CLAIMS = { sub: "ann", iss: "https://id.example", aud: "push", exp: NOW + 600, iat: NOW };
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const PEM = publicKey.export({ type: "spki", format: "pem" }).toString();

const encode = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A token with any header and claims, signed with a secret. */
function hs(claims: unknown, header: unknown = { alg: "HS256" }, secret = SECRET): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** The same, signed with the private key. */
function rs(claims: unknown, header: unknown = { alg: "RS256" }): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;
}

const GOOD = hs(CLAIMS);
const [HEAD, BODY, SIGNATURE] = GOOD.split(".");
const without = (claim: string) =>
  Object.fromEntries(Object.entries(CLAIMS).filter(([name]) => name !== claim));

/** Tokens that must let nobody in; `$jku` stands for an address that nobody may ask. */
const FORGED: readonly (readonly [what: string, token: string])[] = [
  ["alg none", `${encode({ alg: "none" })}.${BODY}.`],
  ["alg none with the signature of another", `${encode({ alg: "none" })}.${BODY}.${SIGNATURE}`],
  ["alg NONE", `${encode({ alg: "nOnE" })}.${BODY}.`],
  ["no alg", hs(CLAIMS, {})],
  ["alg null", hs(CLAIMS, { alg: null })],
  ["alg as a list", hs(CLAIMS, { alg: ["HS256"] })],
  ["another alg of the same kind", hs(CLAIMS, { alg: "HS512" })],
  ["a signature of another kind", rs(CLAIMS)],
  ["no signature", `${HEAD}.${BODY}.`],
  ["two parts", `${HEAD}.${BODY}`],
  ["four parts", `${GOOD}.x`],
  ["five parts, as if encrypted", `${GOOD}.x.x`],
  ["half a signature", GOOD.slice(0, -20)],
  [
    "a signature with one bit changed",
    GOOD.slice(0, -3) + (GOOD.at(-3) === "A" ? "B" : "A") + GOOD.slice(-2),
  ],
  ["the claims of another token", `${HEAD}.${encode({ ...CLAIMS, sub: "root" })}.${SIGNATURE}`],
  ["another secret", hs(CLAIMS, { alg: "HS256" }, "f".repeat(32))],
  ["no secret", hs(CLAIMS, { alg: "HS256" }, "")],
  ["another issuer", hs({ ...CLAIMS, iss: "https://id.example.evil.example" })],
  ["an issuer that is a list", hs({ ...CLAIMS, iss: ["https://id.example"] })],
  ["no issuer", hs(without("iss"))],
  ["another audience", hs({ ...CLAIMS, aud: "pushy" })],
  ["an audience within a text", hs({ ...CLAIMS, aud: "not push" })],
  ["a list without the audience", hs({ ...CLAIMS, aud: ["a", "b"] })],
  ["an audience that is an object", hs({ ...CLAIMS, aud: { push: 1 } })],
  ["no audience", hs(without("aud"))],
  ["no end", hs(without("exp"))],
  ["an end that is a text", hs({ ...CLAIMS, exp: String(NOW + 600) })],
  ["an end that is null", hs({ ...CLAIMS, exp: null })],
  ["an end beyond all", hs(`{"sub":"ann","iss":"https://id.example","aud":"push","exp":1e400}`)],
  ["a negative end", hs({ ...CLAIMS, exp: -1 })],
  ["a beginning to come", hs({ ...CLAIMS, nbf: NOW + 60 })],
  ["issued in the future", hs({ ...CLAIMS, iat: NOW + 3600 })],
  ["no subject", hs(without("sub"))],
  ["an empty subject", hs({ ...CLAIMS, sub: "" })],
  ["a subject that is a number", hs({ ...CLAIMS, sub: 1 })],
  ["a subject that is a list", hs({ ...CLAIMS, sub: ["ann"] })],
  ["the subject of everybody", hs({ ...CLAIMS, sub: "anonymous" })],
  ["a subject with a line break", hs({ ...CLAIMS, sub: "ann\nroot" })],
  ["a subject with a zero byte", hs({ ...CLAIMS, sub: "ann\u0000" })],
  ["a subject that turns around", hs({ ...CLAIMS, sub: "\u202enna" })],
  [
    "half of a pair as subject",
    hs(`{"sub":"\\ud800","iss":"https://id.example","aud":"push","exp":${NOW + 9}}`),
  ],
  ["a subject of 256 characters", hs({ ...CLAIMS, sub: "x".repeat(256) })],
  ["grants that are none", hs({ ...CLAIMS, push: "admin" })],
  [
    "grants with an action that is none",
    hs({ ...CLAIMS, push: [{ channels: ["**"], actions: ["root"] }] }),
  ],
  ["claims that are a list", hs([CLAIMS])],
  ["claims that are null", hs("null")],
  ["claims that are no JSON", hs("{")],
  ["claims nested deeply", hs(`${"[".repeat(5000)}${"]".repeat(5000)}`)],
  ["claims that end before", hs(CLAIMS).replace(".", "=.")],
  ["where its key is", hs(CLAIMS, { alg: "HS256", jku: "$jku", kid: "1" })],
  ["where its certificate is", hs(CLAIMS, { alg: "HS256", x5u: "$jku" })],
  ["its own key", hs(CLAIMS, { alg: "HS256", jwk: { kty: "oct", k: encode(SECRET) } })],
  ["what must be understood", hs(CLAIMS, { alg: "HS256", crit: ["exp"] })],
  ["claims that are not encoded", hs(CLAIMS, { alg: "HS256", b64: false, crit: ["b64"] })],
  ["a key that is a list", hs(CLAIMS, { alg: "HS256", kid: ["1"] })],
  ["a header that is null", `${encode("null")}.${BODY}.${SIGNATURE}`],
  ["a header that is no JSON", `e30x.${BODY}.${SIGNATURE}`],
  ["nothing but points", ".."],
];

/** A gateway that asks for JSON Web Tokens, and a place where nobody may ask for keys. */
class Judged implements AsyncDisposable {
  asked = 0;
  readonly #trap: Deno.HttpServer<Deno.NetAddr>;
  #served!: Served;

  private constructor() {
    this.#trap = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
      this.asked++;
      return new Response("{}");
    });
  }

  static async start(jwt: { secret?: string; keyFile?: string }): Promise<Judged> {
    const judged = new Judged();
    const clock = new SocketClock();
    clock.jump(NOW * 1000 - clock.now());
    judged.#served = await startGateway({
      push: { auth: { jwt: { ...jwt, issuer: CLAIMS.iss, audience: CLAIMS.aud } } },
    }, { clock });
    return judged;
  }

  get served(): Served {
    return this.#served;
  }

  /** What a token is answered with at the upgrade. */
  async status(token: string): Promise<[status: number, code: string]> {
    const jku = `http://127.0.0.1:${this.#trap.addr.port}/keys`;
    const [head, ...rest] = token.split(".");
    const header = Buffer.from(head, "base64url").toString();
    // Its signature is wrong then; it must be refused before that is looked at.
    const shown = header.includes("$jku")
      ? [encode(header.replaceAll("$jku", jku)), ...rest].join(".")
      : token;
    const request = upgradeRequest("/ws?client_id=eve", { Authorization: `Bearer ${shown}` });
    const answer = await exchange(this.served.port, request);
    return [answer!.status, answer!.status === 101 ? "" : JSON.parse(answer!.body).code];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#served[Symbol.asyncDispose]();
    await this.#trap.shutdown();
  }
}

Deno.test("a forged JSON Web Token lets nobody in, and no key is fetched from where it says", async (t) => {
  await using judged = await Judged.start({ secret: SECRET });
  assertEquals(await judged.status(GOOD), [101, ""]);
  assertEquals(await judged.status(hs({ ...CLAIMS, aud: ["x", "push"] })), [101, ""]);
  for (const [what, token] of FORGED) {
    await t.step(what, async () => {
      assertEquals(await judged.status(token), [401, "token_invalid"]);
    });
  }
  assertEquals(await judged.status(hs({ ...CLAIMS, exp: NOW - 60 })), [401, "token_expired"]);
  assertEquals(judged.asked, 0);
  await assertUntouched(judged.served);
});

Deno.test("a public key is no secret: whoever knows it signs nothing with it", async () => {
  await using folder = new TempFolder();
  const keyFile = `${folder.path}/key.pem`;
  await Deno.writeTextFile(keyFile, PEM);
  await using judged = await Judged.start({ keyFile });
  assertEquals(await judged.status(rs(CLAIMS)), [101, ""]);
  const spki = publicKey.export({ type: "spki", format: "der" }).toString("latin1");
  for (const key of [PEM, PEM.trim(), PEM.replaceAll("\n", "\r\n"), spki, "", SECRET]) {
    for (const alg of ["HS256", "RS256", "none"]) {
      assertEquals(await judged.status(hs(CLAIMS, { alg }, key)), [401, "token_invalid"], alg);
    }
  }
  for (const alg of ["RS512", "PS256", "ES256", "EdDSA", "HS256"]) {
    assertEquals(await judged.status(rs(CLAIMS, { alg })), [401, "token_invalid"], alg);
  }
});

Deno.test("a token that ends while its client is connected ends the connection, and no other way in is left", async () => {
  const clock = new SocketClock();
  clock.jump(NOW * 1000 - clock.now());
  await using served = await startGateway({
    push: { auth: { jwt: { secret: SECRET } }, presence: { broadcastChanges: false } },
  }, { clock });
  const headers = { authorization: `Bearer ${hs({ ...CLAIMS, exp: NOW + 5 })}` };
  await using client = await WireClient.open(`${served.ws}?client_id=ann`, headers);
  await client.subscribe("news");
  const registered = await ask(`${served.http}/api/push/poll/register`, { body: {}, headers });
  const { poll_token } = registered.body;
  for (let second = 0; second < 12; second++) await clock.advance(1000);
  const { code } = await within(client.closed, "the connection to end");
  assertEquals(code, 4401);
  const { delivered } = await served.gateway.publish("news", "too late");
  assertEquals(delivered, 0);
  const polled = await ask(`${served.http}/api/push/poll/messages`, { body: { poll_token } });
  assert(polled.status === 401 || polled.status === 404, polled.text);
  const again = await ask(`${served.http}/api/push/publish`, { body: PUBLISH, headers });
  assertEquals([again.status, again.body.code], [401, "token_expired"]);
});
