import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { Authorization, type AuthorizationParts } from "../../server/access/authorization.ts";
import { type Action, ACTIONS, ANONYMOUS, type Identity } from "../../server/access/identity.ts";
import { Permits } from "../../server/access/permits.ts";
import { silentLog } from "../../server/logging/log.ts";
import { ManualClock } from "../../server/testing/mod.ts";

const clock = new ManualClock();
const ann: Identity = { subject: "ann" };
const anonymous: Identity = { subject: ANONYMOUS };

function authorization(parts: Partial<AuthorizationParts> = {}): Authorization {
  return new Authorization({ clock, log: silentLog(clock), ...parts });
}

function allowed(by: Authorization, who: Identity, channel: string): Action[] {
  return ACTIONS.filter((action) => by.allows(who, action, action === "admin" ? null : channel));
}

const EVERYTHING: Action[] = ["subscribe", "publish", "presence", "history"];

Deno.test("without a rule everything is allowed, and 'admin' to those no token tells apart", () => {
  const by = authorization();
  assertEquals(allowed(by, ann, "a"), EVERYTHING);
  assertEquals(allowed(by, anonymous, "a"), [...EVERYTHING, "admin"]);
});

Deno.test("with any rule what none allows is denied, also to who has no rule", () => {
  const rules = [{ subjects: ["bob"], channels: ["a"], actions: ["publish"] }] as const;
  for (const parts of [{ rules }, { closed: true }, { authorize: () => undefined }]) {
    const by = authorization(parts);
    assertEquals([allowed(by, ann, "a"), allowed(by, anonymous, "a")], [[], []]);
  }
  // Grants of a token close for this token only.
  const by = authorization();
  assertEquals(allowed(by, { subject: "ann", grants: [] }, "a"), []);
  assertEquals(allowed(by, { subject: ANONYMOUS, grants: [] }, "a"), []);
  assertEquals(allowed(by, ann, "a"), EVERYTHING);
});

Deno.test("rules name subjects or everybody; what one of them allows is allowed", () => {
  const by = authorization({
    rules: [
      { subjects: ["*"], channels: ["news:**"], actions: ["subscribe"] },
      { subjects: ["ann", "bob"], channels: ["news:*"], actions: ["publish"] },
      { subjects: ["root"], channels: ["**"], actions: ["admin"] },
    ],
  });
  assertEquals(allowed(by, ann, "news:x"), ["subscribe", "publish"]);
  assertEquals(allowed(by, ann, "news:x:y"), ["subscribe"]);
  assertEquals(allowed(by, { subject: "eve" }, "news:x"), ["subscribe"]);
  assertEquals(allowed(by, { subject: "root" }, "other"), ["admin"]);
  // Nobody becomes everybody by the name.
  assertEquals(allowed(by, { subject: "*" }, "news:x"), ["subscribe"]);
});

Deno.test("grants of a token and rules add up", () => {
  const by = authorization({
    rules: [{ subjects: ["*"], channels: ["a"], actions: ["subscribe"] }],
  });
  const grants = [{ channels: ["u:{subject}"], actions: ["publish"] }] as const;
  const who: Identity = { subject: "ann", grants };
  assertEquals([allowed(by, who, "a"), allowed(by, who, "u:ann")], [["subscribe"], ["publish"]]);
  assertEquals(allowed(by, { ...who, subject: "bob" }, "u:ann"), []);
});

Deno.test("the program decides first; 'undefined' leaves it to the rules", async () => {
  const said: { [subject: string]: boolean | undefined } = { ann: true, bob: false };
  const rules = [{ subjects: ["*"], channels: ["a"], actions: ["subscribe"] }] as const;
  for (const late of [false, true]) {
    const by = authorization({
      rules,
      authorize: ({ subject }) => late ? Promise.resolve(said[subject]) : said[subject],
    });
    const asked = ["ann", "bob", "eve"].map((subject) => by.allows({ subject }, "subscribe", "a"));
    assertEquals(await Promise.all(asked), [true, false, true]);
    assertEquals(await by.allows({ subject: "eve" }, "publish", "a"), false);
    assertEquals(await by.allows({ subject: "bob" }, "admin", null), false);
  }
});

