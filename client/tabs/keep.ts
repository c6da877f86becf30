import type { Keep } from "../environment.ts";
import { isRecord } from "../check.ts";
import { randomId, systemRandom } from "../clock.ts";
import { isClientId } from "../protocol/channel_name.ts";

/**
 * What a tab keeps over a reload is its own, although all tabs of a group have one name: in what it
 * keeps, a random name of the tab stands in the place of the group's. So the lock of that name tells
 * a reloaded tab from a duplicated one.
 */
export function keepOf(keep: Keep): Keep {
  const own = randomId(systemRandom);
  let former: string | undefined;
  return {
    read(key) {
      const text = keep.read(key);
      former = nameIn(text);
      return text;
    },
    write: (key, text) => keep.write(key, text === null ? null : named(text, own)),
    lock: (name) => keep.lock(name === `push:${former}` ? name : `push:${own}`),
  };
}

function nameIn(text: string | null): string | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return isRecord(value) && isClientId(value.clientId) ? value.clientId : undefined;
  } catch {
    return undefined;
  }
}

function named(text: string, clientId: string): string {
  return JSON.stringify({ ...JSON.parse(text), clientId, secret: undefined });
}
