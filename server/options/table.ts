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
    path: "path",
    type: "path",
    default: "/ws",
    range: [1, 255],
    description: "Path of the WebSocket.",
  },
  {
    path: "authToken",
    type: "secret",
    range: [1, 1024],
    flag: "token",
    description: "Token that every client must show: printable ASCII without spaces.",
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
    path: "push.allowedOrigins",
    type: "origins",
    flag: "allowed-origin",
    description: "Pages that may use the gateway beside those of its own host, and those of this " +
      'machine where it listens on this machine only; `"*"` is any page.',
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
    description: "Most clients remembered; beyond it the one longest away is forgotten.",
  },
  {
    path: "push.limits.maxBufferedBytes",
    type: "bytes",
    default: 4 * MIB,
    range: [KIB, GIB],
    description: "Bytes waiting for one client above which it is closed as a slow consumer.",
  },
  {
    path: "push.limits.idleTimeout",
    type: "seconds",
    default: 60,
    range: [0, DAY],
    description: "Time without a sign of life after which a connection is closed; 0 for never.",
  },
];

/** All options, in the order of the help text. */
export const OPTIONS: readonly Option[] = ROWS.map(complete);

/** All options by their path. */
export const OPTION_BY_PATH: ReadonlyMap<string, Option> = new Map(
  OPTIONS.map((option) => [option.path, option]),
);
