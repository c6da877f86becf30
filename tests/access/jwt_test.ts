import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { JwtVerifier } from "../../server/access/jwt.ts";
import type { Identity } from "../../server/access/identity.ts";
import { revocationsOf } from "../../server/access/revoking.ts";
import { hashSecret } from "../../server/access/secrets.ts";
import { twinOf } from "../../server/access/signature.ts";
import type { JwtOptions } from "../../server/options/options.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { type Claims, forge, Issuer, seconds, signWith } from "./issuer.ts";

const SECRET = "a secret of at least 64 characters, so that it goes with HS512!!".replaceAll(
  " ",
  "-",
);
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
  .concat("ES256", "ES384", "ES512", "EdDSA");
const clock = new ManualClock();
const now = seconds(clock.now());
const ANN: Claims = { sub: "ann", exp: now + 60 };

function verifier(jwt: JwtOptions, at = clock): Promise<JwtVerifier> {
  const { push } = resolveOptions({ push: { auth: { jwt } } });
  return JwtVerifier.open(push.auth.jwt, at, () => {});
}

/** A verifier of one public key. */
async function withKey(text: string, more: JwtOptions = {}): Promise<JwtVerifier> {
  const keyFile = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(keyFile, text);
    return await verifier({ keyFile, ...more });
  } finally {
    await Deno.remove(keyFile);
  }
}

async function codeOf(verified: Promise<Identity>): Promise<string> {
  try {
    return `let in as ${(await verified).subject}`;
  } catch (error) {
    if (error instanceof PushError) return error.code;
    throw error;
  }
}

for (const alg of ALGORITHMS) {
  Deno.test(`a token of ${alg} is accepted with its key, as PEM and as JWK, and with no other`, async () => {
    const [issuer, other] = [await Issuer.make(alg), await Issuer.make(alg)];
    for (const text of [issuer.pem, JSON.stringify(issuer.jwk)]) {
      const jwt = await withKey(text, { algorithms: [alg] });
      assertEquals((await jwt.verify(await issuer.sign(ANN))).subject, "ann");
      assertEquals(await codeOf(jwt.verify(await other.sign(ANN))), "token_invalid");
    }
  });
}

for (const alg of ["HS256", "HS384", "HS512"]) {
  Deno.test(`a token of ${alg} is accepted with its secret, and with no other`, async () => {
    const jwt = await verifier({ secret: SECRET, algorithms: [alg] });
    assertEquals((await jwt.verify(await signWith(SECRET, ANN, { alg }))).subject, "ann");
    const wrong = await signWith(`${SECRET}x`, ANN, { alg });
    assertEquals(await codeOf(jwt.verify(wrong)), "token_invalid");
  });
}

Deno.test("a token says who it is, what it allows, when it ends and what it is called", async () => {
  const jwt = await verifier({ secret: SECRET });
  const push = [{ channels: ["news:*"], actions: ["subscribe"] }];
  const token = await signWith(SECRET, { ...ANN, jti: "t-1", iat: now - 5, push });
  assertEquals(await jwt.verify(token), {
    subject: "ann",
    grants: [{ channels: ["news:*"], actions: ["subscribe"] }],
    expiresAt: (now + 65) * 1000,
    issuedAt: (now - 5) * 1000,
    tokenId: "t-1",
  });
  const bare = await signWith(SECRET, ANN);
  assertEquals(await jwt.verify(bare), {
    subject: "ann",
    expiresAt: (now + 65) * 1000,
    tokenId: hashSecret(bare),
  });
});

Deno.test("only the algorithms that were named are accepted", async () => {
  const issuer = await Issuer.make("PS256");
  const strict = await withKey(issuer.pem, { algorithms: ["PS384"] });
  assertEquals(await codeOf(strict.verify(await issuer.sign(ANN))), "token_invalid");
  const plain = await withKey(issuer.pem);
  assertEquals(
    await codeOf(plain.verify(await issuer.sign(ANN))),
    "token_invalid",
    "PS256 is not named",
  );
  const hs = await verifier({ secret: SECRET });
  const other = await signWith(SECRET, ANN, { alg: "HS512" });
  assertEquals(await codeOf(hs.verify(other)), "token_invalid");
});

Deno.test("a public key is never a secret that tokens could be signed with", async () => {
  const issuer = await Issuer.make("RS256");
  const jwt = await withKey(issuer.pem);
  for (const text of [issuer.pem, JSON.stringify(issuer.jwk)]) {
    assertEquals(await codeOf(jwt.verify(await signWith(text, ANN))), "token_invalid");
  }
});

Deno.test("a token without a signature is refused, whatever it calls that", async () => {
  const jwt = await verifier({ secret: SECRET });
  for (const alg of ["none", "None", "NONE", "", undefined, null, ["HS256"], 256]) {
    assertEquals(await codeOf(jwt.verify(forge({ alg }, ANN))), "token_invalid", String(alg));
  }
  assertEquals(await codeOf(jwt.verify(forge({ alg: "HS256" }, ANN))), "token_invalid");
});

