import { assertEquals, assertThrows } from "@std/assert";
import { checkGrants, checkRules, MAX_GRANTS, MAX_LISTED } from "../../server/access/grants.ts";

const GRANT = { channels: ["news:**", "user:{subject}"], actions: ["subscribe", "history"] };

Deno.test("grants and rules are taken as they are, and copied", () => {
  const grants = [structuredClone(GRANT)];
  const checked = checkGrants(grants);
  assertEquals(checked, [GRANT] as unknown as typeof checked);
  grants[0].channels[0] = "**";
  assertEquals(checked[0].channels[0], "news:**");
  const rule = { subjects: ["*", "ann"], ...GRANT };
  assertEquals(checkRules([rule]), [rule] as unknown as ReturnType<typeof checkRules>);
  assertEquals([checkGrants([]), checkRules([])], [[], []]);
});

const WRONG: readonly [what: string, grants: unknown][] = [
  ["no array", GRANT],
  ["a text", "**"],
  ["null", null],
  ["a grant that is null", [null]],
  ["a grant that is an array", [[]]],
  ["no actions", [{ channels: ["a"] }]],
  ["no channels", [{ actions: ["subscribe"] }]],
  ["no action in actions", [{ channels: ["a"], actions: [] }]],
  ["no channel in channels", [{ channels: [], actions: ["subscribe"] }]],
  ["an unknown action", [{ channels: ["a"], actions: ["read"] }]],
  ["an action of Object", [{ channels: ["a"], actions: ["constructor"] }]],
  ["a number as action", [{ channels: ["a"], actions: [1] }]],
  ["a text in place of actions", [{ channels: ["a"], actions: "subscribe" }]],
  ["a text in place of channels", [{ channels: "a", actions: ["subscribe"] }]],
  ["what is no pattern", [{ channels: ["a*"], actions: ["subscribe"] }]],
  ["a pattern of 17 segments", [{ channels: [":".repeat(16)], actions: ["subscribe"] }]],
  ["a number as pattern", [{ channels: [1], actions: ["subscribe"] }]],
  ["another member", [{ ...GRANT, channel: "a" }]],
  ["subjects in a grant", [{ ...GRANT, subjects: ["ann"] }]],
  ["admin in some channels only", [{ channels: ["a:**"], actions: ["admin"] }]],
  ["too many grants", Array(MAX_GRANTS + 1).fill(GRANT)],
  ["too many channels", [{ channels: Array(MAX_LISTED + 1).fill("a"), actions: ["publish"] }]],
];

for (const [what, grants] of WRONG) {
  Deno.test(`grants with ${what} are refused, and so are such rules`, () => {
    assertThrows(() => checkGrants(grants), RangeError);
    if (!Array.isArray(grants) || grants.length > MAX_GRANTS) return;
    const rules = grants.map((grant: unknown) =>
      typeof grant === "object" && grant !== null ? { subjects: ["*"], ...grant } : grant
    );
    if (what !== "subjects in a grant") assertThrows(() => checkRules(rules), RangeError);
  });
}

Deno.test("a refusal names the entry and what is wrong with it", () => {
  const grants = [GRANT, { channels: ["a", "b c"], actions: ["publish"] }];
  assertThrows(() => checkGrants(grants), RangeError, "'channels' of grant 2");
  const rules = [{ subjects: [], ...GRANT }];
  assertThrows(() => checkRules(rules), RangeError, "'subjects' of rule 1 must not be empty");
});
