import { assert, assertEquals, assertMatch } from "@std/assert";
import * as limits from "@push/client/protocol";
import { facts } from "../../server/options/facts.ts";
import { jsType, type Option } from "../../server/options/option.ts";
import { OPTIONS } from "../../server/options/table.ts";
import { checkValue } from "../../server/options/values.ts";
import { resolveOptions } from "../../server/options/options.ts";
import type { Settings } from "../../server/options/settings.ts";
import { fieldsOf } from "./interfaces.ts";

const TYPES = new URL("../../server/options/types.ts", import.meta.url);
const SETTINGS = new URL("../../server/options/settings.ts", import.meta.url);

function typeOf(option: Option): string {
  if (option.type === "tokens") return "readonly NamedToken[]";
  if (option.type === "rules") return "readonly Rule[]";
  if (jsType(option) === "list") return "readonly string[]";
  return option.values?.map((value) => JSON.stringify(value)).join(" | ") ?? jsType(option);
}

Deno.test("option table: GatewayOptions has its options and no others", async () => {
  const fields = await fieldsOf(TYPES, "GatewayOptions");
  assertEquals([...fields.keys()].sort(), OPTIONS.map(({ path }) => path).sort());
  for (const option of OPTIONS) {
    const { type, optional } = fields.get(option.path)!;
    assert(optional, `${option.path} can be left out`);
    assertEquals(type, typeOf(option), option.path);
  }
});

Deno.test("option table: the comments in GatewayOptions say what it says", async () => {
  const fields = await fieldsOf(TYPES, "GatewayOptions");
  for (const option of OPTIONS) {
    const { doc } = fields.get(option.path)!;
    assertEquals(doc, `${option.description}\n${facts(option)}`, option.path);
  }
});

Deno.test("option table: Settings has its options and no others", async () => {
  const fields = await fieldsOf(SETTINGS, "Settings");
  assertEquals([...fields.keys()].sort(), OPTIONS.map(({ path }) => path).sort());
  for (const option of OPTIONS) {
    const wanted = typeOf(option) + (option.default === undefined ? " | undefined" : "");
    assertEquals(fields.get(option.path)!.type, wanted, option.path);
  }
});

Deno.test("option table: no two options share a flag or a variable", () => {
  assertEquals(new Set(OPTIONS.map(({ flag }) => flag)).size, OPTIONS.length);
  assertEquals(new Set(OPTIONS.map(({ variable }) => variable)).size, OPTIONS.length);
  for (const { flag, variable, description } of OPTIONS) {
    assertMatch(flag, /^[a-z]+(-[a-z]+)*$/);
    assertMatch(variable, /^PUSH_[A-Z]+(_[A-Z]+)*$/);
    assertMatch(description, /^[A-Z].*\.$/);
  }
});

Deno.test("option table: flags and variables are the promised ones", () => {
  const promised: [path: string, flag: string, variable: string][] = [
    ["host", "host", "PUSH_HOST"],
    ["port", "port", "PUSH_PORT"],
    ["path", "path", "PUSH_PATH"],
    ["authToken", "token", "PUSH_TOKEN"],
    ["push.enabled", "push", "PUSH_ENABLED"],
    ["push.delivery.storeBackend", "store", "PUSH_STORE"],
    ["push.delivery.ackTimeout", "ack-timeout", "PUSH_ACK_TIMEOUT"],
    ["push.delivery.maxRetries", "max-retries", "PUSH_MAX_RETRIES"],
    ["push.delivery.retryBackoff", "retry-backoff", "PUSH_RETRY_BACKOFF"],
    ["push.delivery.messageTtl", "message-ttl", "PUSH_MESSAGE_TTL"],
    ["push.delivery.kvPath", "kv-path", "PUSH_KV_PATH"],
    ["push.delivery.historySize", "history-size", "PUSH_HISTORY_SIZE"],
    ["push.delivery.sessionGrace", "session-grace", "PUSH_SESSION_GRACE"],
    ["push.delivery.enabled", "delivery", "PUSH_DELIVERY"],
    ["push.presence.enabled", "presence", "PUSH_PRESENCE"],
    ["push.presence.heartbeatInterval", "heartbeat-interval", "PUSH_HEARTBEAT_INTERVAL"],
    ["push.presence.offlineTimeout", "offline-timeout", "PUSH_OFFLINE_TIMEOUT"],
    ["push.allowedOrigins", "allowed-origin", "PUSH_ALLOWED_ORIGIN"],
    ["push.sse.enabled", "sse", "PUSH_SSE"],
    ["push.polling.enabled", "polling", "PUSH_POLLING"],
    ["push.polling.longPollTimeout", "long-poll-timeout", "PUSH_LONG_POLL_TIMEOUT"],
    ["push.polling.maxBatchSize", "max-batch-size", "PUSH_MAX_BATCH_SIZE"],
    ["push.redis.url", "redis-url", "PUSH_REDIS_URL"],
    ["push.redis.prefix", "redis-prefix", "PUSH_REDIS_PREFIX"],
    ["push.redis.sentinels", "redis-sentinels", "PUSH_REDIS_SENTINELS"],
    ["push.redis.cluster", "redis-cluster", "PUSH_REDIS_CLUSTER"],
    ["push.redis.maxConnections", "redis-max-connections", "PUSH_REDIS_MAX_CONNECTIONS"],
    ["push.limits.maxConnections", "max-connections", "PUSH_MAX_CONNECTIONS"],
  ];
  for (const [path, flag, variable] of promised) {
    const option = OPTIONS.find((option) => option.path === path);
    assertEquals([path, option?.flag, option?.variable], [path, flag, variable]);
  }
});

