import type { Json } from "@push/client/protocol";
import { idOf, type Subscriber } from "./subscriber.ts";
import type { World } from "./world.ts";

/** Longest time in milliseconds until a list of who is present is right. */
const PRESENCE_PATIENCE = 12_000;

async function get(url: string): Promise<Record<string, Json>> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  return await response.json();
}

/** Notes what every gateway lists for every channel, once it is right or there was time enough. */
export async function notePresence(
  world: World,
  subscribers: readonly Subscriber[],
): Promise<void> {
  const channels = new Set(subscribers.flatMap(({ channels }) => channels));
  const end = performance.now() + PRESENCE_PATIENCE;
  for (const gateway of world.gateways.filter(({ running }) => running)) {
    for (const channel of channels) {
      const expected = subscribers.filter((it) => it.channels.includes(channel))
        .map(({ name }) => name).sort();
      let listed: string[] = [];
      await world.until(async () => {
        const url = `${gateway.http}/api/push/presence?channel=${channel}`;
        const { presence } = await get(url).catch(() => ({ presence: [] }));
        const entries = presence as { client_id: string }[] | undefined ?? [];
        listed = entries.map(({ client_id }) => client_id).sort();
        return listed.join() === expected.join();
      }, end - performance.now());
      world.history.note({ type: "present", observer: gateway.name, channel, listed, expected });
    }
  }
}

/** Notes every dead letter that the gateways know of. */
export async function collectDeadLetters(world: World): Promise<void> {
  const gateway = world.gateways.find(({ running }) => running);
  if (gateway === undefined) return;
  const answer = await get(`${gateway.http}/api/push/dead-letters?limit=1000`);
  const letters = answer.dead_letters as Record<string, Json>[] | undefined ?? [];
  for (const { session, channel, data, attempts } of letters) {
    world.history.note({
      type: "dead",
      // A session is named after its kind, the client and the subject.
      client: String(session).split(":")[1],
      channel: String(channel),
      id: idOf(data),
      attempts: Number(attempts),
    });
  }
}

/** Notes what each gateway's process uses. */
export async function noteResources(world: World, moment: "before" | "after"): Promise<void> {
  for (const gateway of world.gateways.filter(({ running }) => running)) {
    const node = `${gateway.name} (process ${gateway.pid})`;
    const used = await resourcesOf(gateway.pid);
    if (used !== undefined) world.history.note({ type: "resource", node, moment, ...used });
  }
}

/** Memory and open files of a process; `undefined` where the system does not tell. */
async function resourcesOf(pid: number): Promise<{ rss: number; fds: number } | undefined> {
  try {
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
    const fds = (await Array.fromAsync(Deno.readDir(`/proc/${pid}/fd`))).length;
    return { rss: kib * 1024, fds };
  } catch {
    return undefined;
  }
}
