/**
 * What holds between options, and how checked options become settings.
 *
 * @module
 */
import type { OptionValue } from "./option.ts";
import { OPTIONS } from "./table.ts";
import { type NameSubject, nestOptions, type OptionValues, REDIS, subjectOf } from "./tree.ts";
import { cannotUse } from "./wording.ts";
import { checkJwt, checkTokens } from "./auth.ts";
import { databaseIn } from "./formats.ts";
import type { Settings } from "./settings.ts";

const BACKEND = "push.delivery.storeBackend";
const MESSAGE_BYTES = "push.limits.maxMessageBytes";

/** Pairs of options of which the first must not be below the second. */
const AT_LEAST: readonly [larger: string, smaller: string][] = [
  // Else the largest message allowed could not arrive, be stored, or be sent.
  ["push.limits.maxFrameBytes", MESSAGE_BYTES],
  ["push.limits.maxBufferedBytes", MESSAGE_BYTES],
  ["push.limits.maxTotalBufferedBytes", MESSAGE_BYTES],
  ["push.delivery.windowBytes", MESSAGE_BYTES],
  ["push.delivery.maxChannelBytes", MESSAGE_BYTES],
  ["push.delivery.maxStoreBytes", MESSAGE_BYTES],
  ["push.delivery.maxChannelBytes", "push.delivery.historyBytes"],
];

/**
 * Options by path with their defaults. Where Redis is not used, `push.redis` is `undefined` and
 * nothing of it is there.
 */
export function withDefaults(given: OptionValues): Map<string, OptionValue | undefined> {
  const redis = hasRedis(given);
  const values = new Map<string, OptionValue | undefined>();
  for (const { path, default: fallback } of OPTIONS) {
    if (!path.startsWith(`${REDIS}.`)) values.set(path, given.get(path) ?? fallback);
    else if (redis) values.set(path, given.get(path) ?? fallback);
    else values.set(REDIS, undefined);
  }
  return values;
}

/**
 * Checks what holds between options.
 *
 * @param given the options that were given, each checked by itself
 * @param subject how an error names an option
 * @throws {RangeError} if two options contradict each other
 */
export function checkTogether(given: OptionValues, subject: NameSubject = subjectOf): void {
  const values = withDefaults(given);
  const name = (path: string): string => subject(path, path.split("."));

  /** Blames the option that was given, and the first if both were. */
  function refuse(first: string, second: string, more: string, less: string): never {
    const swap = !given.has(first) && given.has(second);
    const [blamed, other] = swap ? [second, first] : [first, second];
    const wanted = `${swap ? less : more} ${name(other)} (${values.get(other)})`;
    throw new RangeError(cannotUse(name(blamed), wanted, String(values.get(blamed))));
  }

  const [interval, timeout] = ["push.presence.heartbeatInterval", "push.presence.offlineTimeout"];
  if (Number(values.get(timeout)) <= Number(values.get(interval))) {
    refuse(timeout, interval, "more than", "less than");
  }
  for (const [larger, smaller] of AT_LEAST) {
    if (Number(values.get(larger)) < Number(values.get(smaller))) {
      refuse(larger, smaller, "at least", "at most");
    }
  }
  if (values.get(BACKEND) === "kv" && hasRedis(given)) {
    const wanted = `"redis" or "memory", as Redis is configured (push.redis, --redis-url)`;
    throw new TypeError(cannotUse(name(BACKEND), wanted, `"kv"`));
  }
  checkTokens(values, name);
  checkJwt(given, name);
  const [sentinels, cluster, db, url] = ["sentinels", "cluster", "db", "url"]
    .map((it) => `${REDIS}.${it}`);
  if (given.has(cluster) && given.has(sentinels)) {
    throw new TypeError(
      `Cannot use ${name(cluster)} and ${name(sentinels)}: they exclude each other`,
    );
  }
  if (given.has(cluster) && Number(values.get(db)) > 0) {
    throw new RangeError(
      cannotUse(name(db), "0, as a Cluster has no other", String(values.get(db))),
    );
  }
  const address = URL.parse(String(values.get(url)));
  if (given.has(cluster) && address !== null && databaseIn(address) !== 0) {
    const wanted = "one of database 0, as a Cluster has no other";
    throw new RangeError(cannotUse(name(url), wanted, `one of ${databaseIn(address)}`));
  }
}

/** The settings that options amount to, durations in milliseconds. Nothing can change them. */
export function settingsOf(given: OptionValues): Settings {
  const values = withDefaults(given);
  for (const { path, type } of OPTIONS) {
    if (type === "seconds" && values.has(path)) {
      values.set(path, Math.round(Number(values.get(path)) * 1000));
    }
  }
  // That the table spells out each member of Settings, and no other, is proved by a test.
  return freeze(nestOptions(values)) as unknown as Settings;
}

function hasRedis(given: OptionValues): boolean {
  return given.get(BACKEND) === "redis" ||
    given.keys().some((path) => path === REDIS || path.startsWith(`${REDIS}.`));
}

function freeze<T extends object>(object: T): Readonly<T> {
  for (const value of Object.values(object)) {
    if (typeof value === "object") freeze(value);
  }
  return Object.freeze(object);
}
