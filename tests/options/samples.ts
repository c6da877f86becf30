/**
 * For each option, values that it takes and values that it refuses.
 *
 * @module
 */
import { jsType, type Option, type OptionValue } from "../../server/options/option.ts";

/** A value that an option takes, other than its default, that goes together with all defaults. */
export function another(option: Option): OptionValue {
  const others: Record<string, OptionValue> = {
    "host": "localhost",
    "path": "/push/socket",
    "websocket": "ws",
    "tls.cert": "cert.pem",
    "tls.key": "key.pem",
    "trustProxy": ["10.0.0.0/8", "::1", "loopback"],
    "authToken": "t0ken-of-many",
    "allowedHosts": ["push.example", "10.0.0.7", "::1"],
    "log.level": "error",
    "log.format": "json",
    "push.allowedOrigins": ["https://app.example", "http://localhost:5173", "tauri://localhost"],
    "push.delivery.storeBackend": "kv",
    "push.delivery.kvPath": "data/other.db",
    "push.auth.tokens": [
      { name: "backend", token: "t0ken-of-backend" },
      {
        name: "reader",
        tokenHash: "ab".repeat(32),
        allow: [{ channels: ["news:*"], actions: ["subscribe"] }],
        expires: "2031-01-31T00:00:00Z",
      },
    ],
    "push.auth.rules": [
      { subjects: ["ann"], channels: ["news:*"], actions: ["subscribe", "history"] },
    ],
    "push.auth.jwt.secret": "0123456789abcdef0123456789abcdef",
    "push.auth.jwt.keyFile": "key.pem",
    "push.auth.jwt.jwksUrl": "https://id.example/keys?of=push",
    "push.auth.jwt.jwksFile": "keys.json",
    "push.auth.jwt.issuer": "https://id.example",
    "push.auth.jwt.audience": "push",
    "push.auth.jwt.algorithms": ["ES384", "PS256"],
    "push.auth.jwt.subjectClaim": "client",
    "push.auth.jwt.grantsClaim": "rights",
    "push.redis.url": "rediss://user@redis.example:6380/1",
    "push.redis.host": "redis.example",
    "push.redis.password": "pass-of-redis",
    "push.redis.prefix": "other:",
    "push.redis.username": "ann",
    "push.redis.sentinels": "10.0.0.1, [::1]:26380,sentinel.example:1",
    "push.redis.sentinelName": "push",
    "push.redis.sentinelPassword": "pass-of-sentinels",
    "push.redis.cluster": "redis.example:7000",
    "push.presence.heartbeatInterval": 7.5,
    "push.flushInterval": 0.015,
    "push.limits.maxMessageBytes": 32_768,
    "push.delivery.historyBytes": 524_288,
  };
  if (Object.hasOwn(others, option.path)) return others[option.path];
  if (option.type === "boolean") return !option.default;
  if (option.type === "seconds") return Number(option.default) + 1.25;
  const next = Number(option.default) + 1;
  return next > (option.range?.[1] ?? Infinity) ? next - 2 : next;
}

const KEY = "push.auth.jwt.keyFile";

/** What has to be given with an option, by path. */
export function beside({ path }: Option): [path: string, value: OptionValue][] {
  if (path === "tls.cert") return [["tls.key", "key.pem"]];
  if (path === "tls.key") return [["tls.cert", "cert.pem"]];
  if (path === "reusePort") return [["push.redis.url", "redis://127.0.0.1"]];
  const [, name] = /^push\.auth\.jwt\.(\w+)$/.exec(path) ?? [];
  const isKey = ["secret", "keyFile", "jwksUrl", "jwksFile"].includes(name);
  return name === undefined || isKey ? [] : [[KEY, "key.pem"]];
}

const refusedOrigins = [
  ...["app.example", "https://app.example/", "https://app.example/a", "https://App.example"],
  ...["https://app.example:443", "http://a.example:80", "https://", "https://*.example", "null"],
  ...["https://a b", "https://u@a.example", "https://a.example?x", "https://ä.example", "**", "\0"],
  ...["https://a.example:99999", `https://${"a".repeat(300)}`],
];

