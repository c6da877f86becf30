import { OPTIONS } from "../options/table.ts";
import type { NamedToken } from "../options/types.ts";
import type { Settings } from "../options/settings.ts";

/** Every secret that a gateway was configured with: none of these may appear in a log. */
export function secretsOf(settings: Settings): string[] {
  const found: string[] = [];
  for (const { path, type } of OPTIONS) {
    if (type === "secret") found.push(...textsIn(valueAt(settings, path)));
    if (type === "tokens") found.push(...tokensIn(valueAt(settings, path)));
    if (type === "redis-url") found.push(...passwordsIn(valueAt(settings, path)));
  }
  // The longest first: one may be the beginning of another.
  return found.sort((one, other) => other.length - one.length);
}

function valueAt(settings: Settings, path: string): unknown {
  let value: unknown = settings;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.flatMap(textsIn) : [];
}

function tokensIn(value: unknown): string[] {
  const tokens = (value ?? []) as readonly NamedToken[];
  return tokens.flatMap(({ token, tokenHash }) => [token, tokenHash])
    .filter((text) => text !== undefined);
}

function passwordsIn(value: unknown): string[] {
  const password = typeof value === "string" ? URL.parse(value)?.password ?? "" : "";
  if (password === "") return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}
