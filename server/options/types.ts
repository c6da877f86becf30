/**
 * The public options, as people write them. Each comment says what the table of options says; a
 * test compares them.
 *
 * @module
 */

import type { Rule } from "../access/grants.ts";
import type { Grant } from "../access/identity.ts";

/** Options of presence: who is there. */
export interface PresenceOptions {
  /**
   * Whether the gateway tracks who is there.
   * Default true.
   */
  enabled?: boolean;
  /**
   * Time between two heartbeats that clients are asked to keep.
   * Seconds, 0.05 to 3600; default 15.
   */
  heartbeatInterval?: number;
  /**
   * Time without a heartbeat after which a client counts as offline.
   * Seconds, 0.05 to 86400; default 45.
   */
  offlineTimeout?: number;
  /**
   * Whether subscribers of a channel hear who comes, changes and goes.
   * Default true.
   */
  broadcastChanges?: boolean;
  /**
   * Size of a channel above which clients of the fixed wire get no presence events.
   * Members, 0 to 1000000; default 200.
   */
  broadcastLimit?: number;
  /**
   * Size of a channel above which nobody gets presence events; presence can still be asked for.
   * Members, 0 to 1000000; default 1000.
   */
  diffLimit?: number;
}

/** Options of delivery and of the store. */
export interface DeliveryOptions {
  /**
   * Whether messages are tracked until acknowledged; off, delivery is at most once.
   * Default true.
   */
  enabled?: boolean;
  /**
   * Time to wait for an acknowledgement before a message is sent again.
   * Seconds, 0.05 to 86400; default 30.
   */
  ackTimeout?: number;
  /**
   * Times that a message is sent again before it goes to the dead letters.
   * Retries, 0 to 100; default 3.
   */
  maxRetries?: number;
  /**
   * Factor by which the wait grows with each retry.
   * Factor, 1 to 10; default 2.
   */
  retryBackoff?: number;
  /**
   * Time that a message is kept for those who have not acknowledged it.
   * Seconds, 0.05 to 31536000; default 86400 (1 day).
   */
  messageTtl?: number;
  /**
   * Where messages and positions are kept. With `push.redis`, `memory` keeps messages in Redis, and positions in this gateway.
   * "memory", "kv", "redis"; default "memory".
   */
  storeBackend?: "memory" | "kv" | "redis";
  /**
   * File of the `kv` store, seen from the working directory.
   * Default "push.db".
   */
  kvPath?: string;
  /**
   * Most messages on their way to one subscriber, not yet acknowledged.
   * Messages, 1 to 65536; default 1024.
   */
  window?: number;
  /**
   * Most bytes on their way to one subscriber, not yet acknowledged.
   * Bytes, 1 KiB to 1 GiB; default 1048576 (1 MiB).
   */
  windowBytes?: number;
  /**
   * Messages that a channel keeps beyond those still awaited by a subscriber.
   * Messages, 0 to 1000000; default 1000.
   */
  historySize?: number;
  /**
   * Bytes that a channel keeps beyond those still awaited by a subscriber.
   * Bytes, 0 to 1 GiB; default 1048576 (1 MiB).
   */
  historyBytes?: number;
  /**
   * Hard end of one channel: beyond it the oldest messages go.
   * Bytes, 1 KiB to 1024 GiB; default 67108864 (64 MiB).
   */
  maxChannelBytes?: number;
  /**
   * Hard end of the whole store: beyond it the oldest messages go.
   * Bytes, 1 KiB to 1024 GiB; default 536870912 (512 MiB).
   */
  maxStoreBytes?: number;
  /**
   * Time that a client which did not name itself may be away and still resume.
   * Seconds, 0 to 86400; default 60.
   */
  sessionGrace?: number;
  /**
   * Time that a dead letter is kept.
   * Seconds, 0.05 to 31536000; default 604800 (7 days).
   */
  deadLetterTtl?: number;
  /**
   * Most dead letters of one subscription; beyond it the oldest go.
   * Messages, 0 to 1000000; default 1000.
   */
  maxDeadLetters?: number;
}

/** Options of server-sent events. */
export interface SseOptions {
  /**
   * Whether clients may listen by server-sent events.
   * Default true.
   */
  enabled?: boolean;
}

