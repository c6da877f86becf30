import { isRecord } from "../check.ts";
import { isChannelName } from "../protocol/channel_name.ts";
import { MAX_PUBLISH_ID } from "../protocol/limits.ts";

/** A publish, as a store keeps it: plain values that `JSON` and the structured clone can carry. */
export interface KeptPublish {
  /** Name of the outbox that it belongs to. */
  readonly name: string;
  /** Names it in the store. */
  readonly key: string;
  /** Names the client that made it. */
  readonly owner: string;
  /** Its place among those of its owner. */
  readonly order: number;
  /** Channel that it goes to. */
  readonly channel: string;
  /** Id that it is published with. */
  readonly id: string;
  /** JSON of the payload. */
  readonly data: string;
  /** Whether the publisher wants it too. */
  readonly echo: boolean;
  /** When it was made, in Unix milliseconds. */
  readonly at: number;
  /** When it was sent first, in Unix milliseconds; written before it is sent. */
  readonly sentAt?: number;
}

/** A place that keeps publishes. Methods may answer at once or with a promise; what they throw is told. */
export interface OutboxStore {
  /** Everything there is, in any order. What makes no sense is passed over. */
  load(): Iterable<unknown> | Promise<Iterable<unknown>>;
  /** Keeps one, in the place of what has the same key. */
  put(kept: KeptPublish): void | Promise<void>;
  /** Forgets one. */
  remove(key: string): void | Promise<void>;
}

/** Reads what a store gives. Any script of the page can write there, so nothing of it is believed. */
export function readKept(value: unknown): KeptPublish | undefined {
  if (!isRecord(value)) return undefined;
  const { name, key, owner, order, channel, id, data, echo, at, sentAt } = value;
  const fits = typeof name === "string" && typeof key === "string" && typeof owner === "string" &&
    owner.length <= 64 &&
    key === keyOf(owner, Number(order)) && Number.isSafeInteger(order) && isChannelName(channel) &&
    typeof id === "string" && id !== "" && id.length <= MAX_PUBLISH_ID && isJson(data) &&
    typeof echo === "boolean" && Number.isFinite(at) &&
    (sentAt === undefined || Number.isFinite(sentAt));
  return fits
    ? {
      name,
      key,
      owner,
      order: order as number,
      channel,
      id,
      data: data as string,
      echo,
      at: at as number,
      ...sentAt !== undefined && { sentAt: sentAt as number },
    }
    : undefined;
}

/** The key of a publish. */
export function keyOf(owner: string, order: number): string {
  return `${owner}:${order}`;
}

function isJson(data: unknown): boolean {
  if (typeof data !== "string") return false;
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}
