import type { ResourceNote } from "./history.ts";
import type { Terms } from "./rules_delivery.ts";
import type { View } from "./view.ts";

/** I8: after some time everybody is listed who is there, once, and nobody else. */
export function presenceConverges(view: View): string[] {
  return view.entries.filter((it) => it.type === "present").flatMap((it) => {
    const listed = [...it.listed].sort().join(", ");
    const expected = [...it.expected].sort().join(", ");
    return listed === expected
      ? []
      : [`${it.observer} lists on ${it.channel}: ${listed}; there are: ${expected}`];
  });
}

/** I9: after the load a process is about as large as before. */
export function boundedResources(view: View, { growth }: Terms): string[] {
  const before = new Map<string, ResourceNote>();
  const wrong: string[] = [];
  for (const entry of view.entries) {
    if (entry.type !== "resource") continue;
    const { node, moment, rss, fds } = entry;
    if (moment === "before") before.set(node, entry);
    const start = before.get(node);
    if (moment === "before" || start === undefined) continue;
    const more = Math.round((rss - start.rss) / (1 << 20));
    if (rss - start.rss > growth.rss) wrong.push(`${node} has ${more} MiB more than before`);
    if (fds - start.fds > growth.fds) {
      wrong.push(`${node} has ${fds - start.fds} more open files than before`);
    }
  }
  return wrong;
}

/** I11: no process ends, or writes of an error that nobody caught, and no client is turned away. */
export function survival(view: View): string[] {
  return view.entries.flatMap((it) => {
    if (it.type === "node") return [`${it.node} ${it.what}: ${it.detail}`];
    return it.type === "closed" ? [`${it.client} was turned away: ${it.code}`] : [];
  });
}
