import { assertEquals, assertMatch, assertNotMatch, assertThrows } from "@std/assert";
import { asksForToken, type AuthOptions, resolveOptions } from "../../server/options/options.ts";
import { OPTION_BY_PATH } from "../../server/options/table.ts";
import { parseValue } from "../../server/options/values.ts";
import { masked } from "../../server/options/wording.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const HASH = "4ac7b49e55ea1d3ca9b4a25b4bf3ffb3b6b45e1c1b1f1ecb1d9d0b3d1c1c1c1c";
const TOKENS = OPTION_BY_PATH.get("push.auth.tokens")!;

function refusal(auth: AuthOptions, authToken?: string): string {
  const error = assertThrows(() => resolveOptions({ authToken, push: { auth } }), Error);
  assertEquals(error instanceof TypeError || error instanceof RangeError, true);
  return error.message;
}

Deno.test("one kind of key, and the algorithms that go with it: everything else is refused", () => {
  const key = "key.pem";
  assertMatch(refusal({ jwt: { secret: SECRET, keyFile: key } }), /exclude each other/);
  assertMatch(
    refusal({ jwt: { jwksFile: key, jwksUrl: "https://a.example" } }),
    /exclude each other/,
  );
  for (const jwt of [{ issuer: "us" }, { clockTolerance: 1 }, { algorithms: ["RS256"] }]) {
    assertMatch(refusal({ jwt }), /without one of push\.auth\.jwt\.secret/);
  }
  assertMatch(refusal({ jwt: { secret: SECRET, algorithms: ["RS256"] } }), /go with a secret/);
  assertMatch(refusal({ jwt: { keyFile: key, algorithms: ["HS256"] } }), /go with public keys/);
  assertMatch(refusal({ jwt: { keyFile: key, algorithms: ["ES256", "HS512"] } }), /none of HS256/);
  assertMatch(refusal({ jwt: { keyFile: key, algorithms: [] } }), /one algorithm at least/);
  assertMatch(
    refusal({ jwt: { secret: SECRET, algorithms: ["HS512"] } }),
    /at least 64 characters/,
  );
  assertMatch(refusal({ jwt: { secret: SECRET, algorithms: ["HS256", "HS384"] } }), /at least 48/);
  const { jwt } = resolveOptions({ push: { auth: { jwt: { secret: SECRET } } } }).push.auth;
  assertEquals([jwt.secret, jwt.algorithms, jwt.clockTolerance], [SECRET, undefined, 5_000]);
});

Deno.test("no two tokens are one, and none is the shared one", () => {
  const same = [{ name: "a", token: "t1" }, { name: "b", token: "t1" }];
  assertMatch(refusal({ tokens: same }), /one twice, named "b"/);
  assertMatch(refusal({ tokens: [{ name: "a", token: "t1" }] }, "t1"), /also from authToken/);
});

Deno.test("one name may have several tokens: a new one is given out before the old one is taken away", () => {
  const tokens = [{ name: "a", token: "t1" }, { name: "a", token: "t2" }];
  const { auth } = resolveOptions({ push: { auth: { tokens } } }).push;
  assertEquals(auth.tokens?.map(({ name }) => name), ["a", "a"]);
});

Deno.test("a named token is copied, and nothing can change it afterwards", () => {
  const tokens = [{ name: "a", tokenHash: HASH.toUpperCase(), allow: [] }];
  const { auth } = resolveOptions({ push: { auth: { tokens } } }).push;
  tokens[0].name = "b";
  assertEquals(auth.tokens, [{ name: "a", tokenHash: HASH, allow: [] }]);
  assertThrows(() => ((auth.tokens as unknown as { name: string }[])[0].name = "c"), TypeError);
});

Deno.test("neither a print nor an error shows a named token", () => {
  assertEquals(
    masked(TOKENS, [{ name: "a", token: "hunter2" }, { name: "b", tokenHash: HASH, allow: [] }]),
    [{ name: "a", token: "***" }, { name: "b", allow: [], tokenHash: "***" }],
  );
  for (
    const text of [
      "hunter2",
      `[{"name":"a","token":"hunter2`,
      `["hunter2"]`,
      `"hunter2"`,
      `[{"name":"a","token":"hunter2 with space"}]`,
      `[{"name":"a","token":"hunter2","more":1}]`,
      `[{"name":"a","token":"hunter2","tokenHash":"hunter2"}]`,
      `[{"token":"hunter2"}]`,
      `[{"name":"a","token":"***"}]`,
    ]
  ) {
    const { message } = assertThrows(() => parseValue(TOKENS, text, "--auth-tokens"), Error);
    assertNotMatch(message, /hunter2/);
    assertMatch(message, /^Cannot use --auth-tokens: expected /);
  }
});

Deno.test("whoever asks for any kind of token may be reached by other machines", () => {
  const asks = (auth: AuthOptions) => asksForToken(resolveOptions({ push: { auth } }));
  assertEquals(asks({}), false);
  assertEquals(asks({ tokens: [] }), false);
  assertEquals(asks({ tokens: [{ name: "a", token: "t" }] }), true);
  assertEquals(asks({ jwt: { secret: SECRET } }), true);
  assertEquals(asks({ jwt: { jwksUrl: "https://id.example/keys" } }), true);
  assertEquals(asksForToken(resolveOptions(), true), true);
});
