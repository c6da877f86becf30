import type { RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";

/** Version of the format of all keys and values of the Redis store. */
export const FORMAT = "1";

/**
 * Sees to it that the data under the prefix is of this version's format; marks fresh data so.
 *
 * @throws {TypeError} if it is of another
 */
export async function checkFormat(
  link: Pick<RedisLink, "command">,
  keys: RedisKeys,
): Promise<void> {
  let found = await link.command("GET", keys.format);
  if (found === null) {
    await link.command("SET", keys.format, FORMAT, "NX");
    found = await link.command("GET", keys.format);
  }
  if (found === FORMAT) return;
  throw new TypeError(
    `Cannot open the Redis store as '${keys.format}' must be ${FORMAT}, the format of this version: ` +
      `current value is '${found}'. Use the version of Push that wrote it, or another prefix.`,
  );
}
