import { MAX_CHANNEL_NAME, MAX_CLIENT_ID } from "./limits.ts";

const CHANNEL = /^[A-Za-z0-9_:.\-]+$/;
const CLIENT_ID = /^[A-Za-z0-9_:.\-+@=/]+$/;

/**
 * Whether `name` can name a channel: 1 to 255 of `A-Z a-z 0-9 _ : . -`.
 *
 * The alphabet is small on purpose: no look-alikes, no control characters, nothing that a store's
 * key, a URL or a pattern would read as more than itself.
 */
export function isChannelName(name: unknown): name is string {
  return typeof name === "string" && name.length > 0 && name.length <= MAX_CHANNEL_NAME &&
    CHANNEL.test(name);
}

/** Whether `id` can name a client: 1 to 128 of `A-Z a-z 0-9 _ : . - + @ = /`. */
export function isClientId(id: unknown): id is string {
  return typeof id === "string" && id.length > 0 && id.length <= MAX_CLIENT_ID &&
    CLIENT_ID.test(id);
}
