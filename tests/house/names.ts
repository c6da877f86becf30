/**
 * Finds the globals that a source text names, by its syntax tree: a comment, a string or a member
 * of the same name is none.
 *
 * @module
 */

/** Real time and real chance: `new Date()` and `Date()` read the clock, `new Date(0)` does not. */
export const TIME_AND_CHANCE: readonly string[] = [
  "setTimeout",
  "setInterval",
  "setImmediate",
  "Date()",
  "Date.now",
  "performance.now",
  "AbortSignal.timeout",
  "Math.random",
  "crypto.getRandomValues",
  "crypto.randomUUID",
];

/** What the core of the gateway never names, so that it runs in memory under a manual clock. */
export const OUTSIDE_WORLD: readonly string[] = [
  ...TIME_AND_CHANCE,
  "Date",
  "Deno",
  "WebSocket",
  "crypto",
  "fetch",
  "performance",
  "process",
];

/** Where `source` names one of `wanted` (`Deno`, `Deno.test`): `"12: Deno.test"`, by line. */
export function namesIn(source: string, wanted: readonly string[]): string[] {
  const found = new Set<string>();
  const plugin: Deno.lint.Plugin = {
    name: "house",
    rules: {
      names: {
        create: () => ({
          Identifier(node) {
            for (const name of pathsFrom(node)) {
              if (wanted.includes(name)) found.add(`${line(source, node)}: ${name}`);
            }
          },
        }),
      },
    },
  };
  Deno.lint.runPlugin(plugin, "source.ts", source);
  return [...found];
}

/** `Date`, `Date.now` for the first word of `Date.now()`; nothing where the word is only a key. */
function pathsFrom(node: Deno.lint.Identifier): string[] {
  let start: Deno.lint.Expression = node;
  const above = node.parent;
  if (above.type === "MemberExpression" && is(above.property, node) && !above.computed) {
    if (!isGlobalObject(above.object)) return [];
    start = above;
  } else if (isKey(above, node)) {
    return [];
  }
  const paths = [node.name, ...membersOf(node.name, start)];
  const around = start.parent;
  const called = around.type === "CallExpression" && is(around.callee, start);
  const made = around.type === "NewExpression" && is(around.callee, start);
  if (called || (made && around.arguments.length === 0)) paths.push(`${node.name}()`);
  return paths;
}

/** `Deno.test`, `Deno.test.only` where `object` is the `Deno` of `Deno.test.only`. */
function membersOf(path: string, object: Deno.lint.Expression): string[] {
  const member = object.parent;
  if (member.type !== "MemberExpression" || !is(member.object, object)) return [];
  const name = memberName(member);
  if (name === undefined) return [];
  return [`${path}.${name}`, ...membersOf(`${path}.${name}`, member)];
}

function memberName(member: Deno.lint.MemberExpression): string | undefined {
  const { property, computed } = member;
  if (!computed && property.type === "Identifier") return property.name;
  if (property.type === "Literal" && typeof property.value === "string") return property.value;
}

function isGlobalObject(node: Deno.lint.Node): boolean {
  return node.type === "Identifier" && ["globalThis", "self", "window"].includes(node.name);
}

function isKey(parent: Deno.lint.Node, node: Deno.lint.Node): boolean {
  switch (parent.type) {
    case "Property":
      return is(parent.key, node) && !parent.shorthand && !parent.computed;
    case "PropertyDefinition":
    case "MethodDefinition":
    case "TSPropertySignature":
    case "TSMethodSignature":
      return is(parent.key, node) && !parent.computed;
    case "TSQualifiedName":
      return is(parent.right, node);
    default:
      return false;
  }
}

function is(a: Deno.lint.Node, b: Deno.lint.Node): boolean {
  return a.range[0] === b.range[0] && a.range[1] === b.range[1];
}

function line(source: string, node: Deno.lint.Node): number {
  return source.slice(0, node.range[0]).split("\n").length;
}
