import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { LogRecord } from "../../../server/logging/record.ts";
import { type Served, startGateway } from "../../support/gateway.ts";
import { ask } from "../../support/http_client.ts";
import { exchange } from "../../support/tcp_client.ts";
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
  reusePort: {
    says: "gateways share the port and their channels; without Redis, or the flag, it is refused",
    async run() {
      await using redis = await startRedis();
      const push = { delivery: { storeBackend: "redis" }, redis: { url: redis.url } } as const;
      const options = { websocket: "ws", reusePort: true, push } as const;
      await using first = await startGateway(options);
      await using second = await startGateway({ ...options, port: first.port });
      await using clients = new AsyncDisposableStack();
      // Which gateway gets a connection is the machine's choice.
      const all: WireClient[] = [];
      const taken = new Set<Served>();
      for (const one of [first, second]) one.gateway.on("connected", () => void taken.add(one));
      while (taken.size < 2) {
        const client = clients.use(await WireClient.open(first.ws));
        await client.ask({ type: "channel.subscribe", channel: "news" });
        all.push(client);
      }
      await second.gateway.publish("news", "to all");
      for (const client of all) assertEquals((await client.next("channel_message")).data, "to all");

      const { port } = first;
      await assertRejects(
        () => startGateway({ ...options, port, reusePort: false }),
        Deno.errors.AddrInUse,
      );
      await assertRejects(() => startGateway({ reusePort: true }), TypeError, "without Redis");
      await assertRejects(
        () => startGateway({ ...options, websocket: "deno" }),
        TypeError,
        "--unstable-net",
      );
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
  allowedHosts: {
    says: "requests for other hosts are refused",
    async run() {
      await using gateway = await startGateway({ allowedHosts: ["push.example"] });
      const asks = async (host: string) => {
        const request = `GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
        return (await exchange(gateway.port, request))!.status;
      };
      assertEquals(await asks("push.example"), 200);
      assertEquals(await asks("other.example"), 421);
    },
  },
  "log.level": {
    says: "only what matters as much is logged",
    async run() {
      const logged = async (level: "error" | "warn" | "info" | "debug" | "off") => {
        const events = new Set<string>();
        {
          const options = { log: { level }, authToken: "s3cret" };
          const log = ({ event }: LogRecord) => void events.add(event);
          await using gateway = await startGateway(options, { log });
          await ask(`${gateway.http}/metrics`);
          await using client = await WireClient.open(`${gateway.ws}?token=s3cret`);
          await client.ask({ type: "ping" });
        }
        return ["identity.refused", "gateway.listening", "connection.opened"].map((event) =>
          events.has(event)
        );
      };
      assertEquals(await logged("off"), [false, false, false]);
      assertEquals(await logged("error"), [false, false, false]);
      assertEquals(await logged("warn"), [true, false, false]);
      assertEquals(await logged("info"), [true, true, false]);
      assertEquals(await logged("debug"), [true, true, true]);
    },
  },
  "log.format": {
    says: "a line is JSON, or text",
    async run() {
      const lines: string[] = [];
      const { error } = console;
      console.error = (line: string) => void lines.push(line);
      try {
        for (const format of ["json", "text"] as const) {
          await using _ = await startGateway({ log: { level: "info", format } });
        }
      } finally {
        console.error = error;
      }
      const listening = lines.filter((line) => line.includes("gateway.listening"));
      assertEquals(JSON.parse(listening[0]).event, "gateway.listening");
      assertMatch(listening[1], /^\S+ info {2}gateway\.listening: The gateway listens\. host=127/);
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