/** Options of long-polling. */
export interface PollingOptions {
  /**
   * Whether clients may fall back to long-polling.
   * Default true.
   */
  enabled?: boolean;
  /**
   * Time that a poll without news is held open.
   * Seconds, 0.05 to 600; default 30.
   */
  longPollTimeout?: number;
  /**
   * Most messages in the answer to one poll.
   * Messages, 1 to 10000; default 100.
   */
  maxBatchSize?: number;
}

/** Options of Redis. */
export interface RedisOptions {
  /**
   * Address of Redis; wins over `host`, `port`, `db`, `username` and `password`. `rediss://` is Redis over TLS.
   * No default.
   */
  url?: string;
  /**
   * Host of Redis.
   * Default "localhost".
   */
  host?: string;
  /**
   * Port of Redis.
   * 1 to 65535; default 6379.
   */
  port?: number;
  /**
   * Number of the database in Redis; a Cluster has 0 only.
   * 0 to 65535; default 0.
   */
  db?: number;
  /**
   * User of Redis; without it the one that Redis calls `default`.
   * No default.
   */
  username?: string;
  /**
   * Password of Redis.
   * No default.
   */
  password?: string;
  /**
   * Beginning of every key in Redis.
   * Default "praison:push:".
   */
  prefix?: string;
  /**
   * Most connections that one gateway opens to Redis: it takes two; in a Cluster two for each primary, and one more.
   * Connections, 2 to 1000; default 20.
   */
  maxConnections?: number;
  /**
   * Sentinels that know where Redis is, instead of `host` and `port`: `host:port,host:port`.
   * No default.
   */
  sentinels?: string;
  /**
   * What the Sentinels call this Redis.
   * Default "mymaster".
   */
  sentinelName?: string;
  /**
   * Password of the Sentinels.
   * No default.
   */
  sentinelPassword?: string;
  /**
   * Nodes of a Redis Cluster, some or all, instead of `host` and `port`: `host:port,host:port`.
   * No default.
   */
  cluster?: string;
  /**
   * Time to wait for an answer of Redis, and for a connection.
   * Seconds, 0.05 to 600; default 5.
   */
  commandTimeout?: number;
  /**
   * Time without a sign of life after which the others take this gateway for dead, and its clients for gone.
   * Seconds, 1 to 3600; default 15.
   */
  lease?: number;
}

