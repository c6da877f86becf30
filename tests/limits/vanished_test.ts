import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { quickClock } from "../support/quick_clock.ts";
import { TcpClient, upgradeRequest } from "../support/tcp_client.ts";
import { until } from "../support/within.ts";

for (const websocket of ["deno", "ws"] as const) {
  Deno.test({
    name:
      `over ${websocket} an upgrade behind an answer that never ends is forgotten once its peer has gone`,
    // The built-in server never ends what it began for such an upgrade.
    sanitizeOps: websocket === "ws",
    fn: async () => {
      const clock = quickClock(50);
      await using gateway = await startGateway({ websocket }, { clock });
      const counts = async (sockets: number, streams: number) => {
        const { text } = await ask(`${gateway.http}/metrics`);
        return text.includes(`push_connections{transport="websocket"} ${sockets}\n`) &&
          text.includes(`push_connections{transport="sse"} ${streams}\n`);
      };
      {
        using socket = await TcpClient.connect(gateway.port);
        const stream = "GET /api/push/sse?channel=a HTTP/1.1\r\nHost: localhost\r\n\r\n";
        await socket.write(stream + upgradeRequest("/ws"));
        // The built-in server looks at the second request once the first one's peer has gone.
        if (websocket === "ws") await until(() => counts(1, 1), "both are there", 3000);
        else await until(() => counts(0, 1), "the stream is there", 3000);
      }
      if (websocket === "deno") await until(() => counts(1, 0), "the socket is there", 3000);
      await until(() => counts(0, 0), "both are forgotten", 3000);
    },
  });
}