Deno.test("a header that names keys or extensions of its own is refused", async () => {
  const issuer = await Issuer.make("ES256");
  const jwt = await withKey(issuer.pem);
  const headers: Claims[] = [
    { jku: "https://evil.example/keys" },
    { x5u: "https://evil.example/cert" },
    { jwk: issuer.jwk },
    { x5c: ["MIIB"] },
    { kid: 7 },
    { kid: "k".repeat(300) },
  ];
  for (const header of headers) {
    assertEquals(await codeOf(jwt.verify(await issuer.sign(ANN, header))), "token_invalid");
  }
  const [, payload, signature] = (await issuer.sign(ANN)).split(".");
  const [head] = forge({ alg: "ES256", crit: ["exp"], exp: 1 }, {}).split(".");
  assertEquals(await codeOf(jwt.verify(`${head}.${payload}.${signature}`)), "token_invalid");
  const unencoded = { b64: false, crit: ["b64"] };
  assertEquals(
    await codeOf(jwt.verify(forge({ alg: "ES256", ...unencoded }, ANN))),
    "token_invalid",
  );
  assertEquals(
    (await jwt.verify(await issuer.sign(ANN, { kid: "any", typ: "JWT" }))).subject,
    "ann",
  );
});

Deno.test("a token that has expired says so, one that is not valid yet is refused; clocks may differ", async () => {
  const clock = new ManualClock();
  const at = seconds(clock.now());
  const jwt = await verifier({ secret: SECRET, clockTolerance: 10 }, clock);
  const code = async (claims: Claims) =>
    await codeOf(jwt.verify(await signWith(SECRET, { sub: "ann", exp: at + 60, ...claims })));
  assertEquals(await code({ exp: at - 9 }), "let in as ann");
  assertEquals(await code({ exp: at - 10 }), "token_expired");
  assertEquals(await code({ nbf: at + 10 }), "let in as ann");
  assertEquals(await code({ nbf: at + 11 }), "token_invalid");
  assertEquals(await code({ iat: at + 10 }), "let in as ann");
  assertEquals(await code({ iat: at + 11 }), "token_invalid");
  assertEquals(await code({ exp: undefined }), "token_invalid");
  for (const wrong of ["soon", null, -1, 1e300, true, [at + 60]]) {
    assertEquals(await code({ exp: wrong }), "token_invalid", `exp ${wrong}`);
    assertEquals(await code({ nbf: wrong }), "token_invalid", `nbf ${wrong}`);
  }
  const token = await signWith(SECRET, { sub: "ann", exp: at + 60 });
  await clock.advance(69_000);
  assertEquals(await codeOf(jwt.verify(token)), "let in as ann");
  await clock.advance(1_000);
  assertEquals(await codeOf(jwt.verify(token)), "token_expired");
});

Deno.test("issuer and audience must be those that were named", async () => {
  const jwt = await verifier({ secret: SECRET, issuer: "https://id.example", audience: "push" });
  const code = async (claims: Claims) =>
    await codeOf(jwt.verify(await signWith(SECRET, { ...ANN, ...claims })));
  const iss = "https://id.example";
  assertEquals(await code({ iss, aud: "push" }), "let in as ann");
  assertEquals(await code({ iss, aud: ["mail", "push"] }), "let in as ann");
  for (
    const wrong of [
      { iss },
      { aud: "push" },
      { iss: "https://evil.example", aud: "push" },
      { iss: `${iss}/`, aud: "push" },
      { iss, aud: "mail" },
      { iss, aud: [] },
      { iss, aud: ["pushy"] },
      { iss, aud: { push: true } },
      { iss: [iss], aud: "push" },
    ]
  ) assertEquals(await code(wrong), "token_invalid", JSON.stringify(wrong));
});

Deno.test("the subject must be one, and never that of those whom no token tells apart", async () => {
  const jwt = await verifier({ secret: SECRET });
  const code = async (sub: unknown) =>
    await codeOf(jwt.verify(await signWith(SECRET, { ...ANN, sub })));
  assertEquals(await code("Zoë 東京 #1"), "let in as Zoë 東京 #1");
  assertEquals(await code("a".repeat(255)), `let in as ${"a".repeat(255)}`);
  for (
    const wrong of ["", "anonymous", "a\nb", "a\0", "a\u2028b", "\ud800", "a".repeat(256), 7, null]
  ) assertEquals(await code(wrong), "token_invalid", JSON.stringify(wrong));
  for (const name of ["__proto__", "constructor"]) {
    const odd = await verifier({ secret: SECRET, subjectClaim: name });
    assertEquals(await codeOf(odd.verify(await signWith(SECRET, ANN))), "token_invalid", name);
  }
  const other = await verifier({ secret: SECRET, subjectClaim: "client" });
  assertEquals(
    (await other.verify(await signWith(SECRET, { ...ANN, client: "bob" }))).subject,
    "bob",
  );
});

