import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { nearest } from "../../server/options/nearest.ts";
import { checkExposure, type GatewayOptions, isLoopback } from "../../server/options/options.ts";
import { resolveOptions } from "../../server/options/options.ts";

function resolve(options: unknown): unknown {
  return resolveOptions(options as GatewayOptions);
}

function refusal(options: unknown): string {
  const error = assertThrows(() => resolve(options), Error);
  assert(error instanceof TypeError || error instanceof RangeError, String(error));
  return error.message;
}

Deno.test("resolveOptions() takes a base that holds where the options say nothing", () => {
  const base = { port: 1, push: { enabled: true, delivery: { ackTimeout: 2, maxRetries: 9 } } };
  const settings = resolveOptions(
    { port: undefined, push: { delivery: { ackTimeout: 0.05 } } },
    base,
  );
  assertEquals(settings.port, 1);
  assertEquals(settings.push.enabled, true);
  assertEquals(settings.push.delivery.ackTimeout, 50);
  assertEquals(settings.push.delivery.maxRetries, 9);
  assertEquals(base.push.delivery.ackTimeout, 2);
});

Deno.test("resolveOptions() turns fractions of seconds into whole milliseconds", () => {
  const settings = resolveOptions({
    push: { delivery: { ackTimeout: 1.005, sessionGrace: 0.0004 } },
  });
  assertStrictEquals(settings.push.delivery.ackTimeout, 1005);
  assertStrictEquals(settings.push.delivery.sessionGrace, 0);
});

Deno.test("resolveOptions() returns settings that nothing can change", () => {
  const settings = resolveOptions({ push: { redis: {} } });
  assertThrows(() => (settings as { port: number }).port = 1, TypeError);
  assertThrows(() => (settings.push.redis as { port: number }).port = 1, TypeError);
  assertThrows(() => (settings.push.delivery as { window: number }).window = 1, TypeError);
});

Deno.test("resolveOptions() uses Redis where any option of it is given", () => {
  assertEquals(resolveOptions({ push: { redis: undefined } }).push.redis, undefined);
  assertEquals(resolveOptions({ push: { redis: { db: 2 } } }).push.redis?.db, 2);
  assertEquals(resolveOptions({}, { push: { redis: {} } }).push.redis?.port, 6379);
});

Deno.test("resolveOptions() names an option that there is not, and the nearest that there is", () => {
  const of = (name: string, meant: string) =>
    `Cannot use option '${name}': there is no such option, did you mean '${meant}'?`;
  assertEquals(refusal({ prot: 1 }), of("prot", "port"));
  assertEquals(refusal({ auth_token: "x" }), of("auth_token", "authToken"));
  assertEquals(
    refusal({ push: { delivery: { ack_timeout: 1 } } }),
    of("push.delivery.ack_timeout", "push.delivery.ackTimeout"),
  );
  assertEquals(refusal({ push: { redsi: {} } }), of("push.redsi", "push.redis"));
  assertEquals(refusal({ ackTimeout: 1 }), of("ackTimeout", "push.delivery.ackTimeout"));
  assertEquals(refusal({ push: { authToken: "x" } }), of("push.authToken", "authToken"));
  assertEquals(
    refusal({ xyzzy: undefined }),
    "Cannot use option 'xyzzy': there is no such option",
  );
  assert(refusal({ ["a\n".repeat(1000)]: 1 }).length < 200);
});

Deno.test("nearest() finds what was meant, and nothing where nothing is near", () => {
  const names = ["ackTimeout", "window", "windowBytes", "port"];
  assertEquals(nearest("ack-timeout", names), "ackTimeout");
  assertEquals(nearest("ACKTIMEOT", names), "ackTimeout");
  assertEquals(nearest("windowByte", names), "windowBytes");
  assertEquals(nearest("windw", names), "window");
  assertEquals(nearest("", names), undefined);
  assertEquals(nearest("potato", names), undefined);
  assertEquals(nearest("ackTimeout".padEnd(1_000_000, "!"), names), undefined);
});

Deno.test("resolveOptions() refuses options that contradict each other, and blames a given one", () => {
  assertEquals(
    refusal({ push: { presence: { heartbeatInterval: 10, offlineTimeout: 10 } } }),
    "Cannot use option 'push.presence.offlineTimeout': " +
      "expected more than option 'push.presence.heartbeatInterval' (10), found 10",
  );
  assertEquals(
    refusal({ push: { presence: { heartbeatInterval: 45 } } }),
    "Cannot use option 'push.presence.heartbeatInterval': " +
      "expected less than option 'push.presence.offlineTimeout' (45), found 45",
  );
  assertEquals(
    refusal({ push: { delivery: { windowBytes: 65_535 } } }),
    "Cannot use option 'push.delivery.windowBytes': " +
      "expected at least option 'push.limits.maxMessageBytes' (65536), found 65535",
  );
  const pairs = [
    [{ limits: { maxFrameBytes: 65_535 } }, "maxFrameBytes", "maxMessageBytes"],
    [{ limits: { maxBufferedBytes: 65_535 } }, "maxBufferedBytes", "maxMessageBytes"],
    [{ limits: { maxMessageBytes: 1_048_577 } }, "maxMessageBytes", "maxFrameBytes"],
    [{ delivery: { maxStoreBytes: 65_535 } }, "maxStoreBytes", "maxMessageBytes"],
    [{ delivery: { maxChannelBytes: 1_048_575 } }, "maxChannelBytes", "historyBytes"],
    [
      { delivery: { maxChannelBytes: 65_535, historyBytes: 0 } },
      "maxChannelBytes",
      "maxMessageBytes",
    ],
  ] as const;
  for (const [push, blamed, other] of pairs) {
    const message = refusal({ push });
    assert(message.startsWith("Cannot use option 'push."), message);
    assert(message.includes(`.${blamed}': expected at `), message);
    assert(message.includes(`.${other}' (`), message);
  }
  resolve({ push: { delivery: { windowBytes: 65_536, maxChannelBytes: 1_048_576 } } });
});

