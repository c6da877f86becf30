import { assert, assertEquals, assertNotMatch, assertThrows } from "@std/assert";
import type { Option } from "../../server/options/option.ts";
import { OPTION_BY_PATH, OPTIONS } from "../../server/options/table.ts";
import { nestOptions } from "../../server/options/tree.ts";
import { checkValue, parseValue } from "../../server/options/values.ts";
import { expected, masked, show } from "../../server/options/wording.ts";
import { type GatewayOptions, resolveOptions } from "../../server/options/options.ts";
import { another, beside, refused } from "./samples.ts";

function option(path: string): Option {
  return OPTION_BY_PATH.get(path)!;
}

function nested(option: Option, value: unknown): GatewayOptions {
  const values: [string, unknown][] = [...beside(option), [option.path, value]];
  return nestOptions(new Map(values)) as GatewayOptions;
}

function valueAt(object: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>(
    (at, name) => (at as Record<string, unknown> | undefined)?.[name],
    object,
  );
}

for (const option of OPTIONS) {
  Deno.test(`option '${option.path}' is taken, null and undefined stand for its default`, () => {
    const value = another(option);
    const wanted = option.type === "seconds" ? Number(value) * 1000 : value;
    assertEquals(valueAt(resolveOptions(nested(option, value)), option.path), wanted);
    if (beside(option).length > 0 && option.group === "listening") return;
    for (const none of [null, undefined]) {
      const settings = resolveOptions(nested(option, none));
      const others = nestOptions(new Map(beside(option))) as GatewayOptions;
      const plain = resolveOptions(option.group === "redis" ? { push: { redis: {} } } : others);
      assertEquals(settings, plain);
    }
  });

  Deno.test(`option '${option.path}' refuses other values, and says what it takes`, () => {
    for (const value of refused(option)) {
      const error = assertThrows(() => resolveOptions(nested(option, value)), Error);
      assert(error instanceof TypeError || error instanceof RangeError, String(error));
      const start = `Cannot use option '${option.path}': expected ${expected(option)}, found `;
      assertEquals(error.message.slice(0, start.length), start);
      assertEquals(error.message.includes("\n"), false);
    }
  });

  if (option.range !== undefined && typeof option.default === "number") {
    Deno.test(`option '${option.path}' takes both ends of its range`, () => {
      for (const end of option.range!) assertEquals(checkValue(option, end, "it"), end);
    });
  }
}

Deno.test("an error says what was expected and what was found", () => {
  assertThrows(
    () => resolveOptions({ push: { delivery: { ackTimeout: "soon" as unknown as number } } }),
    TypeError,
    "Cannot use option 'push.delivery.ackTimeout': " +
      'expected a number of seconds from 0.05 to 86400, found "soon"',
  );
  assertThrows(
    () => resolveOptions({ port: -1 }),
    RangeError,
    "Cannot use option 'port': expected an integer from 0 to 65535, found -1",
  );
});

Deno.test("no option comes out as a negative zero", () => {
  assert(Object.is(resolveOptions({ port: -0 }).port, 0));
  assert(Object.is(parseValue(option("port"), "-0", "it"), 0));
});

Deno.test("parseValue() reads what people write", () => {
  const good: [path: string, text: string, value: unknown][] = [
    ["port", "0", 0],
    ["port", "+80", 80],
    ["port", "-0", 0],
    ["port", "8e3", 8000],
    ["push.delivery.ackTimeout", ".5", 0.5],
    ["push.delivery.ackTimeout", "2.", 2],
    ["push.limits.maxFrameBytes", "2048", 2048],
    ["push.limits.maxFrameBytes", "64KiB", 65_536],
    ["push.limits.maxFrameBytes", "2 MiB", 2_097_152],
    ["push.delivery.maxStoreBytes", "1GiB", 1_073_741_824],
    ["push.delivery.enabled", "true", true],
    ["push.delivery.enabled", "YES", true],
    ["push.delivery.enabled", "1", true],
    ["push.delivery.enabled", "false", false],
    ["push.delivery.enabled", "No", false],
    ["push.delivery.enabled", "0", false],
    ["push.delivery.storeBackend", "kv", "kv"],
    ["host", "::1", "::1"],
  ];
  for (const [path, text, value] of good) {
    assertEquals([text, parseValue(option(path), text, "it")], [text, value]);
  }
});

