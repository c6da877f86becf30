/** The bare loop over `node:http` with `npm:ws`, as the gateway's second transport uses them. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { serveParent } from "./parent.ts";

const channels = new Map<string, Set<WebSocket>>();

function channelOf(name: string): Set<WebSocket> {
  let channel = channels.get(name);
  if (channel === undefined) channels.set(name, channel = new Set());
  return channel;
}

const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false }).on(
  "connection",
  (socket: WebSocket, request: { url?: string }) => {
    const name = new URL(`http://localhost${request.url}`).searchParams.get("channel");
    if (name !== null) {
      channelOf(name).add(socket);
      socket.on("close", () => channelOf(name).delete(socket));
    }
    socket.on("message", (bytes: Uint8Array) => {
      const text = `${bytes}`;
      if (text === "ping") return socket.send("pong");
      const space = text.indexOf(" ");
      const data = text.slice(space + 1);
      for (const subscriber of channelOf(text.slice(0, space))) subscriber.send(data);
    });
    socket.send('{"type":"ready"}');
  },
);
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`port ${(server.address() as AddressInfo).port}`);
});
void serveParent();
