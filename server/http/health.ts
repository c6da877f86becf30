import type { Json } from "@push/client/protocol";
import type { Hub } from "../hub.ts";
import { limitHits } from "../limits/hits.ts";
import type { Metrics } from "../metrics.ts";
import type { StoreStats } from "../stores/store.ts";
import { json } from "./respond.ts";

/** What health and metrics tell of. */
export interface Vitals {
  readonly hub: Hub;
  readonly sockets: number;
  readonly pollers: number;
  /** Event streams, those of pollers among them. */
  readonly streams: number;
}

/** How health is told. */
export interface HealthTerms {
  /** Milliseconds since the start. */
  readonly uptime: number;
  /** Whether the gateway is shutting down, or has. */
  readonly draining: boolean;
  /** Whether the asker may see more than that the gateway lives. */
  readonly detailed: boolean;
  /** Whether the asker only wants to know that the process answers. */
  readonly alive: boolean;
}

/**
 * `GET /health`: whether to send clients here. 200 while the gateway takes work; 503 while it drains,
 * or is `degraded`: its store fails, so publishes and new sessions do, too. Connected clients stay
 * connected then, and get the rest once the store is back.
 *
 * A probe that decides about a restart asks `GET /health?probe=live` instead: 200 for as long as the
 * process answers, for a restart mends neither.
 */
export async function health(
  vitals: Vitals | undefined,
  { uptime, draining, detailed, alive }: HealthTerms,
): Promise<Response> {
  const answer = (status: "ok" | "degraded" | "draining", push: Json) =>
    json(
      { status, uptime: Math.round(uptime / 1000), push },
      status === "ok" || alive ? 200 : 503,
    );
  if (vitals === undefined) return answer(draining ? "draining" : "ok", { enabled: false });
  const { store } = vitals.hub.context;
  const stats = await statsOf(vitals.hub);
  const status = draining ? "draining" : stats === undefined ? "degraded" : "ok";
  if (!detailed) return answer(status, { enabled: true });
  const trouble = store.trouble ?? "The store does not answer.";
  return answer(status, {
    enabled: true,
    connections: { websocket: vitals.sockets, sse: vitals.streams, longpoll: vitals.pollers },
    sessions: vitals.hub.sessionCount,
    present: vitals.hub.presence.size,
    store: stats === undefined
      ? { name: store.name, available: false, trouble }
      : { name: store.name, available: true, ...stats },
    ...clusterOf(vitals.hub),
  });
}

/** What the store holds; `undefined` if it fails. One that is known to fail is not waited for. */
async function statsOf(hub: Hub): Promise<StoreStats | undefined> {
  if (hub.context.store.trouble !== undefined) return undefined;
  try {
    return await hub.stats();
  } catch {
    return undefined;
  }
}

/** This node among the others; nothing where there are none. */
function clusterOf({ context: { store: { cluster }, roster } }: Hub): { [key: string]: Json } {
  if (cluster === undefined) return {};
  return { cluster: { node: cluster.node, nodes: roster?.nodes ?? [cluster.node] } };
}

/**
 * `GET /metrics`, in the text format of Prometheus (version 0.0.4). Where several nodes share one
 * store, `push_nodes` counts those that live, as far as this one knows, `push_node_info` names this
 * one, `push_cluster_errors_total` counts what failed between them, and `push_polls_moved_total` the
 * long-pollers that came from another node.
 */
export async function metrics({ hub, sockets, pollers, streams }: Vitals): Promise<Response> {
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
  family("limit_hits_total", "counter", "Requests and frames beyond a limit.", limitHits(counters));
  family("connections", "gauge", "Connections now.", [
    ['{transport="websocket"}', sockets],
    ['{transport="sse"}', streams],
    ['{transport="longpoll"}', pollers],
  ]);
  family("sessions_attached", "gauge", "Sessions that have a connection.", [[
    "",
    hub.sessionCount,
  ]]);
  family("present", "gauge", "Clients present.", [["", hub.presence.size]]);
  const { cluster } = store;
  if (cluster !== undefined) {
    const nodes = hub.context.roster?.nodes.length ?? 1;
    family("nodes", "gauge", "Nodes that live, this one among them.", [["", nodes]]);
    family("node_info", "gauge", "This node.", [[`{node="${cluster.node}"}`, 1]]);
  }
  const stats = await statsOf(hub);
  const up = stats === undefined ? 0 : 1;
  family("store_up", "gauge", "Whether the store answers.", [[`{store="${store.name}"}`, up]]);
  if (stats !== undefined) {
    for (const [field, name, type, help] of STATS) family(name, type, help, [["", stats[field]]]);
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
  ["clusterErrors", "cluster_errors_total", "Exchanges with other nodes that failed."],
  ["pollsMoved", "polls_moved_total", "Long-pollers that came from another node."],
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
  ["quarantined", "store_quarantined_total", "counter", "Stored entries that nobody can read."],
] as const;

function* by(label: string, counts: ReadonlyMap<string, number>): Generator<[string, number]> {
  for (const [value, count] of counts) yield [`{${label}="${value}"}`, count];
}