Deno.test("a program that throws, rejects, or says something else lets nobody in", async () => {
  const says = (said: unknown) => () => said as boolean;
  const rejected = [
    () => Promise.reject(new Error("no database")),
    says(Promise.resolve("yes")),
    says("yes"),
    says(1),
    says(null),
    says({}),
  ];
  for (const authorize of rejected) {
    const by = authorization({ authorize });
    // deno-lint-ignore require-await
    const asking = async () => by.allows(ann, "subscribe", "a");
    const error = await assertRejects(asking, PushError);
    assertEquals(error.code, "unavailable");
  }
  const by = authorization({
    authorize: () => {
      throw new Error("no database");
    },
  });
  const error = assertThrows(() => by.allows(ann, "subscribe", "a"), PushError);
  assertEquals(error.code, "unavailable");
});

Deno.test("a program that does not answer lets nobody in, after ten seconds", async () => {
  const clock = new ManualClock();
  const by = authorization({ clock, authorize: () => new Promise(() => {}) });
  const asked = assertRejects(async () => await by.allows(ann, "publish", "a"), PushError);
  await clock.advance(10_000);
  assertEquals((await asked).code, "unavailable");
  assertEquals(clock.pending, 0);
});

Deno.test("once it has stopped, whatever a program says late is to be asked again elsewhere", async () => {
  const failed = () => Promise.reject(new Error("Its database has gone."));
  const vague = () => Promise.resolve("yes") as unknown as Promise<boolean>;
  for (const authorize of [failed, vague, () => new Promise<boolean>(() => {})]) {
    for (const stopsFirst of [true, false]) {
      const by = authorization({ authorize });
      if (stopsFirst) by.stop();
      const asked = assertRejects(async () => await by.allows(ann, "publish", "a"), PushError);
      by.stop();
      assertEquals((await asked).code, "going_away");
      assertEquals(clock.pending, 0);
    }
  }
});

Deno.test("a client's decisions are made once, until its rights may have changed", async () => {
  for (const late of [false, true]) {
    let asked = 0;
    let answer = true;
    const by = authorization({
      authorize: () => {
        asked++;
        return late ? Promise.resolve(answer) : answer;
      },
    });
    const permits = new Permits(by, ann);
    const both = [permits.may("publish", "a"), permits.may("publish", "a")];
    assertEquals([await both[0], await both[1], asked], [true, true, 1]);
    assertEquals(permits.may("publish", "a"), true);
    assertEquals(await permits.may("subscribe", "a"), true);
    assertEquals(asked, 2);
    answer = false;
    assertEquals(permits.may("publish", "a"), true);
    permits.forget();
    assertEquals([await permits.may("publish", "a"), permits.may("publish", "a")], [false, false]);
    answer = true;
    permits.identity = { subject: "ann" };
    assertEquals(await permits.may("publish", "a"), true);
    assertEquals(asked, 4);
  }
});

Deno.test("what was asked before the rights changed does not count afterwards", async () => {
  const answers: ((said: boolean) => void)[] = [];
  const by = authorization({ authorize: () => new Promise((resolve) => answers.push(resolve)) });
  const permits = new Permits(by, ann);
  const before = permits.may("subscribe", "a");
  permits.forget();
  answers[0](true);
  while (answers.length < 2) await Promise.resolve();
  answers[1](false);
  assertEquals(await before, false);
  assertEquals(permits.may("subscribe", "a"), false);
  assertEquals(clock.pending, 0);
});

Deno.test("decisions of very many channels are not all kept, and stay right", () => {
  const rules = [{ subjects: ["*"], channels: ["a:*"], actions: ["publish"] }] as const;
  const permits = new Permits(authorization({ rules }), ann);
  for (let i = 0; i < 5_000; i++) {
    assertEquals(permits.may("publish", `a:${i}`), true);
    assertEquals(permits.may("publish", `b:${i}`), false);
  }
  assertEquals([permits.may("publish", "a:0"), permits.may("publish", "b:0")], [true, false]);
});
