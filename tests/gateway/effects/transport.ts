import { assertEquals, assertRejects } from "@std/assert";
import { Certificates } from "../../support/certificates.ts";
import { startGateway } from "../../support/gateway.ts";
import { ask } from "../../support/http_client.ts";
import { SocketClock } from "../../support/socket_clock.ts";
import { exchange, TcpClient, upgradeRequest, webSocketFrame } from "../../support/tcp_client.ts";
import { WireClient } from "../../support/wire_client.ts";
import type { Effects } from "./effect.ts";

/** What the options do that say how the gateway listens. */
export const TRANSPORT: Effects = {
  websocket: {
    says: "with ws what RFC 6455 forbids is refused with a code, the built-in one takes some of it",
    async run() {
      for (const websocket of ["deno", "ws"] as const) {
        await using gateway = await startGateway({ websocket });
        using client = await TcpClient.connect(gateway.port);
        await client.write(upgradeRequest("/ws"));
        assertEquals((await client.answer())?.status, 101);
        await client.write(webSocketFrame('{"type":"ping"}', { masked: false }));
        const [, , high, low] = (await client.read())!;
        assertEquals((high << 8 | low) === 1002, websocket === "ws");
      }
    },
  },
  "push.flushInterval": {
    says: "the first message leaves at once, the next ones together when the time is over",
    async run() {
      for (const websocket of ["deno", "ws"] as const) {
        const clock = new SocketClock(10);
        const push = { flushInterval: 0.02, presence: { broadcastChanges: false } };
        await using gateway = await startGateway({ websocket, push }, { clock });
        const subscriptions = [{ channel: "news" }];
        const [client] = await WireClient.connect(gateway.ws, { subscriptions });
        await using _ = client;
        await gateway.gateway.publish("news", 1);
        assertEquals((await client.next()).data, 1);
        await gateway.gateway.publish("news", 2);
        await gateway.gateway.publish("news", 3);
        await clock.advance(19);
        assertEquals(await client.ask({ type: "ping" }), { type: "pong" }, "answers do not wait");
        await clock.advance(1);
        assertEquals((await client.take(2)).map(({ data }) => data), [2, 3]);
        assertEquals(JSON.parse(client.texts.at(-1)!).length, 2, "in one frame");
      }
    },
  },
  "tls.cert": {
    says: "it is what the gateway shows",
    async run() {
      await using certificates = await Certificates.make();
      using client = Deno.createHttpClient({ caCerts: [certificates.authority] });
      await using gateway = await startGateway({ tls: certificates.options });
      const response = await fetch(`https://127.0.0.1:${gateway.port}/health`, { client });
      assertEquals((await response.json()).status, "ok");
      await assertRejects(() => ask(`${gateway.http}/health`));
    },
  },
  "tls.key": {
    says: "it has to be the key of the certificate",
    async run() {
      await using certificates = await Certificates.make();
      const { cert, key } = certificates.options;
      const other = certificates.path("ca.key");
      await assertRejects(() => startGateway({ tls: { cert, key: other } }), TypeError, "not that");
      await assertRejects(() => startGateway({ tls: { cert } }), TypeError, "without 'tls.key'");
      await using _ = await startGateway({ tls: { cert, key } });
    },
  },
  trustProxy: {
    says: "what such a proxy says of the scheme counts; else it is a guess of the client",
    async run() {
      const request = upgradeRequest("/ws", {
        "Host": "push.example",
        "Origin": "http://push.example",
        "X-Forwarded-Proto": "https",
      });
      for (const [trustProxy, status] of [[["loopback"], 403], [["10.0.0.0/8"], 101]] as const) {
        await using gateway = await startGateway({ trustProxy, allowedHosts: ["push.example"] });
        assertEquals((await exchange(gateway.port, request))?.status, status);
      }
    },
  },
};