Deno.test("parseValue() reads no number out of what is none", () => {
  const texts = [
    "",
    " ",
    " 1",
    "1 ",
    "0x10",
    "0b1",
    "1_000",
    "1,5",
    "Infinity",
    "NaN",
    "1e400",
    "-",
  ];
  for (const path of ["port", "push.delivery.ackTimeout", "push.limits.maxFrameBytes"]) {
    for (const text of [...texts, "10s", "1e", ".", "64kB", "1 TiB", "99999999GiB"]) {
      const error = assertThrows(() => parseValue(option(path), text, "it"), Error);
      assert(error instanceof TypeError || error instanceof RangeError, String(error));
      assert(error.message.endsWith(`found ${JSON.stringify(text)}`), error.message);
    }
  }
  for (const text of ["", "on", "off", "2", "y", "null"]) {
    assertThrows(() => parseValue(option("push.enabled"), text, "it"), TypeError, "expected true");
  }
});

Deno.test("an error shows no secret, whatever is wrong with it", () => {
  const attempts: [path: string, value: unknown][] = [
    ["authToken", "hunter2 with space"],
    ["push.redis.password", "hunter2\n"],
    ["push.redis.url", "http://:hunter2@localhost"],
    ["push.redis.url", "redis://:hunter2@localhost:99999"],
    ["push.redis.url", "redis:hunter2@localhost"],
    ["push.redis.url", "//:hunter2@localhost"],
    ["push.redis.url", "redis://localhost:1#hunter2@localhost/***"],
    ["push.redis.url", "http://localhost?password=hunter2"],
    ["push.redis.url", "http://hunter2@localhost"],
  ];
  for (const [path, value] of attempts) {
    const refusals = [
      assertThrows(() => resolveOptions(nested(option(path), value)), RangeError),
      assertThrows(() => parseValue(option(path), String(value), "--flag"), RangeError),
    ];
    for (const { message } of refusals) assertNotMatch(message, /hunter2/);
  }
});

Deno.test("masked() hides secrets and the password within an address, and nothing else", () => {
  const url = option("push.redis.url");
  assertEquals(masked(option("authToken"), "geheim"), "***");
  assertEquals(masked(option("push.redis.password"), "geheim"), "***");
  assertEquals(masked(url, "redis://u:geheim@host:1/2"), "redis://u:***@host:1/2");
  assertEquals(masked(url, "rediss://:geheim@host"), "rediss://:***@host");
  assertEquals(masked(url, "redis://geheim@host"), "redis://***@host");
  assertEquals(
    masked(url, "redis://host?db=1&password=a&password=b"),
    "redis://host?db=1&password=***",
  );
  assertEquals(masked(url, "redis://host/0"), "redis://host/0");
  assertEquals(masked(option("port"), 80), 80);
});

Deno.test("show() keeps what it shows short, on one line and without control characters", () => {
  assertEquals(show("a\nb\u001b[31m"), '"a\\nb\\u001b[31m"');
  assertEquals(show("\u009b\u202e\u2028"), '"\\u009b\\u202e\\u2028"');
  assertEquals(show("x".repeat(1000)), `"${"x".repeat(60)}…"`);
  assertEquals([NaN, -0, 1n, null, undefined, true].map(show), [
    "NaN",
    "-0",
    "a bigint",
    "null",
    "undefined",
    "true",
  ]);
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  assertEquals([[], {}, () => {}, Symbol("s"), revoked.proxy].map(show), [
    "an array",
    "an object",
    "a function",
    "a symbol",
    "an object",
  ]);
});
