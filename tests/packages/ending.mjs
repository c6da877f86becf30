/**
 * A program that uses the client in every way and says goodbye. It must then end by itself: nothing
 * of the client may keep the process alive. `ADDRESS` is a gateway's.
 */
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { PushClient } from "@push/client";
import { WebSocket as WsWebSocket } from "ws";

const address = process.env.ADDRESS;
const folder = dirname(fileURLToPath(import.meta.resolve("@push/client")));

// Whatever is shipped is written so that this runtime can read it.
for (const file of await readdir(folder, { recursive: true })) {
  if (file.endsWith(".js")) await import(pathToFileURL(join(folder, file)).href);
}

const ways = [
  {},
  { transports: ["websocket"], WebSocket: WsWebSocket },
  { transports: ["sse"] },
  { transports: ["longpoll"] },
];
for (const way of ways) {
  const client = new PushClient(address, way);
  await client.connect();
  const waiting = client.waitFor("endings");
  await client.subscribe("endings");
  await client.publish("endings", "bye", { echo: true });
  const { data } = await waiting;
  console.log(data, "over", client.transport);
  await client.disconnect();
}

// One that was never connected, and one that looks for a gateway in vain.
new PushClient(address);
const { tried, fetch: seek } = noting();
const seeking = new PushClient("ws://127.0.0.1:9/ws", { transports: ["longpoll"], fetch: seek });
const gaveUp = seeking.connect().catch(({ code }) => console.log("gave up:", code));
await tried;
await seeking.disconnect();
await gaveUp;
console.log("That was all");

/** The real `fetch`, and a promise that fulfills when it was tried for the first time. */
function noting() {
  let note;
  const tried = new Promise((resolve) => note = resolve);
  return { tried, fetch: (...args) => fetch(...args).finally(note) };
}