Deno.test("rights that are not written as they should be refuse the token", async () => {
  const jwt = await verifier({ secret: SECRET });
  const code = async (push: unknown) =>
    await codeOf(jwt.verify(await signWith(SECRET, { ...ANN, push })));
  assertEquals(await code([]), "let in as ann");
  for (
    const wrong of [
      null,
      "all",
      {},
      [{}],
      [{ channels: ["a"] }],
      [{ channels: "a", actions: ["publish"] }],
      [{ channels: ["a"], actions: ["write"] }],
      [{ channels: ["a*"], actions: ["publish"] }],
      [{ channels: ["a"], actions: ["publish"], more: 1 }],
    ]
  ) assertEquals(await code(wrong), "token_invalid", JSON.stringify(wrong));
});

Deno.test("what is signed and yet no set of claims is refused", async () => {
  const issuer = await Issuer.make("EdDSA");
  const jwt = await withKey(issuer.pem);
  for (const text of ["", "7", "null", "[]", "not JSON", `{"sub":"ann"`, "[".repeat(50)]) {
    assertEquals(await codeOf(jwt.verify(await issuer.signText(text))), "token_invalid", text);
  }
  for (const text of ["", ".", "..", "a.b.c", "a.b.c.d.e", "ey.ey.ey", "\u00e9.\u00e9.\u00e9"]) {
    assertEquals(await codeOf(jwt.verify(text)), "token_invalid", text);
  }
});

Deno.test("keys that must not be used are refused at the start, with the option's name", async () => {
  const [rsa, weak, ec] = [
    await Issuer.make("RS256"),
    await Issuer.make("RS256", undefined, 1024).catch(() => undefined),
    await Issuer.make("ES256"),
  ];
  const wrong: [text: string, more?: JwtOptions][] = [
    ["no key at all"],
    ["{}"],
    [JSON.stringify(rsa.secret)],
    [JSON.stringify({ kty: "oct", k: "AAAA" })],
    [JSON.stringify({ ...rsa.jwk, use: "enc" })],
    [JSON.stringify({ ...ec.jwk, crv: "secp256k1" })],
    [JSON.stringify(rsa.jwk), { algorithms: ["ES256"] }],
    [ec.pem, { algorithms: ["ES384"] }],
    [rsa.pem.replaceAll("PUBLIC", "PRIVATE")],
  ];
  if (weak !== undefined) wrong.push([JSON.stringify(weak.jwk)], [weak.pem]);
  for (const [text, more] of wrong) {
    await assertRejects(() => withKey(text, more), TypeError, "push.auth.jwt.keyFile");
  }
  await assertRejects(() => verifier({ keyFile: "there/is/none" }), TypeError, "keyFile");
  await assertRejects(() => verifier({ jwksFile: "there/is/none" }), TypeError, "jwksFile");
});

Deno.test("a token of ECDSA is revoked with the one that anybody can make of it", async () => {
  for (const alg of ["ES256", "ES384", "ES512"]) {
    const issuer = await Issuer.make(alg);
    const jwt = await withKey(issuer.pem, { algorithms: [alg] });
    const token = await issuer.sign(ANN);
    const twin = twinOf(token)!;
    assertNotEquals(twin, token);
    assertEquals(twinOf(twin), token);
    const { tokenId } = await jwt.verify(twin);
    const revoked = revocationsOf({ token }, clock.now(), 0).map(({ name }) => name);
    assertEquals(revoked, [hashSecret(token), tokenId!], alg);
  }
  const others = ["", "t", "a.b", "a.b.c", "..", "e30.e30.AAAA", await signWith(SECRET, ANN)];
  for (const other of others) assertEquals(twinOf(other), undefined, other);
});

Deno.test("a token that was revoked as it is cannot be spelled in another way", async () => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (const alg of ["HS256", "ES256", "EdDSA"]) {
    const issuer = alg === "HS256" ? undefined : await Issuer.make(alg);
    const jwt = issuer === undefined
      ? await verifier({ secret: SECRET })
      : await withKey(issuer.pem, { algorithms: [alg] });
    const token = await (issuer?.sign(ANN) ?? signWith(SECRET, ANN));
    assertEquals((await jwt.verify(token)).tokenId, hashSecret(token));
    // The last character has bits that mean nothing.
    const last = letters[letters.indexOf(token.at(-1)!) + 1];
    const others = [token.slice(0, -1) + last, `${token}=`, `${token}==`, `${token} `]
      .concat(`${token.slice(0, -3)}\n${token.slice(-3)}`);
    for (const other of others) {
      assertEquals(await codeOf(jwt.verify(other)), "token_invalid", `${alg} ${other}`);
    }
  }
});
