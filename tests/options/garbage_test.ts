import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { readConfig } from "../../server/command/config.ts";
import { readCommandLine } from "../../server/command/flags.ts";
import { OPTIONS } from "../../server/options/table.ts";
import { nestOptions } from "../../server/options/tree.ts";
import { parseValue } from "../../server/options/values.ts";
import { type GatewayOptions, resolveOptions } from "../../server/options/options.ts";

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withObjectString: true,
  withSparseArray: true,
  withTypedArray: true,
});
const paths = OPTIONS.map(({ path }) => path);
const names = [...new Set(paths.flatMap((path) => path.split(".")))].concat(
  "__proto__",
  "toString",
);
const almostValues = fc.oneof(
  anything,
  fc.double(),
  fc.integer(),
  fc.string(),
  fc.boolean(),
  fc.constantFrom("", "0", "true", "memory", "/", "::1", "redis://h", null, undefined, -0),
);
/** Objects with real names in wrong places and wrong values behind them. */
const almostOptions = fc.letrec((tie) => ({
  object: fc.dictionary(
    fc.constantFrom(...names),
    fc.oneof({ depthSize: "small" }, almostValues, tie("object")),
    { maxKeys: 6, noNullPrototype: false },
  ),
})).object;
/** Real paths, any values. */
const wrongValues = fc.dictionary(fc.constantFrom(...paths), almostValues, { maxKeys: 4 })
  .map((values) => nestOptions(new Map(Object.entries(values))));

/** Runs something that may only refuse in one sentence. */
function refusesOnly(task: () => unknown): void {
  try {
    task();
  } catch (error) {
    assert(error instanceof TypeError || error instanceof RangeError, String(error));
    assert(error.message.startsWith("Cannot use "), error.stack);
    assert(!error.message.includes("\n"), error.message);
  }
}

function prototypes(): unknown[] {
  return [Object.prototype, Array.prototype, Function.prototype, Map.prototype, String.prototype]
    .map((prototype) => Reflect.ownKeys(prototype));
}

const before = prototypes();
Deno.test.afterEach(() => assertEquals(prototypes(), before));

Deno.test("resolveOptions() survives garbage, with a TypeError or a RangeError", () => {
  fc.assert(
    fc.property(fc.oneof(anything, almostOptions, wrongValues), (options) => {
      refusesOnly(() => resolveOptions(options as GatewayOptions));
      refusesOnly(() => resolveOptions({}, options as GatewayOptions));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("resolveOptions() makes of any right options settings that are right again", () => {
  const values = OPTIONS.filter(({ range, type }) => range !== undefined && type !== "path")
    .filter((option) => typeof option.default === "number")
    .map((option) => {
      const [min, max] = option.range!;
      const whole = option.type === "integer" || option.type === "bytes";
      const value = whole
        ? fc.integer({ min, max: Math.min(max, 2 ** 31 - 1) })
        : fc.double({ min, max, noNaN: true });
      return [option.path, value] as const;
    });
  const options = fc.record(Object.fromEntries(values), { requiredKeys: [] })
    .map((record) => nestOptions(new Map(Object.entries(record))) as GatewayOptions);
  fc.assert(fc.property(options, (options) => refusesOnly(() => resolveOptions(options))));
});

Deno.test("the command survives garbage in values, flags and configuration files", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.json(),
    fc.double().map(String),
  );
  const flags = fc.constantFrom(
    ...OPTIONS.map(({ flag }) => `--${flag}`),
    ...["--config", "--no-push", "--", "-", "--__proto__", "-x", "--print-config"],
  );
  const args = fc.array(
    fc.oneof(flags, texts, fc.tuple(flags, texts).map((both) => both.join("="))),
  );
  fc.assert(
    fc.property(texts, args, (text, args) => {
      for (const option of OPTIONS) refusesOnly(() => parseValue(option, text, `--${option.flag}`));
      refusesOnly(() => readCommandLine(args));
      refusesOnly(() => readConfig("push.json", text));
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(almostOptions, (options) => {
      const text = JSON.stringify(options, (_, value) => typeof value === "bigint" ? 1 : value);
      refusesOnly(() => readConfig("push.json", text ?? ""));
    }),
    { numRuns: 1000 },
  );
});
