import { formatEventId, type Json } from "@push/client/protocol";
import type { HubEvents } from "./context.ts";
import type { Log } from "./logging/log.ts";

/** What a gateway tells the program that embeds it. */
export interface GatewayEvents {
  /** A client's session got a connection. */
  connected(event: { readonly clientId: string; readonly transport: string }): void;
  /** A client's session lost its connection; the session may go on. */
  disconnected(event: { readonly clientId: string; readonly transport: string }): void;
  /** A message was stored. */
  published(event: {
    readonly channel: string;
    readonly eventId: string;
    readonly seq: number;
    /** Client id of the publisher; null if it was no client. */
    readonly source: string | null;
    readonly data: Json;
  }): void;
  /** A subscription gave a message up. */
  deadLettered(event: {
    readonly channel: string;
    readonly clientId: string;
    readonly eventId: string;
    readonly data: Json;
    /** Deliveries that failed. */
    readonly attempts: number;
    readonly reason: "timeout" | "nack";
  }): void;
}

/** Name of an event of {@linkcode GatewayEvents}. */
export type GatewayEvent = keyof GatewayEvents;

/** Every event there is. */
export const EVENT_NAMES: readonly GatewayEvent[] = Object.keys(
  {
    connected: true,
    disconnected: true,
    published: true,
    deadLettered: true,
  } satisfies Record<GatewayEvent, true>,
) as GatewayEvent[];

/** Handlers of an embedding program. */
export class Listeners {
  readonly #handlers = new Map<GatewayEvent, Set<(event: never) => void>>();
  readonly #log: Log;

  /** @param log where failures of handlers are told */
  constructor(log: Log) {
    this.#log = log;
  }

  /** What the hub calls. Payloads are parsed only where somebody listens. */
  readonly hubEvents: HubEvents = {
    attached: (clientId, transport) => {
      if (this.#log.isDebugging) this.#log.write("connection.opened", { clientId, transport });
      this.#emit("connected", () => ({ clientId, transport }));
    },
    detached: (clientId, transport) => {
      if (this.#log.isDebugging) this.#log.write("connection.closed", { clientId, transport });
      this.#emit("disconnected", () => ({ clientId, transport }));
    },
    published: (channel, epoch, { seq, source, payload }) =>
      this.#emit("published", () => ({
        channel,
        eventId: formatEventId(channel, epoch, seq),
        seq,
        source,
        data: JSON.parse(payload),
      })),
    deadLettered: (clientId, { channel, epoch, message, attempts, reason }) =>
      this.#emit("deadLettered", () => ({
        channel,
        clientId,
        eventId: formatEventId(channel, epoch, message.seq),
        data: JSON.parse(message.payload),
        attempts,
        reason,
      })),
  };

  /** Adds a handler; returns what removes it. */
  add<Event extends GatewayEvent>(event: Event, handler: GatewayEvents[Event]): () => void {
    let handlers = this.#handlers.get(event);
    if (handlers === undefined) this.#handlers.set(event, handlers = new Set());
    handlers.add(handler);
    return () => handlers.delete(handler);
  }

  #emit<Event extends GatewayEvent>(
    event: Event,
    detail: () => Parameters<GatewayEvents[Event]>[0],
  ): void {
    const handlers = this.#handlers.get(event);
    if (handlers === undefined || handlers.size === 0) return;
    const value = detail();
    for (const handler of handlers) {
      const report = (error: unknown) =>
        this.#log.failure("handler.failed", error, { about: event });
      try {
        // A handler may be async: left alone, its rejection would end the process.
        Promise.resolve(handler(value as never)).catch(report);
      } catch (error) {
        report(error);
      }
    }
  }
}
