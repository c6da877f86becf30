import { type Code, PushError } from "@push/client/protocol";
import type { Hub } from "../hub.ts";
import {
  EventEncoder,
  EventStream,
  type StreamOwner,
  type StreamTerms,
} from "../transports/event_stream.ts";
import type { StreamSource } from "../transports/longpoll.ts";

/** The event streams of one gateway: those of pollers, and plain ones. */
export class EventStreams implements StreamSource {
  readonly #hub: Hub;
  readonly #terms: StreamTerms;
  /** Those that are not wholly gone: one whose reader is stuck still holds a descriptor. */
  readonly #open = new Set<EventStream>();

  /** @param hub whose sessions they carry */
  constructor(hub: Hub) {
    this.#hub = hub;
    const { wheel, metrics, settings } = hub.context;
    this.#terms = {
      wheel,
      metrics,
      encoder: new EventEncoder(),
      maxBufferedBytes: settings.limits.maxBufferedBytes,
      settled: (stream) => this.#open.delete(stream),
    };
  }

  /** How many there are. */
  get size(): number {
    return this.#open.size;
  }

  /** See {@linkcode StreamSource.open}. */
  open(owner: StreamOwner, keepalive: string): EventStream {
    const { settings: { limits }, metrics } = this.#hub.context;
    if (this.#open.size >= limits.maxConnections) throw new PushError("too_many_connections");
    const stream = new EventStream(this.#terms, owner, keepalive);
    this.#open.add(stream);
    metrics.count(metrics.connections, "sse");
    return stream;
  }

  /** Counts a connection that this side has closed. */
  closed(code: Code | "normal"): void {
    const { metrics } = this.#hub.context;
    if (code !== "normal" && code !== "slow_consumer") metrics.count(metrics.closed, code);
  }
}