/** Options of what one client, and all together, may do. */
export interface LimitOptions {
  /**
   * Largest frame or request body.
   * Bytes, 1 KiB to 32 MiB; default 1048576 (1 MiB).
   */
  maxFrameBytes?: number;
  /**
   * Largest payload of one message, as JSON.
   * Bytes, 16 B to 32 MiB; default 65536 (64 KiB).
   */
  maxMessageBytes?: number;
  /**
   * Deepest nesting of JSON in a frame or request body.
   * Levels, 2 to 1000; default 64.
   */
  maxNesting?: number;
  /**
   * Largest presence metadata of one client, as JSON.
   * Bytes, 2 B to 1 MiB; default 1024 (1 KiB).
   */
  maxMetadataBytes?: number;
  /**
   * Most channels that one client may be subscribed to.
   * Channels, 1 to 100000; default 128.
   */
  maxChannels?: number;
  /**
   * Most clients connected at a time.
   * Connections, 1 to 1000000; default 50000.
   */
  maxConnections?: number;
  /**
   * Most clients remembered; beyond it a new one takes the place of its own subject's that is longest away.
   * Sessions, 1 to 10000000; default 200000.
   */
  maxSessions?: number;
  /**
   * Most clients remembered of one subject; beyond it the one longest away of them is forgotten. Those who share one token, or have none, are one subject that `maxSessions` alone limits.
   * Sessions, 1 to 10000000; default 10000.
   */
  maxSessionsPerSubject?: number;
  /**
   * Bytes waiting for one client above which it is closed as a slow consumer.
   * Bytes, 1 KiB to 1 GiB; default 4194304 (4 MiB).
   */
  maxBufferedBytes?: number;
  /**
   * Bytes waiting in all connections together; beyond it those are closed that have waited longest with the most.
   * Bytes, 1 KiB to 1024 GiB; default 1073741824 (1 GiB).
   */
  maxTotalBufferedBytes?: number;
  /**
   * Time without a sign of life after which a connection is closed; 0 for never.
   * Seconds, 0 to 86400; default 60.
   */
  idleTimeout?: number;
  /**
   * Most clients connected from one address (of IPv6, one /64) at a time; 0 for any number. This machine's own addresses do not count.
   * Connections, 0 to 1000000; default 1000.
   */
  maxConnectionsPerAddress?: number;
  /**
   * Most connections that have not said who they are.
   * Connections, 1 to 1000000; default 1000.
   */
  maxHandshakes?: number;
  /**
   * Time in which a connection must say who it is.
   * Seconds, 0.05 to 600; default 10.
   */
  handshakeTimeout?: number;
  /**
   * Frames and requests that one connection may send; each 4 KiB more of one count as one more. 0 for any number.
   * Frames a second, 0 to 1000000; default 10000.
   */
  frameRate?: number;
  /**
   * Frames and requests that one connection may send at once.
   * Frames, 1 to 10000000; default 20000.
   */
  frameBurst?: number;
  /**
   * Messages that one client may publish; each 4 KiB more of one count as one more, and a channel that has to be made as seven. 0 for any number.
   * Publishes a second, 0 to 1000000; default 5000.
   */
  publishRate?: number;
  /**
   * Messages that one client may publish at once.
   * Publishes, 1 to 10000000; default 10000.
   */
  publishBurst?: number;
  /**
   * Polls that one client may begin, and event streams that it may open; 0 for any number.
   * Polls a second, 0 to 100000; default 100.
   */
  pollRate?: number;
  /**
   * Polls that one client may begin at once.
   * Polls, 1 to 1000000; default 200.
   */
  pollBurst?: number;
  /**
   * Longest name of a channel.
   * Characters, 1 to 255; default 255.
   */
  maxChannelName?: number;
  /**
   * Most channels that the store remembers; beyond it no further one is created.
   * Channels, 1 to 100000000; default 100000.
   */
  maxStoredChannels?: number;
  /**
   * How often one client may take a session that another one has; 0 for any number.
   * Times a minute, 0 to 100000; default 20.
   */
  maxTakeovers?: number;
  /**
   * Wrong tokens and the like from one address, and five times as many at once; beyond it nothing is looked at. 0 for any number.
   * Failures a second, 0 to 100000; default 20.
   */
  maxFailures?: number;
}

/** A token with a name. */
export interface NamedToken {
  /** Subject of whoever shows it: 1 to 255 printable characters, not `anonymous`. */
  readonly name: string;
  /** The token, printable ASCII without spaces; or `tokenHash` stands for it. */
  readonly token?: string;
  /** SHA-256 of the token, in hexadecimal. */
  readonly tokenHash?: string;
  /** What it allows; what the rules say if absent. */
  readonly allow?: readonly Grant[];
  /** When it ends: ISO 8601 with a zone (`2027-01-31T00:00:00Z`). */
  readonly expires?: string;
}

/** Options of JSON Web Tokens. One of `secret`, `keyFile`, `jwksUrl` and `jwksFile` switches them on. */
export interface JwtOptions {
  /**
   * Secret that JSON Web Tokens are signed with (HS256, HS384, HS512), as long as the hash at least.
   * No default.
   */
  secret?: string;
  /**
   * File of the public key that JSON Web Tokens are checked with: PEM or JWK.
   * No default.
   */
  keyFile?: string;
  /**
   * Address of the set of public keys (JWKS) that JSON Web Tokens are checked with.
   * No default.
   */
  jwksUrl?: string;
  /**
   * File of such a set, read again when a key is missing from it.
   * No default.
   */
  jwksFile?: string;
  /**
   * What the claim `iss` must be.
   * No default.
   */
  issuer?: string;
  /**
   * What the claim `aud` must be, or have among others.
   * No default.
   */
  audience?: string;
  /**
   * Signatures that are accepted; without it `HS256` for a secret, and `RS256`, `ES256` and `EdDSA` for public keys.
   * Algorithms; no default.
   */
  algorithms?: readonly string[];
  /**
   * By how much the clock of whoever issues tokens may differ.
   * Seconds, 0 to 60; default 5.
   */
  clockTolerance?: number;
  /**
   * Claim that names the subject.
   * Default "sub".
   */
  subjectClaim?: string;
  /**
   * Claim that says what the token allows.
   * Default "push".
   */
  grantsClaim?: string;
}

