import type { Code } from "@push/client/protocol";
import type { Hub } from "../hub.ts";
import type { Place } from "../limits/connections.ts";
import {
  EventEncoder,
  EventStream,
  type StreamOwner,
  type StreamTerms,
} from "../transports/event_stream.ts";
import type { StreamSource } from "../transports/longpoll.ts";

interface StreamPlace {
  readonly own: Place;
  readonly poller: Place | undefined;
}

/** The event streams of one gateway: those of pollers, and plain ones. */
export class EventStreams {
  readonly #hub: Hub;
  readonly #terms: StreamTerms;
  /** Those that are not wholly gone: one whose reader is stuck still holds a descriptor. */
  readonly #open = new Map<EventStream, StreamPlace>();

  /** @param hub whose sessions they carry */
  constructor(hub: Hub) {
    this.#hub = hub;
    const { wheel, metrics, settings, log } = hub.context;
    this.#terms = {
      wheel,
      metrics,
      slow: () => log.write("connection.slow", { transport: "sse" }),
      encoder: new EventEncoder(),
      maxBufferedBytes: settings.limits.maxBufferedBytes,
      buffers: hub.context.limits.buffers,
      settled: (stream) => this.#settled(stream),
    };
  }

  /** How many there are. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Where streams to an address come from.
   *
   * @param poller that of the poller whose streams they are; a further one counts by itself
   */
  to(address: string | undefined, poller?: Place): StreamSource {
    return { open: (owner, keepalive) => this.#begin(owner, keepalive, address, poller) };
  }

  #begin(
    owner: StreamOwner,
    keepalive: string,
    address: string | undefined,
    poller: Place | undefined,
  ): EventStream {
    const { limits: { connections }, metrics } = this.#hub.context;
    if (poller === undefined || poller.streams > 0) connections.check(address);
    const stream = new EventStream(this.#terms, owner, keepalive);
    if (poller !== undefined) connections.lend(poller);
    this.#open.set(stream, { own: connections.enter(address), poller });
    metrics.count(metrics.connections, "sse");
    return stream;
  }

  #settled(stream: EventStream): void {
    const place = this.#open.get(stream);
    if (place === undefined) return;
    this.#open.delete(stream);
    const { connections } = this.#hub.context.limits;
    connections.leave(place.own);
    if (place.poller !== undefined) connections.giveBack(place.poller);
  }

  /** Counts a connection that this side has closed. */
  closed(code: Code | "normal"): void {
    const { metrics } = this.#hub.context;
    if (code !== "normal" && code !== "slow_consumer") metrics.count(metrics.closed, code);
  }
}
