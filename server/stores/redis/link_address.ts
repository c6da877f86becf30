/**
 * Where Redis is, by the settings, in the words of `ioredis`.
 *
 * @module
 */
import type { RedisOptions } from "ioredis";
import type { RedisSettings } from "../../options/settings.ts";

/** A host and a port. */
export interface Endpoint {
  /** Name or address. */
  readonly host: string;
  /** Port. */
  readonly port: number;
}

/** Where Redis is, and how to get in. */
export interface Address {
  /** Nodes of a Cluster to ask first; none if it is no Cluster. */
  readonly cluster: readonly Endpoint[];
  /** Sentinels to ask for the primary; none if there are none. */
  readonly sentinels: readonly Endpoint[];
  /** The server, where there are neither. */
  readonly server: Endpoint;
  /** What connections to Redis itself have in common. */
  readonly options: RedisOptions;
  /** What connections to Sentinels have in common. */
  readonly sentinel: RedisOptions;
  /** What the Sentinels call the primary. */
  readonly sentinelName: string;
  /** What errors call it. Has no password. */
  readonly peer: string;
}

const SENTINEL_PORT = 26_379;
const REDIS_PORT = 6379;

/** Works out where Redis is. `url` wins over `host`, `port`, `db`, `username` and `password`. */
export function addressOf(settings: RedisSettings): Address {
  const url = settings.url === undefined ? undefined : new URL(settings.url);
  const server = url === undefined ? { host: settings.host, port: settings.port } : {
    host: bare(decodeURIComponent(url.hostname)),
    port: url.port === "" ? REDIS_PORT : Number(url.port),
  };
  const db = url === undefined ? settings.db : Number(url.pathname.slice(1)) || 0;
  const cluster = endpoints(settings.cluster, REDIS_PORT);
  const sentinels = endpoints(settings.sentinels, SENTINEL_PORT);
  const { sentinelName, sentinelPassword } = settings;
  const tls = url?.protocol === "rediss:" ? {} : undefined;
  const options: RedisOptions = {
    ...(cluster.length > 0 ? {} : { db }),
    username: part(url?.username) ?? settings.username,
    password: part(url?.password) ?? settings.password,
    ...(tls === undefined ? {} : { tls }),
  };
  return {
    cluster,
    sentinels,
    server,
    options,
    sentinel: { password: sentinelPassword, ...(tls === undefined ? {} : { tls }) },
    sentinelName,
    peer: peerOf(server, cluster, sentinels, settings),
  };
}

/** A host and a port as one text: what names a node. */
export function textOf({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Reads addresses separated by commas: `a:6379,[::1]:6380,b`.
 *
 * @param port where an address has none
 */
export function endpoints(text: string | undefined, port: number): Endpoint[] {
  const found = (text ?? "").split(",").map((entry) => entry.trim()).filter((entry) =>
    entry !== ""
  );
  return found.map((entry) => {
    const [, host, , own] = /^(\[[^\]]*\]|[^:]*)(:(\d+))?$/.exec(entry) ?? [];
    return { host: bare(host ?? entry), port: own === undefined ? port : Number(own) };
  });
}

function peerOf(
  server: Endpoint,
  cluster: readonly Endpoint[],
  sentinels: readonly Endpoint[],
  { sentinelName }: RedisSettings,
): string {
  if (cluster.length > 0) return `Redis Cluster at ${cluster.map(textOf).join(", ")}`;
  if (sentinels.length === 0) return `Redis at ${textOf(server)}`;
  return `Redis '${sentinelName}' of the Sentinels at ${sentinels.map(textOf).join(", ")}`;
}

function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

function part(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : decodeURIComponent(text);
}
