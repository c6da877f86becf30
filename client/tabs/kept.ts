import { isRecord } from "../check.ts";
import { isClientId } from "../protocol/channel_name.ts";
import type { TabStorage } from "./platform.ts";

/** Who the group is at the gateway. */
export interface Kept {
  readonly clientId: string;
  readonly secret: string | undefined;
}

/** Reads who the group was. Any script of the origin can write there, so nothing of it is believed. */
export function readKept(storage: TabStorage | undefined, group: string): Kept | undefined {
  let value: unknown;
  try {
    value = JSON.parse(storage?.getItem(group) ?? "null");
  } catch {
    return undefined;
  }
  if (!isRecord(value) || !isClientId(value.clientId)) return undefined;
  const { clientId, secret } = value;
  const fits = typeof secret === "string" && secret !== "" && secret.length <= 128;
  return { clientId, secret: fits ? secret : undefined };
}

/** Keeps who the group is. */
export function writeKept(
  storage: TabStorage | undefined,
  group: string,
  kept: Kept | undefined,
): void {
  try {
    if (kept) storage?.setItem(group, JSON.stringify(kept));
    else storage?.removeItem(group);
  } catch {
    // A storage that is full costs a session of its own to the next leader.
  }
}
