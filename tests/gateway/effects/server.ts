import { assertEquals, assertRejects } from "@std/assert";
import { startGateway } from "../../support/gateway.ts";
import { ask } from "../../support/http_client.ts";
import { WireClient } from "../../support/wire_client.ts";
import { startRedis } from "../../support/redis.ts";
import type { Effects } from "./effect.ts";

/** What the options of the server itself do. */
export const SERVER: Effects = {
  host: {
    says: "it listens there; where others can connect, only with a token",
    async run() {
      await using gateway = await startGateway({ host: "0.0.0.0", authToken: "s3cret" });
      assertEquals(gateway.gateway.address.hostname, "0.0.0.0");
      assertEquals((await ask(`${gateway.http}/health`)).status, 200);
      await assertRejects(() => startGateway({ host: "0.0.0.0" }), TypeError, "without a token");
    },
  },
  port: {
    says: "it listens there, and another gateway cannot",
    async run() {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr;
      listener.close();
      await using gateway = await startGateway({ port });
      assertEquals(gateway.port, port);
      assertEquals((await ask(`http://127.0.0.1:${port}/health`)).status, 200);
      await assertRejects(() => startGateway({ port }), Deno.errors.AddrInUse);
    },
  },
  path: {
    says: "the WebSocket is there and nowhere else",
    async run() {
      await using gateway = await startGateway({ path: "/a/socket" });
      await using client = await WireClient.open(`ws://127.0.0.1:${gateway.port}/a/socket`);
      assertEquals(await client.ask({ type: "ping" }), { type: "pong" });
      assertEquals((await ask(`${gateway.http}/ws`)).status, 404);
    },
  },
  authToken: {
    says: "who does not show it is refused",
    async run() {
      await using gateway = await startGateway({ authToken: "s3cret" });
      await using client = await WireClient.open(`${gateway.ws}?token=s3cret`);
      assertEquals(await client.ask({ type: "ping" }), { type: "pong" });
      await assertRejects(() => WireClient.open(`${gateway.ws}?token=other`));
      assertEquals((await ask(`${gateway.http}/api/push/channels`)).status, 401);
    },
  },
  "push.enabled": {
    says: "off, no push route answers and nothing is published",
    async run() {
      await using off = await startGateway({ push: { enabled: false } });
      for (const path of ["/ws", "/metrics", "/api/push/channels", "/api/push/poll/register"]) {
        const { status, body } = await ask(off.http + path);
        assertEquals([status, body.code], [404, "not_found"], path);
      }
      const { status, body } = await ask(`${off.http}/health`);
      assertEquals([status, body.push], [200, { enabled: false }]);
      await assertRejects(() => off.gateway.publish("news", 1), Error, "push.enabled");
      await using on = await startGateway({ push: { enabled: true } });
      assertEquals((await on.gateway.publish("news", 1)).seq, 1);
    },
  },
  "push.delivery.storeBackend": {
    says: "it says where messages are kept, and with Redis where positions are",
    async run() {
      const delivery = (storeBackend: "memory" | "kv" | "redis", kvPath = ":memory:") => ({
        delivery: { storeBackend, kvPath },
      });
      await using redis = await startRedis();
      const here = { redis: { port: redis.port } };
      for (
        const [name, push] of [
          ["memory", delivery("memory")],
          ["kv", delivery("kv")],
          ["redis", { ...delivery("redis"), ...here }],
          ["redis+memory", { ...delivery("memory"), ...here }],
        ] as const
      ) {
        await using gateway = await startGateway({ push });
        assertEquals(gateway.gateway.store?.name, name);
        assertEquals((await gateway.gateway.publish("news", 1)).seq > 0, true);
      }
    },
  },
  "push.delivery.kvPath": {
    says: "the KV store is in that file",
    async run() {
      const folder = await Deno.makeTempDir();
      try {
        const delivery = { storeBackend: "kv", kvPath: `${folder}/push.db` } as const;
        for (const seq of [1, 2]) {
          await using gateway = await startGateway({ push: { delivery } });
          assertEquals((await gateway.gateway.publish("news", seq)).seq, seq);
        }
        assertEquals((await Deno.stat(`${folder}/push.db`)).isFile, true);
        const kvPath = `${folder}/other.db`;
        await using other = await startGateway({ push: { delivery: { ...delivery, kvPath } } });
        assertEquals(await other.gateway.channels(), []);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  },
};
