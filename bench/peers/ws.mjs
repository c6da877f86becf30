/** The bare loop over `ws` on Node. The argument is the folder with the package. */
import { createRequire } from "node:module";
import process from "node:process";

const { WebSocketServer } = createRequire(process.argv[2])("ws");
const channels = new Map();

function channelOf(name) {
  let channel = channels.get(name);
  if (channel === undefined) channels.set(name, channel = new Set());
  return channel;
}

const server = new WebSocketServer({
  port: 0,
  host: "127.0.0.1",
  perMessageDeflate: false,
  backlog: 4096,
}, () => console.log(`port ${server.address().port}`));
server.on("connection", (socket, request) => {
  const name = new URL(`http://localhost${request.url}`).searchParams.get("channel");
  if (name !== null) {
    channelOf(name).add(socket);
    socket.on("close", () => channelOf(name).delete(socket));
  }
  socket.on("message", (bytes) => {
    const text = bytes.toString();
    if (text === "ping") return socket.send("pong");
    const space = text.indexOf(" ");
    const data = text.slice(space + 1);
    for (const subscriber of channelOf(text.slice(0, space))) subscriber.send(data);
  });
  socket.send('{"type":"ready"}');
});
process.stdin.on("end", () => process.exit()).resume();
