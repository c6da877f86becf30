/**
 * What the gateway is measured against: `Deno.serve` and a loop that sends what one client sent to
 * all that listen. No channels, order, positions, acknowledgements or identity. Who comes to `/late`
 * gets as many messages as the first argument says, in one frame that was made before.
 */
const PADDING = "x".repeat(64);
const missed = JSON.stringify(
  Array.from({ length: Number(Deno.args[0] ?? 0) }, (_, i) => ({ n: i + 1, p: PADDING })),
);
const subscribers = new Set<WebSocket>();

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`port ${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  const { pathname } = new URL(request.url);
  if (pathname === "/late") {
    socket.onopen = () => socket.send(missed);
  } else if (pathname === "/sub") {
    socket.onopen = () => {
      subscribers.add(socket);
      socket.send('{"type":"ready"}');
    };
    socket.onclose = () => subscribers.delete(socket);
  } else {
    socket.onopen = () => socket.send('{"type":"ready"}');
    socket.onmessage = ({ data }) => {
      for (const subscriber of subscribers) subscriber.send(data);
      socket.send('{"type":"done"}');
    };
  }
  return response;
});
