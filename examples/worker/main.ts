/**
 * A worker that calls webhooks: each message of `jobs` is a request to be made, acknowledged when it
 * has succeeded, refused with a growing wait when not.
 *
 *     deno run -A examples/worker/main.ts work
 *     deno run -A examples/worker/main.ts add http://127.0.0.1:8000/hook '{"order":1}'
 *     deno run -A examples/worker/main.ts dead
 *     deno run -A examples/worker/main.ts redrive
 *
 * `PUSH_URL` is the gateway (`ws://127.0.0.1:8765/ws`), `PUSH_TOKEN` its token, `RETRY_DELAY` the
 * seconds before the first retry (5).
 *
 * @module
 */
import { PushClient } from "@push/client";

/** A request to be made. */
interface Job {
  url: string;
  body: string;
}

/** A job that was given up. */
interface DeadLetter {
  event_id: string;
  data: Job;
  attempts: number;
}

const url = Deno.env.get("PUSH_URL") ?? "ws://127.0.0.1:8765/ws";
const authToken = Deno.env.get("PUSH_TOKEN");
const retryDelay = Number(Deno.env.get("RETRY_DELAY") ?? 5);

const commands: Record<string, (...words: string[]) => Promise<void>> = {
  work,
  add,
  dead,
  redrive,
};
const [command = "work", ...words] = Deno.args;
if (!Object.hasOwn(commands, command)) {
  console.error(`Cannot ${command}: type one of ${Object.keys(commands).join(", ")}`);
  Deno.exit(2);
}
await commands[command](...words);

async function work(): Promise<void> {
  const client = new PushClient(url, { authToken, clientId: "webhooks" });
  client.on("state", ({ state, reason }) => console.log(`${state}: ${reason}`));
  const running = new Set<string>();
  let isStopping = false;
  const stop = async () => {
    isStopping = true;
    console.log(`Stopping after ${running.size} jobs`);
    if (running.size === 0) await client.disconnect();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, stop);

  await client.connect();
  // The first time it begins with the next job, from then on where it was.
  await client.subscribe<Job>("jobs", async (message) => {
    // What is not settled comes again at the next start.
    if (isStopping) return;
    const { eventId, data, retryCount } = message;
    running.add(eventId);
    try {
      console.log(`${eventId}: calls ${data.url}`);
      await call(data, eventId);
      message.ack();
      console.log(`${eventId}: done`);
    } catch (error) {
      message.nack({ delay: Math.min(retryDelay * 2 ** retryCount, 3600) });
      console.log(`${eventId}: failed ${retryCount + 1} times: ${error}`);
    }
    running.delete(eventId);
    if (isStopping && running.size === 0) await client.disconnect();
  }, { ack: "manual", concurrency: 4 });
  console.log("Waiting for jobs");

  const { code, reason } = await client.waitClosed();
  if (!isStopping) throw new Error(`The worker was closed: ${reason} (${code})`);
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.removeSignalListener(signal, stop);
}

/** Makes the request. @throws if the answer is no success */
async function call({ url, body }: Job, key: string): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    body,
    // A worker that dies between the call and the acknowledgement calls again: the key tells so.
    headers: { "content-type": "application/json", "idempotency-key": key },
    signal: AbortSignal.timeout(20_000),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`The answer was ${response.status}`);
}

async function add(url: string, body: string): Promise<void> {
  const job = { channel: "jobs", data: { url, body } };
  console.log(`Added ${(await api<{ event_id: string }>("publish", job)).event_id}`);
}

/** Lists the jobs that were given up. */
async function dead(): Promise<void> {
  const { dead_letters } = await api<{ dead_letters: DeadLetter[] }>("dead-letters?channel=jobs");
  for (const { event_id, data, attempts } of dead_letters) {
    console.log(`${event_id}: ${data.url} failed ${attempts} times`);
  }
  console.log(`${dead_letters.length} dead letters`);
}

/** Puts them back, with no attempts counted. */
async function redrive(): Promise<void> {
  const { redriven } = await api<{ redriven: number }>("dead-letters/redrive", { channel: "jobs" });
  console.log(`${redriven} jobs are put back`);
}

/** Asks the gateway over HTTP. */
async function api<T>(path: string, body?: unknown): Promise<T> {
  const base = url.replace(/^ws/, "http").replace(/\/ws$/, "");
  const response = await fetch(`${base}/api/push/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: authToken === undefined ? {} : { authorization: `Bearer ${authToken}` },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`The gateway answered ${await response.text()}`);
  return await response.json();
}
