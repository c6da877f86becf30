/**
 * Listens to channels and prints what comes, through lost connections and nodes:
 *
 *     deno run -A examples/cluster/listen.ts ws://127.0.0.1:8765/ws news
 *
 * @module
 */
import { PushClient } from "@push/client";

const [url = "ws://127.0.0.1:8765/ws", ...channels] = Deno.args;
const client = new PushClient(url);

client.on("state", ({ state, reason }) => console.log(`${state}: ${reason}`));
client.on("gap", ({ channel, seq }) => console.log(`${channel}: messages up to ${seq} are lost`));
await client.connect();
for (const channel of channels.length > 0 ? channels : ["news"]) {
  await client.subscribe(channel, ({ data }) => console.log(`${channel}:`, data));
  console.log(`listens to ${channel}`);
}
