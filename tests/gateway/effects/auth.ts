import { assertEquals, assertRejects } from "@std/assert";
import type { JwtOptions } from "../../../mod.ts";
import { type Claims, Issuer, seconds, signWith } from "../../access/issuer.ts";
import { ask } from "../../support/http_client.ts";
import { type Served, startGateway } from "../../support/gateway.ts";
import { WireClient } from "../../support/wire_client.ts";
import { type Effects, type Timed, timed } from "./effect.ts";

const SECRET = "a-secret-of-thirty-two-characters";

/** Whether somebody gets in with a token, or why not. */
async function entry({ http }: Served, token?: string): Promise<string> {
  const { status, body } = await ask(`${http}/api/push/poll/register`, { body: {}, token });
  return status === 200 ? "in" : body.code;
}

/** A gateway that takes tokens of a secret, and who signs them. */
async function withSecret(jwt: JwtOptions = {}) {
  const gateway: Timed = await timed({ auth: { jwt: { secret: SECRET, ...jwt } } });
  const claims = { sub: "ann", exp: seconds(gateway.clock.now()) + 60 };
  const enter = async (more: Claims, header: Claims = {}) =>
    await entry(gateway, await signWith(SECRET, { ...claims, ...more }, header));
  return { gateway, claims, enter, [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose]() };
}

/** Runs something with a file of that text. */
async function withFile(text: string, task: (file: string) => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, text);
    await task(file);
  } finally {
    await Deno.remove(file);
  }
}

/** Whether a token of a real key gets in where a gateway looks for keys like this. */
async function entries(issuer: Issuer, jwt: JwtOptions): Promise<string[]> {
  await using gateway = await timed({ auth: { jwt } });
  const claims = { sub: "ann", exp: seconds(gateway.clock.now()) + 60 };
  const other = await Issuer.make("ES256", "one");
  const tokens = [
    await issuer.sign(claims, { kid: "one" }),
    await other.sign(claims, { kid: "one" }),
  ];
  return [await entry(gateway, tokens[0]), await entry(gateway, tokens[1])];
}