Deno.test("option table: every default is a value that its option takes", () => {
  for (const option of OPTIONS) {
    for (const value of [option.default, option.commandDefault]) {
      if (value !== undefined) assertEquals(checkValue(option, value, "it"), value);
    }
  }
});

Deno.test("option table: the limits are those that the protocol tells clients", () => {
  const { push } = resolveOptions();
  assertEquals(push.limits.maxFrameBytes, limits.MAX_FRAME_BYTES);
  assertEquals(push.limits.maxMessageBytes, limits.MAX_MESSAGE_BYTES);
  assertEquals(push.limits.maxNesting, limits.MAX_NESTING);
  assertEquals(push.limits.maxMetadataBytes, limits.MAX_METADATA_BYTES);
});

Deno.test("resolveOptions() without options has the promised defaults, in milliseconds", () => {
  const promised: Settings = {
    host: "127.0.0.1",
    port: 8765,
    reusePort: false,
    path: "/ws",
    websocket: "deno",
    tls: { cert: undefined, key: undefined },
    trustProxy: undefined,
    authToken: undefined,
    allowedHosts: undefined,
    log: { level: "warn", format: undefined },
    push: {
      enabled: false,
      flushInterval: 0,
      allowedOrigins: undefined,
      redis: undefined,
      auth: {
        tokens: undefined,
        rules: undefined,
        jwt: {
          secret: undefined,
          keyFile: undefined,
          jwksUrl: undefined,
          jwksFile: undefined,
          issuer: undefined,
          audience: undefined,
          algorithms: undefined,
          clockTolerance: 5_000,
          subjectClaim: "sub",
          grantsClaim: "push",
        },
        queryToken: true,
        ticketTtl: 30_000,
      },
      presence: {
        enabled: true,
        heartbeatInterval: 15_000,
        offlineTimeout: 45_000,
        broadcastChanges: true,
        broadcastLimit: 200,
        diffLimit: 1000,
      },
      delivery: {
        enabled: true,
        ackTimeout: 30_000,
        maxRetries: 3,
        retryBackoff: 2,
        messageTtl: 86_400_000,
        storeBackend: "memory",
        kvPath: "push.db",
        window: 1024,
        windowBytes: 1_048_576,
        historySize: 1000,
        historyBytes: 1_048_576,
        maxChannelBytes: 67_108_864,
        maxStoreBytes: 536_870_912,
        sessionGrace: 60_000,
        deadLetterTtl: 604_800_000,
        maxDeadLetters: 1000,
      },
      sse: { enabled: true },
      polling: { enabled: true, longPollTimeout: 30_000, maxBatchSize: 100 },
      limits: {
        maxFrameBytes: 1_048_576,
        maxMessageBytes: 65_536,
        maxNesting: 64,
        maxMetadataBytes: 1024,
        maxChannels: 128,
        maxConnections: 50_000,
        maxSessions: 200_000,
        maxSessionsPerSubject: 10_000,
        maxBufferedBytes: 4_194_304,
        maxTotalBufferedBytes: 1_073_741_824,
        idleTimeout: 60_000,
        maxConnectionsPerAddress: 1000,
        maxHandshakes: 1000,
        handshakeTimeout: 10_000,
        frameRate: 10_000,
        frameBurst: 20_000,
        publishRate: 5000,
        publishBurst: 10_000,
        pollRate: 100,
        pollBurst: 200,
        maxChannelName: 255,
        maxStoredChannels: 100_000,
        maxTakeovers: 20,
        maxFailures: 20,
      },
    },
  };
  assertEquals(resolveOptions(), promised);
});

Deno.test("resolveOptions() with an empty 'push.redis' has the promised defaults of Redis", () => {
  assertEquals(resolveOptions({ push: { redis: {} } }).push.redis, {
    url: undefined,
    host: "localhost",
    port: 6379,
    db: 0,
    username: undefined,
    password: undefined,
    prefix: "praison:push:",
    maxConnections: 20,
    sentinels: undefined,
    sentinelName: "mymaster",
    sentinelPassword: undefined,
    cluster: undefined,
    commandTimeout: 5000,
    lease: 15_000,
  });
});