const refusedHosts = [
  ...["push.example:80", "https://push.example", "a b", "[::1]", "*.example", "a/b", "**", "\0"],
  ...["ä.example", "", "a@b", "a".repeat(300)],
];

/** Entries that a list refuses, by its type. */
const refusedEntries: { readonly [type: string]: readonly string[] } = {
  origins: refusedOrigins,
  hosts: refusedHosts,
  networks: ["", "localhost", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.1:80", "all", "\0"],
  algorithms: ["none", "HS1", "rs256", "ES256K", "", "\0"],
};

/** Values that an option refuses, of a right and of a wrong type. */
export function refused(option: Option): unknown[] {
  const wrong: unknown[] = [[], {}, () => {}, Symbol("x"), 1n, [option.default], new Date(0)];
  switch (jsType(option)) {
    case "boolean":
      return [...wrong, "true", 1, 0, ""];
    case "number": {
      const [least, most] = option.range!;
      const broken = option.type === "integer" || option.type === "bytes" ? [least + 0.5] : [];
      return [...wrong, "1", "", true, NaN, Infinity, -Infinity, 1e400, least - 1, most + 1]
        .concat(broken);
    }
    case "records":
      return [
        ...[{}, () => {}, Symbol("x"), 1n, new Date(0), 1, true, "x", "{}", "1", "[1]", [1], [
          null,
        ]],
        ...[[[]], [{}], [{ name: "a" }], [{ subjects: [] }], [{ name: "anonymous", token: "t" }]],
        ...[[{ name: "a", token: "t", more: 1 }], [{ name: "a", token: "t u" }]],
        ...[[{ name: "a", token: "t", tokenHash: "ab".repeat(32) }], [{ name: "", token: "t" }]],
        ...[[{ name: "a", token: "t", allow: [{}] }], [{ name: "a", token: "t", expires: "soon" }]],
      ];
    case "list":
      return [
        ...[{}, () => {}, Symbol("x"), 1n, new Date(0), 1, true, [1], [null], [["*"]]],
        ...(refusedEntries[option.type] ?? []).flatMap((entry) => [entry, [entry], ["*", entry]]),
      ];
    case "string":
      return [...wrong, 1, true, "", "\0", ...refusedTexts(option)];
  }
}

function refusedTexts({ type, range }: Option): string[] {
  const long = range === undefined ? [] : ["/".padEnd(range[1] + 1, "a")];
  switch (type) {
    case "enum":
      return ["Memory", "sqlite", "__proto__"];
    case "host":
      return ["localhost:80", "http://localhost", "a b", "[::1]", "1.2.3.400", "a/b", "::g"];
    case "path":
      return [
        ...["ws", "//host", "/a b", "/a?b", "/a#b", "/ä", "/a/../b", "/./a", "\\a", "/a\\b"],
        ...["/health", "/metrics", "/health/x", "/api/push", "/api/push/poll", ...long],
      ];
    case "redis-url":
      return [
        ...["http://localhost", "localhost:6379", "redis://", "redis:host", "redis://h:99999"],
        ...["redis://:***@host", "redis://:100%@host", "redis://%u:p@host", "redis://h/a"],
        ...["redis://h/1/", "redis://h/-1", "redis://h/65536", "redis://u:12/3@h", ...long],
      ];
    case "addresses":
      return [
        ...["a:0", "a:65536", "a:x", ",", "a,", "::1", "[::1", "a b", "redis://a", "a:1:2", "[x]"],
        ...long,
      ];
    case "key-url":
      return [
        "http://id.example/",
        "ftp://id.example",
        "id.example",
        "https://u:p@id.example",
        ...long,
      ];
    case "secret":
      return ["with space", "line\n", "schlüssel", "***", ...long];
    default:
      return long;
  }
}
