/**
 * What the gateway is measured against: `Deno.serve` and a loop that sends what one client sent to
 * all that listen. No order among publishers, positions, acknowledgements or identity.
 *
 * A connection listens to the channel in its query; a text `CHANNEL DATA` publishes. With `turn`, what
 * came within one turn of the event loop leaves in one frame.
 */
import { setImmediate } from "node:timers";
import { serveParent } from "./parent.ts";

const isTurn = Deno.args.includes("turn");
const channels = new Map<string, Channel>();

interface Channel {
  readonly sockets: Set<WebSocket>;
  waiting: string[];
}

function channelOf(name: string): Channel {
  let channel = channels.get(name);
  if (channel === undefined) channels.set(name, channel = { sockets: new Set(), waiting: [] });
  return channel;
}

function sendAll({ sockets }: Channel, text: string): void {
  for (const socket of sockets) socket.send(text);
}

function publish(text: string): void {
  const space = text.indexOf(" ");
  const channel = channelOf(text.slice(0, space));
  const data = text.slice(space + 1);
  if (!isTurn) return sendAll(channel, data);
  if (channel.waiting.push(data) > 1) return;
  setImmediate(() => {
    const all = channel.waiting.join("\n");
    channel.waiting = [];
    sendAll(channel, all);
  });
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`port ${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  const name = new URL(request.url).searchParams.get("channel");
  socket.onopen = () => {
    if (name !== null) channelOf(name).sockets.add(socket);
    socket.send('{"type":"ready"}');
  };
  socket.onmessage = ({ data }) => data === "ping" ? socket.send("pong") : publish(data);
  if (name !== null) socket.onclose = () => channelOf(name).sockets.delete(socket);
  return response;
});
void serveParent();