Deno.test("resolveOptions() takes the Redis of this machine where only the store is named", () => {
  const delivery = { storeBackend: "redis" } as const;
  const alone = resolveOptions({ push: { delivery } });
  assertEquals(alone, resolveOptions({ push: { delivery, redis: {} } }));
  assertEquals([alone.push.redis?.host, alone.push.redis?.port], ["localhost", 6379]);
  const { push } = resolveOptions({ push: { delivery, redis: { url: "redis://localhost" } } });
  assertEquals([push.delivery.storeBackend, push.redis?.url], ["redis", "redis://localhost"]);
  assertEquals(resolveOptions({ push: { delivery, redis: {} } }).push.redis?.host, "localhost");
});

Deno.test("resolveOptions() refuses Redis beside the KV store, and addresses that exclude each other", () => {
  const delivery = { storeBackend: "kv" } as const;
  assertEquals(
    refusal({ push: { delivery, redis: {} } }),
    `Cannot use option 'push.delivery.storeBackend': expected "redis" or "memory", ` +
      `as Redis is configured (push.redis, --redis-url), found "kv"`,
  );
  assertThrows(() => resolveOptions({ push: { delivery, redis: {} } }), TypeError);
  assertEquals(
    refusal({ push: { redis: { cluster: "a:1", sentinels: "b:2" } } }),
    "Cannot use option 'push.redis.cluster' and option 'push.redis.sentinels': " +
      "they exclude each other",
  );
  assertEquals(
    refusal({ push: { redis: { cluster: "a:1", db: 2 } } }),
    "Cannot use option 'push.redis.db': expected 0, as a Cluster has no other, found 2",
  );
  assertEquals(
    refusal({ push: { redis: { cluster: "a:1", url: "rediss://ann:pass@a:1/2" } } }),
    "Cannot use option 'push.redis.url': expected one of database 0, as a Cluster has no other, " +
      "found one of 2",
  );
  resolveOptions({ push: { redis: { cluster: "a:1", url: "rediss://ann:pass@a:1" } } });
});

Deno.test("checkExposure() refuses to listen beyond this machine without a token", () => {
  const loopback = ["127.0.0.1", "127.1", "127.255.0.9", "localhost", "LOCALHOST", "::1"]
    .concat("0:0:0:0:0:0:0:1", "::ffff:127.0.0.1");
  const exposed = ["0.0.0.0", "::", "192.168.1.2", "push.example", "127.0.0.1.example", "::2"]
    .concat("localhost.example", "::ffff:10.0.0.1", "fe80::1", "128.0.0.1", "0");
  for (const host of loopback) {
    assert(isLoopback(host), host);
    checkExposure(resolveOptions({ host }));
  }
  for (const host of exposed) {
    assert(!isLoopback(host), host);
    const message = `Cannot listen on "${host}" without a token`;
    assertThrows(() => checkExposure(resolveOptions({ host })), TypeError, message);
    checkExposure(resolveOptions({ host, authToken: "t" }));
  }
});

Deno.test("resolveOptions() takes plain objects only, so that nothing goes unnoticed", () => {
  class Options {
    port = 1;
  }
  const inherited = Object.create({ port: 1 });
  const bare = Object.create(Object.create(null, { port: { value: 1, enumerable: true } }));
  for (const options of [new Options(), inherited, bare, new Map(), new Date(0), [], [{}]]) {
    assert(refusal(options).startsWith("Cannot use the options: expected a plain object"));
    assert(refusal({ push: options }).startsWith("Cannot use option 'push': expected a plain"));
  }
  for (const options of [1, "x", true, 1n, Symbol("s"), () => {}]) {
    assert(refusal(options).startsWith("Cannot use the options: expected an object"));
    assert(refusal({ push: { redis: options } }).startsWith("Cannot use option 'push.redis': "));
  }
  assertEquals(resolve(undefined), resolveOptions());
  assertEquals(resolve(null), resolveOptions());
  assertEquals(
    resolve(Object.assign(Object.create(null), { port: 1 })),
    resolveOptions({ port: 1 }),
  );
});

Deno.test("resolveOptions() is not fooled by '__proto__', and pollutes no prototype", () => {
  const message = "Cannot use option '__proto__': there is no such option";
  assertEquals(refusal(JSON.parse(`{"__proto__": {"port": 1}}`)), message);
  assertEquals(refusal({ ["__proto__"]: null }), message);
  refusal(JSON.parse(`{"push": {"__proto__": {"enabled": true}}}`));
  refusal(JSON.parse(`{"constructor": {"prototype": {"polluted": true}}}`));
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
  assertEquals(({} as Record<string, unknown>).port, undefined);
});

Deno.test("resolveOptions() reads each property once, and says so where reading it throws", () => {
  let reads = 0;
  const options = {
    get port(): number {
      return ++reads === 1 ? 80 : NaN;
    },
  };
  assertEquals(resolveOptions(options).port, 80);
  assertEquals(reads, 1);

  const hostile = {
    get push(): never {
      throw new Error("boo");
    },
  };
  const unreadable = new Proxy({}, {
    ownKeys: () => {
      throw new Error("boo");
    },
  });
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  for (const options of [hostile, unreadable, revoked.proxy]) {
    assertEquals(refusal(options), "Cannot use the options: reading it threw an error");
    refusal({ push: options });
    refusal({ port: options });
  }
});
