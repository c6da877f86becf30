/**
 * What is looked at once, before a store works on a Redis.
 *
 * @module
 */
import { PushError } from "@push/client/protocol";
import type { RedisLink } from "./link.ts";

/** Oldest version that has what the scripts need: their flags, sharded topics. */
const OLDEST = 7;

/**
 * Refuses a Redis that would lose what it was given, or cannot do what is needed.
 *
 * @returns what somebody should look at, sentences without an end
 * @throws {TypeError} with one sentence that says what to do
 * @throws {PushError} as the link
 */
export async function checkServers(link: RedisLink): Promise<string[]> {
  let infos: unknown[];
  try {
    infos = await link.everywhere("info");
  } catch (error) {
    if (!isForbidden(error)) throw error;
    throw new TypeError(
      `Cannot use ${link.peer}: its scripts need INFO, which this user may not run`,
    );
  }
  const doubts = new Set(infos.map((info) => checkServer(String(info), link)));
  return [...doubts].filter((doubt) => doubt !== undefined);
}

/**
 * Looks at what a server says of itself. Valkey speaks the same protocol and reports a version of
 * Redis that passes; it could not be tried.
 *
 * @param info its answer to `INFO`
 * @returns what it does not say and somebody should look at, as a sentence without an end
 * @throws {TypeError} if it cannot be used
 */
export function checkServer(
  info: string,
  { peer, isCluster }: Pick<RedisLink, "peer" | "isCluster">,
): string | undefined {
  const cannot = `Cannot use ${peer}`;
  const version = memberOf(info, "redis_version");
  if (version !== undefined && Number.parseInt(version) < OLDEST) {
    throw new TypeError(`${cannot}: it is version ${version}, and ${OLDEST}.0 or later is needed`);
  }
  if (memberOf(info, "cluster_enabled") === "1" && !isCluster) {
    throw new TypeError(`${cannot}: it is a node of a Cluster. Name it in 'push.redis.cluster'`);
  }
  const policy = memberOf(info, "maxmemory_policy");
  if (policy === undefined) {
    return `${peer} does not tell its 'maxmemory-policy'. See to it that it is 'noeviction'`;
  }
  if (policy === "noeviction") return undefined;
  throw new TypeError(
    `${cannot}: its 'maxmemory-policy' is '${policy}', by which it drops messages that were ` +
      "accepted. Set it to 'noeviction'",
  );
}

function memberOf(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
}

function isForbidden(error: unknown): boolean {
  return error instanceof PushError && error.cause instanceof Error &&
    /^NOPERM/.test(error.cause.message);
}
