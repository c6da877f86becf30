/** Bun's own publish and subscribe. */
import process from "node:process";

const server = globalThis.Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request, server) {
    const channel = new URL(request.url).searchParams.get("channel");
    if (!server.upgrade(request, { data: { channel } })) return new Response(null, { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 960,
    backpressureLimit: 64 * 1024 * 1024,
    open(socket) {
      if (socket.data.channel !== null) socket.subscribe(socket.data.channel);
      socket.send('{"type":"ready"}');
    },
    message(socket, text) {
      if (text === "ping") return socket.send("pong");
      const space = text.indexOf(" ");
      server.publish(text.slice(0, space), text.slice(space + 1));
    },
  },
});
console.log(`port ${server.port}`);
process.stdin.on("end", () => process.exit()).resume();
