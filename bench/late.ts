/**
 * What the gateway is measured against when clients come back: whoever connects gets as many messages as
 * the argument says, in one frame that was made before.
 */
const PADDING = "x".repeat(64);
const missed = JSON.stringify(
  Array.from({ length: Number(Deno.args[0]) }, (_, i) => ({ n: i + 1, p: PADDING })),
);

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`port ${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  socket.onopen = () => socket.send(missed);
  return response;
});
