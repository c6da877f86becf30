/**
 * An agent that summarises alerts: it subscribes to `alerts`, and publishes a summary of each on
 * `summaries`.
 *
 *     OPENAI_API_KEY=… deno run -A examples/agent/main.ts [ws://127.0.0.1:8765/ws]
 *
 * @module
 */
import { PushClient } from "@push/client";
// The types of the whole package bring those of an old Node along, which hide newer ones.
// @ts-types="praisonai/dist/agent/simple.d.ts"
import { Agent } from "praisonai";

const [url = "ws://127.0.0.1:8765/ws"] = Deno.args;

const agent = new Agent({
  name: "alerts-agent",
  instructions: "Watch the 'alerts' channel and summarise incoming events",
  llm: Deno.env.get("OPENAI_MODEL_NAME") ?? "gpt-4o-mini",
  markdown: false,
  verbose: false,
});

// With a name of its own, what comes while the agent is away waits for it.
const client = new PushClient(url, {
  authToken: Deno.env.get("PUSH_TOKEN"),
  clientId: "alerts-agent",
});
client.on("state", ({ state, reason }) => console.error(`${state}: ${reason}`));
await client.connect();

await client.subscribe("alerts", async ({ data, eventId }) => {
  // The agent prints what it says. If it fails, the alert comes again later.
  const summary = await agent.start(`Summarise this alert: ${JSON.stringify(data)}`);
  console.log();
  // The id makes it one summary, even if the agent dies before the alert is acknowledged.
  await client.publish("summaries", { alert: eventId, summary }, { id: eventId });
});
console.log("Watching alerts");

await client.waitClosed();
Deno.exit(1);
