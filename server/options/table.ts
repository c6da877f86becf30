/**
 * The one table of options: every default, range, flag and variable comes from here. The types of
 * `options.ts`, the help text and the README are compared with it by tests.
 *
 * @module
 */

import { complete, type Option, type Row } from "./option.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const DAY = 86_400;
const YEAR = 365 * DAY;

const ROWS: readonly Row[] = [
  {
    path: "host",
    type: "host",
    default: "127.0.0.1",
    description: "Address to listen on; another one than this machine's own needs `authToken`.",
  },
  {
    path: "port",
    type: "integer",
    default: 8765,
    range: [0, 65_535],
    description: "Port to listen on; 0 picks a free one.",
  },
  {
    path: "reusePort",
    type: "boolean",
    default: false,
    flag: "reuse-port",
    description: "Whether other gateways on this machine may listen on the same port, so that " +
      "each takes a share of the connections: one a core, over one Redis. With " +
      '`websocket: "deno"` that takes `deno run --unstable-net`.',
  },
  {
    path: "path",
    type: "path",
    default: "/ws",
    range: [1, 255],
    description: "Path of the WebSocket.",
  },
  {
    path: "websocket",
    type: "enum",
    default: "deno",
    values: ["deno", "ws"],
    description: "What speaks HTTP and WebSocket: `deno` is built in, `ws` is `npm:ws` on " +
      "`node:http`, with limits that the built-in one lacks.",
  },
  {
    path: "tls.cert",
    type: "string",
    range: [1, 4096],
    flag: "tls-cert",
    description: "File of the certificate, with those that lead to its root, as PEM; read again " +
      "when it is renewed. Goes with `tls.key`.",
  },
  {
    path: "tls.key",
    type: "string",
    range: [1, 4096],
    flag: "tls-key",
    description: "File of the certificate's private key, as PEM.",
  },
  {
    path: "trustProxy",
    type: "networks",
    description: "Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; " +
      "`loopback` is any on this machine.",
  },
  {
    path: "authToken",
    type: "secret",
    range: [1, 1024],
    flag: "token",
    description: "Token that every client must show: printable ASCII without spaces.",
  },
  {
    path: "allowedHosts",
    type: "hosts",
    flag: "allowed-host",
    description: "Hosts that requests may be for, beside `host` and this machine's own names. " +
      "Without it only these where the gateway listens on this machine only and asks for no token, " +
      'and any elsewhere; `"*"` is any.',
  },
  {
    path: "log.level",
    type: "enum",
    flag: "log-level",
    default: "warn",
    commandDefault: "info",
    values: ["error", "warn", "info", "debug", "off"],
    description: "Least level of what is logged to the standard error.",
  },
  {
    path: "log.format",
    type: "enum",
    flag: "log-format",
    values: ["text", "json"],
    description:
      "How a line of the log is written; without it as text on a terminal, and as JSON " +
      "elsewhere.",
  },
  {
    path: "push.enabled",
    type: "boolean",
    default: false,
    commandDefault: true,
    variable: "PUSH_ENABLED",
    description: "Whether anything is pushed; off, no push route answers and no store is opened.",
  },
  {
    path: "push.flushInterval",
    type: "seconds",
    default: 0,
    range: [0, 0.02],
    description: "Least time between two rounds in which messages leave: the first leaves at " +
      "once, and what comes within that time leaves together. Costs latency, and saves much of " +
      "the processor where many small messages go to many.",
  },
  {
    path: "push.allowedOrigins",
    type: "origins",
    flag: "allowed-origin",
    description: "Pages that may use the gateway beside those of its own host, and those of this " +
      'machine where it listens on this machine only; `"*"` is any page.',
  },
  {
    path: "push.auth.tokens",
    type: "tokens",
    flag: "auth-tokens",
    description: "Tokens with a name each, beside `authToken`: `name` is the subject of whoever " +
      "shows `token`, whose SHA-256 in hexadecimal may stand there as `tokenHash` instead; " +
      "`allow` is what it may do, and `expires` when it ends.",
  },
  {
    path: "push.auth.rules",
    type: "rules",
    flag: "auth-rules",
    description: "Who may do what in which channels: each rule has `subjects` (names, or `*`), " +
      "`channels` (patterns) and `actions` (`subscribe`, `publish`, `presence`, `history`, " +
      "`admin`). With one, what none allows is denied.",
  },
  {
    path: "push.auth.jwt.secret",
    type: "secret",
    range: [32, 4096],
    flag: "jwt-secret",
    description: "Secret that JSON Web Tokens are signed with (HS256, HS384, HS512), as long as " +
      "the hash at least.",
  },
  {
    path: "push.auth.jwt.keyFile",
    type: "string",
    range: [1, 4096],
    flag: "jwt-key-file",
    description: "File of the public key that JSON Web Tokens are checked with: PEM or JWK.",
  },
  {
    path: "push.auth.jwt.jwksUrl",
    type: "key-url",
    range: [1, 2048],
    flag: "jwt-jwks-url",
    description: "Address of the set of public keys (JWKS) that JSON Web Tokens are checked with.",
  },
  {
    path: "push.auth.jwt.jwksFile",
    type: "string",
    range: [1, 4096],
    flag: "jwt-jwks-file",
    description: "File of such a set, read again when a key is missing from it.",
  },
  {
    path: "push.auth.jwt.issuer",
    type: "string",
    range: [1, 1024],
    flag: "jwt-issuer",
    description: "What the claim `iss` must be.",
  },
  {
    path: "push.auth.jwt.audience",
    type: "string",
    range: [1, 1024],
    flag: "jwt-audience",
    description: "What the claim `aud` must be, or have among others.",
  },
  {
    path: "push.auth.jwt.algorithms",
    type: "algorithms",
    flag: "jwt-algorithms",
    description: "Signatures that are accepted; without it `HS256` for a secret, and `RS256`, " +
      "`ES256` and `EdDSA` for public keys.",
  },
  {
    path: "push.auth.jwt.clockTolerance",
    type: "seconds",
    default: 5,
    range: [0, 60],
    flag: "jwt-clock-tolerance",
    description: "By how much the clock of whoever issues tokens may differ.",
  },
  {
    path: "push.auth.jwt.subjectClaim",
    type: "string",
    default: "sub",
    range: [1, 255],
    flag: "jwt-subject-claim",
    description: "Claim that names the subject.",
  },
  {
    path: "push.auth.jwt.grantsClaim",
    type: "string",
    default: "push",
    range: [1, 255],
    flag: "jwt-grants-claim",
    description: "Claim that says what the token allows.",
  },
  {
    path: "push.auth.queryToken",
    type: "boolean",
    default: true,
    flag: "query-token",
    description: "Whether `?token=` in an address counts; addresses are logged by others.",
  },
  {
    path: "push.auth.ticketTtl",
    type: "seconds",
    default: 30,
    range: [1, 600],
    flag: "ticket-ttl",
    description: "Time in which a ticket can be used.",
  },
  {
    path: "push.presence.enabled",
    type: "boolean",
    default: true,
    description: "Whether the gateway tracks who is there.",
  },
  {
    path: "push.presence.heartbeatInterval",
    type: "seconds",
    default: 15,
    range: [0.05, 3600],
    description: "Time between two heartbeats that clients are asked to keep.",
  },
  {
    path: "push.presence.offlineTimeout",
    type: "seconds",
    default: 45,
    range: [0.05, DAY],
    description: "Time without a heartbeat after which a client counts as offline.",
  },
  {
    path: "push.presence.broadcastChanges",
    type: "boolean",
    default: true,
    description: "Whether subscribers of a channel hear who comes, changes and goes.",
  },
  {
    path: "push.presence.broadcastLimit",
    type: "integer",
    default: 200,
    range: [0, 1_000_000],
    unit: "members",
    description: "Size of a channel above which clients of the fixed wire get no presence events.",
  },
  {
    path: "push.presence.diffLimit",
    type: "integer",
    default: 1000,
    range: [0, 1_000_000],
    unit: "members",
    description:
      "Size of a channel above which nobody gets presence events; presence can still be asked for.",
  },
  {
    path: "push.delivery.enabled",
    type: "boolean",
    default: true,
    description: "Whether messages are tracked until acknowledged; off, delivery is at most once.",
  },
  {
    path: "push.delivery.ackTimeout",
    type: "seconds",
    default: 30,
    range: [0.05, DAY],
    description: "Time to wait for an acknowledgement before a message is sent again.",
  },
  {
    path: "push.delivery.maxRetries",
    type: "integer",
    default: 3,
    range: [0, 100],
    unit: "retries",
    description: "Times that a message is sent again before it goes to the dead letters.",
  },
  {
    path: "push.delivery.retryBackoff",
    type: "number",
    default: 2,
    range: [1, 10],
    unit: "factor",
    description: "Factor by which the wait grows with each retry.",
  },
  {
    path: "push.delivery.messageTtl",
    type: "seconds",
    default: DAY,
    range: [0.05, YEAR],
    description: "Time that a message is kept for those who have not acknowledged it.",
  },
  {
    path: "push.delivery.storeBackend",
    type: "enum",
    default: "memory",
    values: ["memory", "kv", "redis"],
    flag: "store",
    description:
      "Where messages and positions are kept. With `push.redis`, `memory` keeps messages " +
      "in Redis, and positions in this gateway.",
  },
  {
    path: "push.delivery.kvPath",
    type: "string",
    default: "push.db",
    range: [1, 4096],
    description: "File of the `kv` store, seen from the working directory.",
  },
  {
    path: "push.delivery.window",
    type: "integer",
    default: 1024,
    range: [1, 65_536],
    unit: "messages",
    description: "Most messages on their way to one subscriber, not yet acknowledged.",
  },
  {
    path: "push.delivery.windowBytes",
    type: "bytes",
    default: MIB,
    range: [KIB, GIB],
    description: "Most bytes on their way to one subscriber, not yet acknowledged.",
  },
  {
    path: "push.delivery.historySize",
    type: "integer",
    default: 1000,
    range: [0, 1_000_000],
    unit: "messages",
    description: "Messages that a channel keeps beyond those still awaited by a subscriber.",
  },
  {
    path: "push.delivery.historyBytes",
    type: "bytes",
    default: MIB,
    range: [0, GIB],
    description: "Bytes that a channel keeps beyond those still awaited by a subscriber.",
  },
  {
    path: "push.delivery.maxChannelBytes",
    type: "bytes",
    default: 64 * MIB,
    range: [KIB, 1024 * GIB],
    description: "Hard end of one channel: beyond it the oldest messages go.",
  },
  {
    path: "push.delivery.maxStoreBytes",
    type: "bytes",
    default: 512 * MIB,
    range: [KIB, 1024 * GIB],
    description: "Hard end of the whole store: beyond it the oldest messages go.",
  },
  {
    path: "push.delivery.sessionGrace",
    type: "seconds",
    default: 60,
    range: [0, DAY],
    description: "Time that a client which did not name itself may be away and still resume.",
  },
  {
    path: "push.delivery.deadLetterTtl",
    type: "seconds",
    default: 7 * DAY,
    range: [0.05, YEAR],
    description: "Time that a dead letter is kept.",
  },
  {
    path: "push.delivery.maxDeadLetters",
    type: "integer",
    default: 1000,
    range: [0, 1_000_000],
    unit: "messages",
    description: "Most dead letters of one subscription; beyond it the oldest go.",
  },
  {
    path: "push.sse.enabled",
    type: "boolean",
    default: true,
    description: "Whether clients may listen by server-sent events.",
  },
  {
    path: "push.polling.enabled",
    type: "boolean",
    default: true,
    description: "Whether clients may fall back to long-polling.",
  },
  {
    path: "push.polling.longPollTimeout",
    type: "seconds",
    default: 30,
    range: [0.05, 600],
    description: "Time that a poll without news is held open.",
  },
  {
    path: "push.polling.maxBatchSize",
    type: "integer",
    default: 100,
    range: [1, 10_000],
    unit: "messages",
    description: "Most messages in the answer to one poll.",
  },
  {
    path: "push.redis.url",
    type: "redis-url",
    range: [1, 4096],
    description: "Address of Redis; wins over `host`, `port`, `db`, `username` and `password`. " +
      "`rediss://` is Redis over TLS.",
  },
  {
    path: "push.redis.host",
    type: "host",
    default: "localhost",
    description: "Host of Redis.",
  },
  {
    path: "push.redis.port",
    type: "integer",
    default: 6379,
    range: [1, 65_535],
    description: "Port of Redis.",
  },
  {
    path: "push.redis.db",
    type: "integer",
    default: 0,
    range: [0, 65_535],
    description: "Number of the database in Redis; a Cluster has 0 only.",
  },
  {
    path: "push.redis.username",
    type: "string",
    range: [1, 1024],
    description: "User of Redis; without it the one that Redis calls `default`.",
  },
  {
    path: "push.redis.password",
    type: "secret",
    range: [1, 1024],
    description: "Password of Redis.",
  },
  {
    path: "push.redis.prefix",
    type: "string",
    default: "praison:push:",
    range: [1, 128],
    description: "Beginning of every key in Redis.",
  },
  {
    path: "push.redis.maxConnections",
    type: "integer",
    default: 20,
    range: [2, 1000],
    unit: "connections",
    description:
      "Most connections that one gateway opens to Redis: it takes two; in a Cluster two " +
      "for each primary, and one more.",
  },
  {
    path: "push.redis.sentinels",
    type: "addresses",
    range: [1, 4096],
    description: "Sentinels that know where Redis is, instead of `host` and `port`: " +
      "`host:port,host:port`.",
  },
  {
    path: "push.redis.sentinelName",
    type: "string",
    default: "mymaster",
    range: [1, 255],
    description: "What the Sentinels call this Redis.",
  },
  {
    path: "push.redis.sentinelPassword",
    type: "secret",
    range: [1, 1024],
    description: "Password of the Sentinels.",
  },
  {
    path: "push.redis.cluster",
    type: "addresses",
    range: [1, 4096],
    description: "Nodes of a Redis Cluster, some or all, instead of `host` and `port`: " +
      "`host:port,host:port`.",
  },
  {
    path: "push.redis.commandTimeout",
    type: "seconds",
    default: 5,
    range: [0.05, 600],
    description: "Time to wait for an answer of Redis, and for a connection.",
  },
  {
    path: "push.redis.lease",
    type: "seconds",
    default: 15,
    range: [1, 3600],
    description:
      "Time without a sign of life after which the others take this gateway for dead, and " +
      "its clients for gone.",
  },
  {
    path: "push.limits.maxFrameBytes",
    type: "bytes",
    default: MIB,
    range: [KIB, 32 * MIB],
    description: "Largest frame or request body.",
  },
  {
    path: "push.limits.maxMessageBytes",
    type: "bytes",
    default: 64 * KIB,
    range: [16, 32 * MIB],
    description: "Largest payload of one message, as JSON.",
  },
  {
    path: "push.limits.maxNesting",
    type: "integer",
    default: 64,
    range: [2, 1000],
    unit: "levels",
    description: "Deepest nesting of JSON in a frame or request body.",
  },
  {
    path: "push.limits.maxMetadataBytes",
    type: "bytes",
    default: KIB,
    range: [2, MIB],
    description: "Largest presence metadata of one client, as JSON.",
  },
  {
    path: "push.limits.maxChannels",
    type: "integer",
    default: 128,
    range: [1, 100_000],
    unit: "channels",
    description: "Most channels that one client may be subscribed to.",
  },
  {
    path: "push.limits.maxConnections",
    type: "integer",
    default: 50_000,
    range: [1, 1_000_000],
    unit: "connections",
    description: "Most clients connected at a time.",
  },
  {
    path: "push.limits.maxSessions",
    type: "integer",
    default: 200_000,
    range: [1, 10_000_000],
    unit: "sessions",
    description:
      "Most clients remembered; beyond it a new one takes the place of its own subject's that is longest away.",
  },
  {
    path: "push.limits.maxSessionsPerSubject",
    type: "integer",
    default: 10_000,
    range: [1, 10_000_000],
    unit: "sessions",
    description:
      "Most clients remembered of one subject; beyond it the one longest away of them is forgotten. " +
      "Those who share one token, or have none, are one subject that `maxSessions` alone limits.",
  },
  {
    path: "push.limits.maxBufferedBytes",
    type: "bytes",
    default: 4 * MIB,
    range: [KIB, GIB],
    description: "Bytes waiting for one client above which it is closed as a slow consumer.",
  },
  {
    path: "push.limits.maxTotalBufferedBytes",
    type: "bytes",
    default: GIB,
    range: [KIB, 1024 * GIB],
    description:
      "Bytes waiting in all connections together; beyond it those are closed that have waited longest with the most.",
  },
  {
    path: "push.limits.idleTimeout",
    type: "seconds",
    default: 60,
    range: [0, DAY],
    description: "Time without a sign of life after which a connection is closed; 0 for never.",
  },
  {
    path: "push.limits.maxConnectionsPerAddress",
    type: "integer",
    default: 1000,
    range: [0, 1_000_000],
    unit: "connections",
    description:
      "Most clients connected from one address (of IPv6, one /64) at a time; 0 for any number. This machine's own addresses do not count.",
  },
  {
    path: "push.limits.maxHandshakes",
    type: "integer",
    default: 1000,
    range: [1, 1_000_000],
    unit: "connections",
    description: "Most connections that have not said who they are.",
  },
  {
    path: "push.limits.handshakeTimeout",
    type: "seconds",
    default: 10,
    range: [0.05, 600],
    description: "Time in which a connection must say who it is.",
  },
  {
    path: "push.limits.frameRate",
    type: "integer",
    default: 10_000,
    range: [0, 1_000_000],
    unit: "frames a second",
    description:
      "Frames and requests that one connection may send; each 4 KiB more of one count as one more. 0 for any number.",
  },
  {
    path: "push.limits.frameBurst",
    type: "integer",
    default: 20_000,
    range: [1, 10_000_000],
    unit: "frames",
    description: "Frames and requests that one connection may send at once.",
  },
  {
    path: "push.limits.publishRate",
    type: "integer",
    default: 5000,
    range: [0, 1_000_000],
    unit: "publishes a second",
    description:
      "Messages that one client may publish; each 4 KiB more of one count as one more, and a " +
      "channel that has to be made as seven. 0 for any number.",
  },
  {
    path: "push.limits.publishBurst",
    type: "integer",
    default: 10_000,
    range: [1, 10_000_000],
    unit: "publishes",
    description: "Messages that one client may publish at once.",
  },
  {
    path: "push.limits.pollRate",
    type: "integer",
    default: 100,
    range: [0, 100_000],
    unit: "polls a second",
    description:
      "Polls that one client may begin, and event streams that it may open; 0 for any number.",
  },
  {
    path: "push.limits.pollBurst",
    type: "integer",
    default: 200,
    range: [1, 1_000_000],
    unit: "polls",
    description: "Polls that one client may begin at once.",
  },
  {
    path: "push.limits.maxChannelName",
    type: "integer",
    default: 255,
    range: [1, 255],
    unit: "characters",
    description: "Longest name of a channel.",
  },
  {
    path: "push.limits.maxStoredChannels",
    type: "integer",
    default: 100_000,
    range: [1, 100_000_000],
    unit: "channels",
    description: "Most channels that the store remembers; beyond it no further one is created.",
  },
  {
    path: "push.limits.maxTakeovers",
    type: "integer",
    default: 20,
    range: [0, 100_000],
    unit: "times a minute",
    description: "How often one client may take a session that another one has; 0 for any number.",
  },
  {
    path: "push.limits.maxFailures",
    type: "integer",
    default: 20,
    range: [0, 100_000],
    unit: "failures a second",
    description:
      "Wrong tokens and the like from one address, and five times as many at once; beyond it nothing is looked at. 0 for any number.",
  },
];

/** All options, in the order of the help text. */
export const OPTIONS: readonly Option[] = ROWS.map(complete);

/** All options by their path. */
export const OPTION_BY_PATH: ReadonlyMap<string, Option> = new Map(
  OPTIONS.map((option) => [option.path, option]),
);
