/** Socket.IO 4 on Node: a room for each channel. The argument is the folder with the package. */
import { createServer } from "node:http";
import { createRequire } from "node:module";
import process from "node:process";

const { Server } = createRequire(process.argv[2])("socket.io");
const server = createServer();
const io = new Server(server, {
  transports: ["websocket"],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
});
io.on("connection", (socket) => {
  const { channel } = socket.handshake.query;
  if (channel !== undefined) socket.join(channel);
  socket.on("publish", (name, data) => io.to(name).emit("message", data));
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`port ${server.address().port}`);
});
process.stdin.on("end", () => process.exit()).resume();
