import type { Hub } from "../hub.ts";
import type { Metrics } from "../metrics.ts";
import { json } from "./respond.ts";

/** What health and metrics tell of. */
export interface Vitals {
  readonly hub: Hub;
  readonly sockets: number;
  readonly pollers: number;
}

/** How health is told. */
export interface HealthTerms {
  /** Milliseconds since the start. */
  readonly uptime: number;
  /** Whether the gateway is shutting down, or has. */
  readonly draining: boolean;
  /** Whether the asker may see more than that the gateway lives. */
  readonly detailed: boolean;
}

/** `GET /health`: 200 while the gateway takes work, 503 while it drains or its store is away. */
export async function health(
  vitals: Vitals | undefined,
  { uptime, draining, detailed }: HealthTerms,
): Promise<Response> {
  const common = {
    status: draining ? "draining" : "ok",
    uptime: Math.round(uptime / 1000),
  };
  const status = draining ? 503 : 200;
  if (vitals === undefined) return json({ ...common, push: { enabled: false } }, status);
  const { hub, sockets, pollers } = vitals;
  try {
    const store = await hub.stats();
    const push = !detailed ? { enabled: true } : {
      enabled: true,
      connections: { websocket: sockets, longpoll: pollers },
      sessions: hub.sessionCount,
      present: hub.presence.size,
      store: { name: hub.context.store.name, ...store },
    };
    return json({ ...common, push }, status);
  } catch {
    const push = { enabled: true, store: { name: hub.context.store.name, available: false } };
    return json({ ...common, status: draining ? "draining" : "degraded", push }, 503);
  }
}

/** `GET /metrics`, in the text format of Prometheus (version 0.0.4). */
export async function metrics({ hub, sockets, pollers }: Vitals): Promise<Response> {
  const lines: string[] = [];
  const family = (
    name: string,
    type: "counter" | "gauge",
    help: string,
    samples: Iterable<readonly [labels: string, value: number]>,
  ) => {
    lines.push(`# HELP push_${name} ${help}`, `# TYPE push_${name} ${type}`);
    for (const [labels, value] of samples) lines.push(`push_${name}${labels} ${value}`);
  };
  const { metrics: counters, store } = hub.context;
  for (const [field, name, help] of COUNTERS) {
    family(name, "counter", help, [["", counters[field]]]);
  }
  family(
    "connections_total",
    "counter",
    "Connections accepted.",
    by("transport", counters.connections),
  );
  family(
    "closed_total",
    "counter",
    "Connections closed by the gateway.",
    by("code", counters.closed),
  );
  family("errors_total", "counter", "Errors answered.", by("code", counters.errors));
  family("connections", "gauge", "Connections now.", [
    ['{transport="websocket"}', sockets],
    ['{transport="longpoll"}', pollers],
  ]);
  family("sessions_attached", "gauge", "Sessions that have a connection.", [[
    "",
    hub.sessionCount,
  ]]);
  family("present", "gauge", "Clients present.", [["", hub.presence.size]]);
  try {
    const stats = await hub.stats();
    family("store_up", "gauge", "Whether the store answers.", [[`{store="${store.name}"}`, 1]]);
    for (const [field, name, type, help] of STATS) family(name, type, help, [["", stats[field]]]);
  } catch {
    family("store_up", "gauge", "Whether the store answers.", [[`{store="${store.name}"}`, 0]]);
  }
  return new Response(lines.join("\n") + "\n", {
    headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
  });
}

type CounterName = {
  [Key in keyof Metrics]: Metrics[Key] extends number ? Key : never;
}[keyof Metrics];

const COUNTERS: readonly (readonly [field: CounterName, name: string, help: string])[] = [
  ["published", "published_total", "Messages stored."],
  ["duplicates", "duplicates_total", "Publishes answered with the result of an earlier one."],
  ["publishErrors", "publish_errors_total", "Publishes that failed."],
  ["delivered", "delivered_total", "Messages delivered for the first time."],
  ["redelivered", "redelivered_total", "Messages delivered again."],
  ["acknowledged", "acknowledged_total", "Messages acknowledged."],
  ["refused", "refused_total", "Messages refused by a nack."],
  ["timedOut", "timed_out_total", "Deliveries not acknowledged in time."],
  ["deadLettered", "dead_lettered_total", "Messages given up."],
  ["redriven", "redriven_total", "Messages put back from the dead letters."],
  ["gaps", "gaps_total", "Gap notices sent."],
  ["logReads", "log_reads_total", "Pages read for subscribers behind."],
  ["commitErrors", "commit_errors_total", "Writes of positions that failed."],
];

const STATS = [
  ["channels", "channels", "gauge", "Channels known."],
  ["messages", "messages", "gauge", "Messages kept."],
  ["bytes", "bytes", "gauge", "Bytes that the kept messages count."],
  ["sessions", "sessions", "gauge", "Sessions known."],
  ["deadLetters", "dead_letters", "gauge", "Dead letters kept."],
  ["evicted", "evicted_total", "counter", "Messages dropped by a size limit."],
  ["expired", "expired_total", "counter", "Messages dropped by age."],
  ["sessionsForgotten", "sessions_forgotten_total", "counter", "Sessions dropped by the limit."],
] as const;

function* by(label: string, counts: ReadonlyMap<string, number>): Generator<[string, number]> {
  for (const [value, count] of counts) yield [`{${label}="${value}"}`, count];
}
