import { assertEquals } from "@std/assert";
import type { Json } from "@push/client/protocol";
import { readIdentity } from "../../server/access/kept_identity.ts";

const WHOLE: { [member: string]: Json } = {
  subject: "ann",
  grants: [{ channels: ["news:*", "**"], actions: ["subscribe", "admin"] }],
  expiresAt: 2,
  issuedAt: 1,
  tokenId: "t-1",
};

Deno.test("readIdentity() reads what an identity is as JSON", () => {
  assertEquals(readIdentity(WHOLE), WHOLE as unknown as ReturnType<typeof readIdentity>);
  assertEquals(readIdentity({ subject: "anonymous" }), { subject: "anonymous" });
});

Deno.test("readIdentity() takes nothing for an identity that no token could have made", () => {
  const grant = (channels: Json, actions: Json): Json => [{ channels, actions }];
  const wrong: Json[] = [
    ...[null, "ann", [], {}].map((value) => value as Json),
    ...["", 1, null, "a\nb", "x".repeat(256)].map((subject) => ({ ...WHOLE, subject })),
    ...["", 1, "a\nb"].map((tokenId) => ({ ...WHOLE, tokenId })),
    ...["1", null].flatMap((time) => [{ ...WHOLE, expiresAt: time }, { ...WHOLE, issuedAt: time }]),
    ...[
      null,
      {},
      [1],
      grant(["a b"], ["subscribe"]),
      grant(["a*"], ["subscribe"]),
      grant([], ["subscribe"]),
      grant(["a"], ["everything"]),
      grant(["a"], ["admin"]),
      grant("a", "subscribe"),
    ].map((grants) => ({ ...WHOLE, grants: grants as Json })),
  ];
  for (const value of wrong) assertEquals(readIdentity(value), undefined, JSON.stringify(value));
});
