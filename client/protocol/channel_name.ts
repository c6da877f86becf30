/** A channel name: 1 to 255 of `A-Z a-z 0-9 _ : . -`. */
export const CHANNEL_NAME: RegExp = /^[\w:.-]{1,255}$/;
/** A client id: 1 to 128 of `A-Z a-z 0-9 _ : . - + @ = /`. */
export const CLIENT_ID: RegExp = /^[\w:.+@=/-]{1,128}$/;

/**
 * Whether `name` can name a channel: 1 to 255 of `A-Z a-z 0-9 _ : . -`.
 *
 * The alphabet is small on purpose: no look-alikes, no control characters, nothing that a store's
 * key, a URL or a pattern would read as more than itself.
 */
export function isChannelName(name: unknown): name is string {
  return typeof name === "string" && CHANNEL_NAME.test(name);
}

/** Whether `id` can name a client: 1 to 128 of `A-Z a-z 0-9 _ : . - + @ = /`. */
export function isClientId(id: unknown): id is string {
  return typeof id === "string" && CLIENT_ID.test(id);
}
