/**
 * What the gateway is measured against: `Deno.serve` and a loop that sends what one client sent to
 * all that listen. No channels, order, positions, acknowledgements or identity.
 */
const subscribers = new Set<WebSocket>();

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`port ${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  if (new URL(request.url).pathname === "/sub") {
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