/** What the options of who may connect do. */
export const AUTH: Effects = {
  "push.auth.tokens": {
    says: "each is a subject of its own, so one name is two clients; others are refused",
    async run() {
      const tokens = [{ name: "ann", token: "t-ann" }, { name: "bob", token: "t-bob" }];
      await using gateway = await startGateway({ push: { auth: { tokens } } });
      const open = (token: string) =>
        WireClient.open(`${gateway.ws}?client_id=desk`, { authorization: `Bearer ${token}` });
      await using ann = await open("t-ann");
      await ann.subscribe("news");
      await using bob = await open("t-bob");
      await bob.subscribe("news");
      assertEquals(await ann.ask({ type: "ping" }), { type: "pong" });
      assertEquals([await entry(gateway, "t-eve"), await entry(gateway)], [
        "token_invalid",
        "token_required",
      ]);
    },
  },
  "push.auth.jwt.secret": {
    says: "tokens that it has signed are let in, and no others",
    async run() {
      await using at = await withSecret();
      assertEquals(await at.enter({}), "in");
      const forged = await signWith(`${SECRET}x`, at.claims);
      assertEquals(await entry(at.gateway, forged), "token_invalid");
      assertEquals(await entry(at.gateway), "token_required");
      await assertRejects(() => timed({ auth: { jwt: { secret: "short" } } }), RangeError);
    },
  },
  "push.auth.jwt.keyFile": {
    says: "tokens of its private key are let in, and no others",
    async run() {
      const issuer = await Issuer.make("ES256");
      await withFile(issuer.pem, async (keyFile) => {
        assertEquals(await entries(issuer, { keyFile }), ["in", "token_invalid"]);
        await assertRejects(() => timed({ auth: { jwt: { keyFile, secret: SECRET } } }), TypeError);
      });
      await assertRejects(
        () => timed({ auth: { jwt: { keyFile: "none" } } }),
        TypeError,
        "keyFile",
      );
    },
  },
  "push.auth.jwt.jwksUrl": {
    says: "keys are fetched from there",
    async run() {
      const issuer = await Issuer.make("ES256", "one");
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        () => Response.json({ keys: [issuer.jwk] }),
      );
      try {
        const jwksUrl = `http://127.0.0.1:${server.addr.port}/`;
        assertEquals(await entries(issuer, { jwksUrl }), ["in", "token_invalid"]);
      } finally {
        await server.shutdown();
      }
      const jwksUrl = "http://id.example/";
      await assertRejects(() => timed({ auth: { jwt: { jwksUrl } } }), RangeError, "https");
    },
  },
  "push.auth.jwt.jwksFile": {
    says: "keys are read from there",
    async run() {
      const issuer = await Issuer.make("ES256", "one");
      await withFile(JSON.stringify({ keys: [issuer.jwk] }), async (jwksFile) => {
        assertEquals(await entries(issuer, { jwksFile }), ["in", "token_invalid"]);
      });
    },
  },
  "push.auth.jwt.issuer": {
    says: "tokens of another issuer are refused",
    async run() {
      await using at = await withSecret({ issuer: "us" });
      const [right, wrong] = [await at.enter({ iss: "us" }), await at.enter({ iss: "them" })];
      assertEquals([right, wrong, await at.enter({})], ["in", "token_invalid", "token_invalid"]);
    },
  },
  "push.auth.jwt.audience": {
    says: "tokens for another audience are refused",
    async run() {
      await using at = await withSecret({ audience: "push" });
      const [right, wrong] = [await at.enter({ aud: ["push"] }), await at.enter({ aud: "mail" })];
      assertEquals([right, wrong, await at.enter({})], ["in", "token_invalid", "token_invalid"]);
    },
  },
  "push.auth.jwt.algorithms": {
    says: "other signatures are refused, and those that do not go with the key are not taken",
    async run() {
      const secret = SECRET.repeat(2);
      await using gateway = await timed({ auth: { jwt: { secret, algorithms: ["HS384"] } } });
      const claims = { sub: "ann", exp: seconds(gateway.clock.now()) + 60 };
      const enter = async (alg: string) =>
        await entry(gateway, await signWith(secret, claims, { alg }));
      assertEquals([await enter("HS384"), await enter("HS256")], ["in", "token_invalid"]);
      const jwt = { secret, algorithms: ["RS256"] };
      await assertRejects(() => timed({ auth: { jwt } }), RangeError, "go with a secret");
    },
  },
  "push.auth.jwt.clockTolerance": {
    says: "so long after its end a token is still let in",
    async run() {
      await using at = await withSecret({ clockTolerance: 30 });
      const now = seconds(at.gateway.clock.now());
      assertEquals(await at.enter({ exp: now - 29 }), "in");
      assertEquals(await at.enter({ exp: now - 30 }), "token_expired");
      assertEquals(await at.enter({ nbf: now + 31 }), "token_invalid");
    },
  },
  "push.auth.jwt.subjectClaim": {
    says: "the subject is what that claim says",
    async run() {
      await using at = await withSecret({ subjectClaim: "client" });
      assertEquals([await at.enter({ client: "ann" }), await at.enter({})], [
        "in",
        "token_invalid",
      ]);
    },
  },
  "push.auth.jwt.grantsClaim": {
    says: "what that claim allows is allowed, and nothing else",
    async run() {
      await using at = await withSecret({ grantsClaim: "rights" });
      const rights = [{ channels: ["news"], actions: ["subscribe"] }];
      const token = await signWith(SECRET, { ...at.claims, rights });
      const [client] = await WireClient.connect(at.gateway.ws, { token });
      await using _client = client;
      assertEquals((await client.subscribe("news")).ok, true);
      const refused = await client.ask({ type: "channel.subscribe", channel: "other" });
      assertEquals(refused.code, "forbidden");
      assertEquals(await at.enter({ rights: "all" }), "token_invalid");
    },
  },
  "push.auth.queryToken": {
    says: "off, a token in an address is refused, and the answer names the option",
    async run() {
      await using on = await startGateway({ authToken: "s3cret" });
      await using _client = await WireClient.open(`${on.ws}?token=s3cret`);
      await using off = await startGateway({
        authToken: "s3cret",
        push: { auth: { queryToken: false } },
      });
      await assertRejects(() => WireClient.open(`${off.ws}?token=s3cret`));
      const { status, body } = await ask(`${off.http}/api/push/sse?channel=a&token=s3cret`);
      assertEquals([status, body.code], [400, "bad_request"]);
      assertEquals(String(body.error).includes("push.auth.queryToken"), true);
      await using _other = await WireClient.open(off.ws, { authorization: "Bearer s3cret" });
    },
  },
  "push.auth.ticketTtl": {
    says: "a ticket is worth something for so long",
    async run() {
      await using gateway = await timed({ auth: { ticketTtl: 5 } }, { authToken: "s3cret" });
      const url = `${gateway.http}/api/push/ticket`;
      const get = async () => (await ask(url, { method: "POST", token: "s3cret" })).body;
      const [early, late] = [await get(), await get()];
      assertEquals(early.expires_in, 5);
      await gateway.clock.advance(4_999);
      await using _client = await WireClient.open(`${gateway.ws}?ticket=${early.ticket}`);
      await gateway.clock.advance(1);
      await assertRejects(() => WireClient.open(`${gateway.ws}?ticket=${late.ticket}`));
    },
  },
};
