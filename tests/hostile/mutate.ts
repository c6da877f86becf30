import fc from "fast-check";

/** A value that no frame expects where it is put. */
const STRANGE: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1.5,
    1e400,
    -0,
    2 ** 53,
    Number.MIN_VALUE,
    "",
    " ",
    "a b",
    "\u0000",
    "\ud800",
    "é",
    "../..",
    "__proto__",
    "constructor",
    "toString",
    "x".repeat(10_000),
    "9".repeat(400),
    [],
    {},
    [[]],
    [null],
    [1, 2],
    [3, 1],
    { toString: 1, valueOf: null, length: -1 },
    { __proto__: null, then: 1 },
    JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** One change to a JSON text. */
type Mutation = (text: string) => string;

/** Changes one member somewhere in an object or list. */
function inTree(
  change: (parent: Record<string, unknown>, key: string) => void,
  at: number,
): Mutation {
  return (text) => {
    const places: [Record<string, unknown>, string][] = [];
    const visit = (value: unknown) => {
      if (typeof value !== "object" || value === null) return;
      for (const key of Object.keys(value)) {
        places.push([value as Record<string, unknown>, key]);
        visit((value as Record<string, unknown>)[key]);
      }
    };
    let root: unknown;
    try {
      root = JSON.parse(text);
    } catch {
      return text;
    }
    visit(root);
    if (places.length > 0) change(...places[at % places.length]);
    return JSON.stringify(root);
  };
}

const at = fc.nat(1000);

/** Changes of what a text means, and of how it is written. */
const MUTATION: fc.Arbitrary<Mutation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(at, STRANGE).map(([i, value]) =>
      inTree((parent, key) => parent[key] = value, i)
    ),
  },
  { weight: 3, arbitrary: at.map((i) => inTree((parent, key) => delete parent[key], i)) },
  {
    weight: 2,
    arbitrary: fc.tuple(at, STRANGE).map(([i, value]) =>
      inTree((parent, key) => parent[`${key} `] = value, i)
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom("__proto__", "constructor", "type", "channel"), STRANGE)
      .map(([key, value]): Mutation => (text) =>
        // As text, since an object takes a key once, and some keys not at all.
        text.replace(/\}$/, `,"${key}":${JSON.stringify(value) ?? "null"}}`)
      ),
  },
  { weight: 1, arbitrary: at.map((i): Mutation => (text) => text.slice(0, i % (text.length + 1))) },
  {
    weight: 2,
    arbitrary: fc.tuple(at, fc.string({ unit: "binary", maxLength: 3 })).map(
      ([i, insert]): Mutation => (text) => {
        const place = i % (text.length + 1);
        return text.slice(0, place) + insert + text.slice(place);
      },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("[", "{", '{"a":').map((open): Mutation => (text) =>
      open.repeat(10_000) + text
    ),
  },
  { weight: 1, arbitrary: STRANGE.map((value): Mutation => () => JSON.stringify(value) ?? "") },
);

/** The text of one of these values after one to three mutations. */
export function mutated(values: readonly object[]): fc.Arbitrary<string> {
  return fc.tuple(
    fc.constantFrom(...values),
    fc.array(MUTATION, { minLength: 1, maxLength: 3 }),
  ).map(([value, mutations]) =>
    mutations.reduce((text, mutate) => mutate(text), JSON.stringify(value)).toWellFormed()
  );
}
