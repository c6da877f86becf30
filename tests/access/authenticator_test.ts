import { assert, assertEquals, assertRejects } from "@std/assert";
import { PushError } from "@push/client/protocol";
import {
  type Authenticate,
  Authenticator,
  type AuthenticatorParts,
  type AuthRequest,
} from "../../server/access/authenticator.ts";
import type { Identity } from "../../server/access/identity.ts";
import { hashSecret } from "../../server/access/secrets.ts";
import { ManualClock } from "../../server/testing/mod.ts";

function make(parts: Partial<AuthenticatorParts> = {}): Authenticator {
  return new Authenticator({ clock: new ManualClock(), ...parts });
}

async function codeOf(identified: Promise<Identity>): Promise<string> {
  try {
    return `let in as ${(await identified).subject}`;
  } catch (error) {
    if (error instanceof PushError) return error.code;
    throw error;
  }
}

Deno.test("where nothing tells tokens apart everybody is anonymous, whatever they show", async () => {
  const open = make();
  assertEquals(open.isProtected, false);
  for (const token of [undefined, "", "anything", "x".repeat(20_000)]) {
    assertEquals(await open.identify(token), { subject: "anonymous" });
  }
});

Deno.test("the shared token is anonymous, a named one its name, and any other is refused", async () => {
  const tokens = [
    { name: "backend", token: "t-1" },
    {
      name: "reader",
      tokenHash: hashSecret("t-2"),
      allow: [{ channels: ["a"], actions: ["subscribe"] as const }],
    },
  ];
  const both = make({ authToken: "shared", tokens });
  assertEquals(await both.identify("shared"), {
    subject: "anonymous",
    tokenId: hashSecret("shared"),
  });
  assertEquals(await both.identify("t-1"), { subject: "backend", tokenId: hashSecret("t-1") });
  assertEquals(await both.identify("t-2"), {
    subject: "reader",
    grants: tokens[1].allow,
    tokenId: hashSecret("t-2"),
  });
  for (const wrong of ["t-3", "T-1", "t-1 ", hashSecret("t-2"), "x".repeat(20_000)]) {
    assertEquals(await codeOf(both.identify(wrong)), "token_invalid", wrong);
  }
  for (const none of [undefined, ""]) {
    assertEquals(await codeOf(both.identify(none)), "token_required");
  }
  const named = make({ tokens });
  assertEquals(named.isProtected, true);
  assertEquals(await codeOf(named.identify(undefined)), "token_required");
});

Deno.test("a named token ends when it says so", async () => {
  const clock = new ManualClock(Date.UTC(2030, 0, 1));
  const tokens = [{ name: "backend", token: "t", expires: "2030-01-01T01:00:00+00:00" }];
  const authenticator = make({ clock, tokens });
  assertEquals((await authenticator.identify("t")).expiresAt, Date.UTC(2030, 0, 1, 1));
  await clock.advance(3_599_999);
  assertEquals(await codeOf(authenticator.identify("t")), "let in as backend");
  await clock.advance(1);
  assertEquals(await codeOf(authenticator.identify("t")), "token_expired");
});

Deno.test("the program decides alone, and knows of the request", async () => {
  const seen: [AuthRequest, string | undefined][] = [];
  const authenticate: Authenticate = (request, token) => {
    seen.push([request, token]);
    return token === "right" ? { subject: "ann" } : null;
  };
  const authenticator = make({ authenticate, authToken: "shared" });
  const request = { headers: new Headers({ a: "b" }), url: "http://push/ws", address: "10.0.0.1" };
  assertEquals(await authenticator.identify("right", request), {
    subject: "ann",
    tokenId: hashSecret("right"),
  });
  assertEquals(await codeOf(authenticator.identify("shared", request)), "token_invalid");
  assertEquals(await codeOf(authenticator.identify(undefined, request)), "token_required");
  assertEquals(seen, [[request, "right"], [request, "shared"], [request, undefined]]);
});

Deno.test("a program that fails, or says what is no identity, lets nobody in", async () => {
  const answers: unknown[] = [
    undefined,
    true,
    "ann",
    7,
    [],
    {},
    { subject: "" },
    { subject: "anonymous" },
    { subject: "a\nb" },
    { subject: "ann", grants: [{ channels: ["a*b"], actions: ["publish"] }] },
    { subject: "ann", grants: "all" },
    { subject: "ann", expiresAt: NaN },
    { subject: "ann", expiresAt: "tomorrow" },
    { subject: "ann", tokenId: 7 },
  ];
  const failures: unknown[] = [];
  const failed = (error: unknown) => void failures.push(error);
  for (const answer of answers) {
    for (const wrapped of [answer, Promise.resolve(answer)]) {
      const authenticate = (() => wrapped) as Authenticate;
      const { identify } = bound(make({ authenticate, failed }));
      assertEquals(await codeOf(identify("t")), "unavailable", JSON.stringify(answer));
    }
  }
  assertEquals(failures.length, 2 * answers.length);
  const throws = make({
    authenticate: () => {
      throw new Error("the database is away");
    },
    failed,
  });
  assertEquals(await codeOf(throws.identify("t")), "unavailable");
  const rejects = make({ authenticate: () => Promise.reject(new Error("away")), failed });
  assertEquals(await codeOf(rejects.identify("t")), "unavailable");
  assertEquals(failures.length, 2 * answers.length + 2);
  for (const code of ["token_invalid", "token_expired", "token_required", "unavailable"] as const) {
    const says = make({ authenticate: () => Promise.reject(new PushError(code)), failed });
    assertEquals(await codeOf(says.identify("t")), code);
  }
  const odd = make({ authenticate: () => Promise.reject(new PushError("replaced")), failed });
  assertEquals(await codeOf(odd.identify("t")), "unavailable");
});

Deno.test("a program that takes too long is not waited for", async () => {
  const clock = new ManualClock();
  const failures: unknown[] = [];
  const authenticator = make({
    clock,
    authenticate: () => new Promise(() => {}),
    failed: (error) => void failures.push(error),
  });
  const refused = assertRejects(() => authenticator.identify("t"), PushError);
  await clock.advance(10_000);
  assertEquals((await refused).code, "unavailable");
  assertEquals([failures.length, clock.pending], [1, 0]);
});

Deno.test("what the program says of a token's end counts", async () => {
  const clock = new ManualClock();
  const authenticate = () => ({ subject: "ann", expiresAt: clock.now() + 1 });
  const ends = make({ clock, authenticate });
  assertEquals(await codeOf(ends.identify("t")), "let in as ann");
  const over = make({ clock, authenticate: () => ({ subject: "ann", expiresAt: clock.now() }) });
  assertEquals(await codeOf(over.identify("t")), "token_expired");
  assert(over.wantsRequest);
});

Deno.test("a token that is revoked as it is lets nobody in, whatever the program calls it", async () => {
  const clock = new ManualClock();
  const revoked = hashSecret("t-1");
  const revocations = {
    size: 1,
    isVoid: (kind: string, name: string) => kind === "token" && name === revoked,
  } as unknown as AuthenticatorParts["revocations"];
  const authenticate = () => ({ subject: "ann", tokenId: "session-7" });
  const authenticator = make({ clock, authenticate, revocations });
  assertEquals(await codeOf(authenticator.identify("t-1")), "token_invalid");
  assertEquals(await codeOf(authenticator.identify("t-2")), "let in as ann");
});

function bound(authenticator: Authenticator) {
  return { identify: (token?: string) => authenticator.identify(token) };
}
