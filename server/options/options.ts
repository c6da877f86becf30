/**
 * Makes the settings of a gateway from its options: the only place where they are checked and where
 * seconds become milliseconds.
 *
 * @module
 */
import { checkTogether, settingsOf } from "./rules.ts";
import { readOptions } from "./tree.ts";
import type { GatewayOptions } from "./types.ts";
import { hostInUrl } from "./formats.ts";
import { show } from "./wording.ts";
import type { Settings } from "./settings.ts";

export type {
  AuthOptions,
  DeliveryOptions,
  GatewayOptions,
  JwtOptions,
  LimitOptions,
  LogOptions,
  NamedToken,
  PollingOptions,
  PresenceOptions,
  PushOptions,
  RedisOptions,
  SseOptions,
  TlsOptions,
} from "./types.ts";

/**
 * Checks options and fills in the defaults. `null` and `undefined` stand for the default.
 *
 * @param options what the application wants
 * @param base what holds where `options` says nothing; the defaults hold where neither does
 * @returns the settings, frozen
 * @throws {TypeError} if there is no option of a name, or a value has the wrong type
 * @throws {RangeError} if a value is out of range, or two values contradict each other
 *
 * @example
 * ```ts
 * import { resolveOptions } from "./options.ts";
 *
 * const settings = resolveOptions({ push: { delivery: { ackTimeout: 2.5 } } });
 * console.log(settings.push.delivery.ackTimeout); // 2500
 * ```
 */
export function resolveOptions(options: GatewayOptions = {}, base: GatewayOptions = {}): Settings {
  const given = new Map([...readOptions(base), ...readOptions(options)]);
  checkTogether(given);
  return settingsOf(given);
}

/**
 * Refuses to listen where other machines could connect unless a token is set.
 *
 * @param settings the settings to listen with
 * @param decides whether the embedding program decides who speaks
 * @throws {TypeError} if `host` is not this machine's own and nobody has to show a token
 */
export function checkExposure(settings: Settings, decides = false): void {
  if (asksForToken(settings, decides) || isLoopback(settings.host)) return;
  throw new TypeError(
    `Cannot listen on ${show(settings.host)} without a token, as anybody could connect: ` +
      "set 'authToken' (--token, PUSH_TOKEN), or 'host' to 127.0.0.1",
  );
}

/**
 * Refuses half of what TLS needs.
 *
 * @throws {TypeError} if `tls.cert` or `tls.key` is set without the other
 */
export function checkTls({ tls: { cert, key } }: Settings): void {
  if ((cert === undefined) === (key === undefined)) return;
  const [there, missing] = cert === undefined ? ["key", "cert"] : ["cert", "key"];
  throw new TypeError(
    `Cannot use option 'tls.${there}' without 'tls.${missing}' (--tls-${missing}, ` +
      `PUSH_TLS_${missing.toUpperCase()}): they go together`,
  );
}

/**
 * Refuses a port that is shared with gateways of which each has messages of its own.
 *
 * @throws {TypeError} if `reusePort` is set and Redis is not
 */
export function checkSharedPort({ reusePort, push: { enabled, redis } }: Settings): void {
  if (!reusePort || !enabled || redis !== undefined) return;
  throw new TypeError(
    "Cannot use option 'reusePort' (--reuse-port, PUSH_REUSE_PORT) without Redis (push.redis, " +
      "--redis-url): each gateway on the port would have messages of its own",
  );
}

/**
 * Whether anybody has to show a token.
 *
 * @param decides whether the embedding program decides who speaks
 */
export function asksForToken({ authToken, push: { auth } }: Settings, decides = false): boolean {
  const { tokens = [], jwt: { secret, keyFile, jwksUrl, jwksFile } } = auth;
  return decides || tokens.length > 0 ||
    [authToken, secret, keyFile, jwksUrl, jwksFile].some((each) => each !== undefined);
}

/** Whether only this machine can connect to an address. */
export function isLoopback(host: string): boolean {
  const inUrl = hostInUrl(host);
  if (inUrl === undefined) return false;
  return inUrl === "localhost" || inUrl === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(inUrl) ||
    /^\[::ffff:7f[0-9a-f]{2}:/.test(inUrl);
}