/** Options of who may connect. */
export interface AuthOptions {
  /**
   * Tokens with a name each, beside `authToken`: `name` is the subject of whoever shows `token`, whose SHA-256 in hexadecimal may stand there as `tokenHash` instead; `allow` is what it may do, and `expires` when it ends.
   * Tokens; no default.
   */
  tokens?: readonly NamedToken[];
  /**
   * Who may do what in which channels: each rule has `subjects` (names, or `*`), `channels` (patterns) and `actions` (`subscribe`, `publish`, `presence`, `history`, `admin`). With one, what none allows is denied.
   * Rules; no default.
   */
  rules?: readonly Rule[];
  /**
   * Whether `?token=` in an address counts; addresses are logged by others.
   * Default true.
   */
  queryToken?: boolean;
  /**
   * Time in which a ticket can be used.
   * Seconds, 1 to 600; default 30.
   */
  ticketTtl?: number;
  /** JSON Web Tokens. */
  jwt?: JwtOptions;
}

/** Options of everything that pushes. */
export interface PushOptions {
  /**
   * Whether anything is pushed; off, no push route answers and no store is opened.
   * Default false.
   */
  enabled?: boolean;
  /**
   * Least time between two rounds in which messages leave: the first leaves at once, and what comes within that time leaves together. Costs latency, and saves much of the processor where many small messages go to many.
   * Seconds, 0 to 0.02; default 0.
   */
  flushInterval?: number;
  /**
   * Pages that may use the gateway beside those of its own host, and those of this machine where it listens on this machine only; `"*"` is any page.
   * Origins; no default.
   */
  allowedOrigins?: readonly string[];
  /** Who may connect. */
  auth?: AuthOptions;
  /** Presence. */
  presence?: PresenceOptions;
  /** Delivery and the store. */
  delivery?: DeliveryOptions;
  /** Server-sent events. */
  sse?: SseOptions;
  /** Long-polling. */
  polling?: PollingOptions;
  /** Redis, for several gateways that act as one; not used unless given, or the store is `redis`. */
  redis?: RedisOptions;
  /** Limits. */
  limits?: LimitOptions;
}

/** Options of TLS: both or none. */
export interface TlsOptions {
  /**
   * File of the certificate, with those that lead to its root, as PEM; read again when it is renewed. Goes with `tls.key`.
   * No default.
   */
  cert?: string;
  /**
   * File of the certificate's private key, as PEM.
   * No default.
   */
  key?: string;
}

/** Options of the log. */
export interface LogOptions {
  /**
   * Least level of what is logged to the standard error.
   * "error", "warn", "info", "debug", "off"; default "warn".
   */
  level?: "error" | "warn" | "info" | "debug" | "off";
  /**
   * How a line of the log is written; without it as text on a terminal, and as JSON elsewhere.
   * "text", "json"; no default.
   */
  format?: "text" | "json";
}

/** Options of a gateway. All may be left out; durations are in seconds. */
export interface GatewayOptions {
  /**
   * Address to listen on; another one than this machine's own needs `authToken`.
   * Default "127.0.0.1".
   */
  host?: string;
  /**
   * Port to listen on; 0 picks a free one.
   * 0 to 65535; default 8765.
   */
  port?: number;
  /**
   * Whether other gateways on this machine may listen on the same port, so that each takes a share of the connections: one a core, over one Redis. With `websocket: "deno"` that takes `deno run --unstable-net`.
   * Default false.
   */
  reusePort?: boolean;
  /**
   * Path of the WebSocket.
   * Default "/ws".
   */
  path?: string;
  /**
   * What speaks HTTP and WebSocket: `deno` is built in, `ws` is `npm:ws` on `node:http`, with limits that the built-in one lacks.
   * "deno", "ws"; default "deno".
   */
  websocket?: "deno" | "ws";
  /** TLS; without it others can read what travels. */
  tls?: TlsOptions;
  /**
   * Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; `loopback` is any on this machine.
   * Networks; no default.
   */
  trustProxy?: readonly string[];
  /**
   * Token that every client must show: printable ASCII without spaces.
   * No default.
   */
  authToken?: string;
  /**
   * Hosts that requests may be for, beside `host` and this machine's own names. Without it only these where the gateway listens on this machine only and asks for no token, and any elsewhere; `"*"` is any.
   * Hosts; no default.
   */
  allowedHosts?: readonly string[];
  /** What is logged, and how. */
  log?: LogOptions;
  /** Everything that pushes. */
  push?: PushOptions;
}
