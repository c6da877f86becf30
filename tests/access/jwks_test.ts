import { assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import type { JWK } from "jose";
import { JwtVerifier } from "../../server/access/jwt.ts";
import { type JwtOptions, resolveOptions } from "../../server/options/options.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { Issuer, seconds } from "./issuer.ts";

/** A server of keys that counts who asks, and answers as the test wants. */
class KeyServer implements AsyncDisposable {
  keys: readonly JWK[] = [];
  /** Answers instead of the keys. */
  answer: (() => Response | Promise<Response>) | undefined;
  asked = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
      this.asked++;
      return this.answer?.() ?? Response.json({ keys: this.keys });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/keys`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }
}

/** A verifier that asks a server for keys, under a clock of its own. */
async function open(jwksUrl: string, more: JwtOptions = {}) {
  const clock = new SocketClock();
  const failures: unknown[] = [];
  const { push } = resolveOptions({ push: { auth: { jwt: { jwksUrl, ...more } } } });
  const jwt = await JwtVerifier.open(push.auth.jwt, clock, (error) => failures.push(error));
  const codeOf = async (issuer: Issuer, kid: string | undefined = issuer.jwk.kid) => {
    const claims = { sub: "ann", exp: seconds(clock.now()) + 60 };
    const token = await issuer.sign(claims, kid === undefined ? {} : { kid });
    try {
      return (await jwt.verify(token)).subject;
    } catch (error) {
      if (error instanceof PushError) return error.code;
      throw error;
    }
  };
  return { clock, jwt, failures, codeOf };
}

Deno.test("keys come from an address, once for many tokens, and each is found by its name", async () => {
  await using server = new KeyServer();
  const issuers = [await Issuer.make("ES256", "one"), await Issuer.make("EdDSA", "two")];
  const stranger = await Issuer.make("ES256", "one");
  server.keys = issuers.map(({ jwk }) => jwk);
  const { codeOf } = await open(server.url);
  assertEquals(server.asked, 0, "nothing is asked before the first token");
  const codes = await Promise.all(issuers.flatMap((it) => [codeOf(it), codeOf(it)]));
  assertEquals(codes, ["ann", "ann", "ann", "ann"]);
  assertEquals(await codeOf(stranger), "token_invalid");
  assertEquals(await codeOf(issuers[0], "two"), "token_invalid", "the name of another's key");
  assertEquals(server.asked, 1);
});

Deno.test("a key of a new name is looked for once, and found where the issuer has changed it", async () => {
  await using server = new KeyServer();
  const [old, young, stranger] = [
    await Issuer.make("ES256", "old"),
    await Issuer.make("ES256", "young"),
    await Issuer.make("ES256", "stranger"),
  ];
  server.keys = [old.jwk];
  const { clock, codeOf } = await open(server.url);
  assertEquals(await codeOf(old), "ann");
  server.keys = [young.jwk];
  assertEquals(await codeOf(young), "ann");
  assertEquals(server.asked, 2);
  assertEquals(
    await codeOf(old),
    "unavailable",
    "it has just asked, and does not ask for each token",
  );
  await clock.advance(30_000);
  assertEquals(await codeOf(stranger), "token_invalid");
  assertEquals(server.asked, 3);
  for (let i = 0; i < 5; i++) assertEquals(await codeOf(stranger), "token_invalid");
  assertEquals(server.asked, 3, "what is known to be missing is not asked for again");
});

Deno.test("while keys cannot be read nobody is let in, and nobody is sent away for good", async () => {
  await using server = new KeyServer();
  const issuer = await Issuer.make("RS256", "one");
  server.keys = [issuer.jwk];
  const wrong: [string, () => Response][] = [
    ["an error", () => new Response("no", { status: 500 })],
    ["no JSON", () => new Response("<html>")],
    ["no set", () => Response.json({ key: issuer.jwk })],
    ["no keys", () => Response.json({ keys: [] })],
    ["another place", () => Response.redirect(`${server.url}/elsewhere`, 302)],
    ["too much", () => new Response(" ".repeat(300_000) + JSON.stringify({ keys: server.keys }))],
    ["secrets", () => Response.json({ keys: [{ kty: "oct", k: "AAAA", kid: "one" }] })],
    ["private keys", () => Response.json({ keys: [issuer.secret] })],
  ];
  const { clock, codeOf, failures } = await open(server.url);
  for (const [i, [what, answer]] of wrong.entries()) {
    server.answer = answer;
    assertEquals(await codeOf(issuer), "unavailable", what);
    assertEquals(await codeOf(issuer), "unavailable", what);
    assertEquals([server.asked, failures.length], [i + 1, i + 1], `${what}: asked once in a while`);
    await clock.advance(5_000);
  }
  server.answer = undefined;
  assertEquals(await codeOf(issuer), "ann");
});

Deno.test("the last good keys are used while no others can be read", async () => {
  await using server = new KeyServer();
  const [issuer, other] = [await Issuer.make("ES384", "one"), await Issuer.make("ES384", "two")];
  server.keys = [issuer.jwk];
  const { clock, codeOf } = await open(server.url, { algorithms: ["ES384"] });
  assertEquals(await codeOf(issuer), "ann");
  server.answer = () => new Response(null, { status: 503 });
  await clock.advance(600_000);
  assertEquals(await codeOf(issuer), "ann");
  assertEquals(server.asked, 2, "old keys are asked for again");
  assertEquals(await codeOf(issuer), "ann");
  assertEquals(server.asked, 2);
  assertEquals(await codeOf(other), "unavailable", "it may be a new key");
  server.answer = undefined;
  server.keys = [other.jwk];
  await clock.advance(30_000);
  assertEquals(await codeOf(other), "ann");
  assertEquals(await codeOf(issuer), "token_invalid", "its key was withdrawn");
});

Deno.test("keys are asked for again however far the clock was set back", async () => {
  await using server = new KeyServer();
  const [issuer, other] = [await Issuer.make("ES384", "one"), await Issuer.make("ES384", "two")];
  const { clock, codeOf } = await open(server.url, { algorithms: ["ES384"] });
  server.answer = () => new Response(null, { status: 503 });
  assertEquals(await codeOf(issuer), "unavailable");
  clock.jump(-3_600_000);
  server.answer = undefined;
  server.keys = [issuer.jwk];
  assertEquals(await codeOf(issuer), "ann");
  assertEquals(await codeOf(other), "token_invalid");
  server.keys = [issuer.jwk, other.jwk];
  await clock.advance(600_000);
  assertEquals(await codeOf(other), "ann");
  const third = await Issuer.make("ES384", "three");
  server.keys = [third.jwk];
  clock.jump(-3_600_000);
  assertEquals(await codeOf(third), "ann", "another name is looked for");
});

Deno.test("an issuer that does not answer is given up after five seconds", async () => {
  await using server = new KeyServer();
  const issuer = await Issuer.make("ES256", "one");
  const { promise, resolve } = Promise.withResolvers<Response>();
  server.answer = () => promise;
  const { clock, codeOf } = await open(server.url);
  const waiting = clock.scheduled(5_000);
  const answered = codeOf(issuer);
  await waiting;
  await clock.advance(5_000);
  assertEquals(await answered, "unavailable");
  resolve(new Response());
});

Deno.test("a token that names no key is checked only where there is no choice", async () => {
  await using server = new KeyServer();
  const [one, two, ed] = [
    await Issuer.make("ES256"),
    await Issuer.make("ES256"),
    await Issuer.make("EdDSA"),
  ];
  server.keys = [one.jwk, ed.jwk, { ...two.jwk, use: "enc" }];
  const { codeOf } = await open(server.url);
  assertEquals([await codeOf(one), await codeOf(ed)], ["ann", "ann"]);
  server.keys = [one.jwk, two.jwk];
  const { codeOf: later } = await open(server.url);
  assertEquals(await later(one), "token_invalid");
});

Deno.test("keys of a file are read again when one is missing", async () => {
  const jwksFile = await Deno.makeTempFile();
  try {
    const [old, young] = [await Issuer.make("ES256", "old"), await Issuer.make("ES256", "young")];
    const write = (...keys: JWK[]) => Deno.writeTextFile(jwksFile, JSON.stringify({ keys }));
    await write(old.jwk);
    const clock = new SocketClock();
    const { push } = resolveOptions({ push: { auth: { jwt: { jwksFile } } } });
    const jwt = await JwtVerifier.open(push.auth.jwt, clock, () => {});
    const claims = { sub: "ann", exp: seconds(clock.now()) + 60 };
    assertEquals((await jwt.verify(await old.sign(claims, { kid: "old" }))).subject, "ann");
    await write(old.jwk, young.jwk);
    assertEquals((await jwt.verify(await young.sign(claims, { kid: "young" }))).subject, "ann");
  } finally {
    await Deno.remove(jwksFile);
  }
});

Deno.test("who has stopped fetches no keys any more: what is under way ends", async () => {
  await using server = new KeyServer();
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Response>();
  server.answer = () => {
    asked.resolve();
    return answer.promise;
  };
  const { clock, jwt, codeOf } = await open(server.url);
  const code = codeOf(await Issuer.make("ES256", "one"));
  await asked.promise;
  jwt.stop();
  assertEquals([await code, clock.pending], ["unavailable", 0]);
  answer.resolve(Response.json({ keys: [] }));
});
