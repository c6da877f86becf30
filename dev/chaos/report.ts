import type { Outcome } from "./scenario.ts";
import { View } from "./view.ts";

/** Violations of one invariant that are printed. */
const MOST_PRINTED = 10;

/** What became of a scenario, for people. */
export function report({ findings, entries, failure }: Outcome): string {
  const view = new View(entries);
  const publishes = [...view.publishes.values()];
  const answered = (phase: string) => publishes.filter((it) => it.phase === phase).length;
  const deliveries = view.seats.flatMap((seat) => seat.deliveries);
  const lines = [
    `  publishes   ${publishes.length}: ${answered("ok")} stored, ${answered("fail")} refused, ` +
    `${answered("unknown")} unknown${codes(view)}`,
    `  deliveries  ${deliveries.length}, ${deliveries.filter(({ retry }) => retry > 0).length} ` +
    `of them retries; ${view.seats.flatMap(({ dead }) => dead).length} dead letters`,
    `  gaps        ${view.seats.flatMap(({ gaps }) => gaps).length} told; ${told(view)} ` +
    `deliveries that they stand for`,
    `  faults      ${view.faults.filter(({ type }) => type === "fault").length}`,
  ];
  for (const { invariant, violations } of findings) {
    if (violations.length === 0) continue;
    lines.push(`  ${invariant} is broken ${violations.length} times:`);
    lines.push(...violations.slice(0, MOST_PRINTED).map((violation) => `    ${violation}`));
    if (violations.length > MOST_PRINTED) lines.push("    …");
  }
  if (failure !== undefined) lines.push(`  It went wrong: ${failure}`);
  const broken = findings.filter(({ violations }) => violations.length > 0);
  if (broken.length === 0 && failure === undefined) lines.push("  every promise was kept");
  return lines.join("\n");
}

/** Why publishes were not answered, and how often. */
function codes(view: View): string {
  const counts = new Map<string, number>();
  for (const { code } of view.publishes.values()) {
    if (code !== undefined) counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  const texts = [...counts].map(([code, count]) => `${code} ${count}`);
  return texts.length > 0 ? ` (${texts.join(", ")})` : "";
}

/** Messages that did not arrive where they were owed, since their loss was told. */
function told(view: View): number {
  return view.seats.flatMap((seat) => {
    const got = new Set([...seat.deliveries, ...seat.dead].map(({ id }) => id));
    return view.owed(seat).filter((it) => !got.has(it.id) && view.isTold(seat, it));
  }).length;
}
