import type { Cancel } from "./clock.ts";
import { readConnected, readError, readIncoming } from "./incoming.ts";
import type { Ending, Transport } from "./lifecycle.ts";
import { endingOfError, type Link, type LinkEvents, unreachable } from "./links/link.ts";
import { LongPollLink } from "./links/longpoll.ts";
import { WebSocketLink } from "./links/websocket.ts";
import type { ClientSettings } from "./options.ts";
import type { ConnectedFrame } from "./protocol/frames.ts";

/** What an {@linkcode Attempt} tells. It ends with `failed` or `lost`, or with nothing if it is dropped. */
export interface AttemptEvents extends Pick<LinkEvents, "hello" | "positions" | "garbage"> {
  /** The gateway has accepted the client. */
  accepted(link: Link, frame: ConnectedFrame): void;
  /** Values that should be frames, after the acceptance. */
  frames(values: readonly unknown[]): void;
  /** The gateway was not reached in time, or said no. */
  failed(ending: Ending): void;
  /** An accepted link has ended. */
  lost(ending: Ending): void;
}

/** One try to connect over one transport, and what becomes of it. */
export class Attempt {
  readonly #link: Link;
  readonly #events: AttemptEvents;
  readonly #cancel: Cancel;
  #state: "opening" | "accepted" | "over" = "opening";

  /** Opens a link. @param transport which @param settings where and how @param events who hears of it */
  constructor(transport: Transport, settings: ClientSettings, events: AttemptEvents) {
    const { connectTimeout, requestTimeout, clock } = settings;
    this.#events = events;
    // A request over HTTP needs no handshake to be allowed through: only a slow answer is waited for.
    const timeout = transport === "websocket" ? connectTimeout : requestTimeout;
    this.#cancel = clock.schedule(timeout, () => {
      this.#fail(unreachable(`No answer came over ${transport} within ${timeout / 1000} s.`));
    });
    this.#link = openLink(transport, settings, {
      hello: () => events.hello(),
      positions: () => events.positions(),
      frames: (values) => this.#frames(values),
      garbage: (reason) => events.garbage(reason),
      ended: (ending) => {
        if (this.#state === "opening") return this.#fail(ending);
        if (this.#state === "over") return;
        this.#state = "over";
        events.lost(ending);
      },
    });
  }

  /** Ends it without a word. */
  drop(): void {
    this.#state = "over";
    this.#cancel();
    this.#link.drop();
  }

  #frames(values: readonly unknown[]): void {
    let first = 0;
    for (; this.#state === "opening" && first < values.length; first++) {
      this.#opening(values[first]);
    }
    if (this.#state === "accepted") this.#events.frames(values.slice(first));
  }

  #opening(value: unknown): void {
    const frame = readIncoming(value);
    const connected = frame && readConnected(frame);
    const error = frame && readError(frame);
    if (connected) {
      this.#state = "accepted";
      this.#cancel();
      this.#events.accepted(this.#link, connected);
    } else if (error) {
      this.#fail(endingOfError(error.code, error.message));
    } else {
      this.#events.garbage("Something other than the answer to connect arrived.");
    }
  }

  #fail(ending: Ending): void {
    if (this.#state !== "opening") return;
    this.drop();
    this.#events.failed(ending);
  }
}

function openLink(transport: Transport, settings: ClientSettings, events: LinkEvents): Link {
  const { socketUrl, httpUrl, WebSocket, fetch, clock, requestTimeout } = settings;
  return transport === "websocket"
    ? new WebSocketLink({ url: socketUrl, WebSocket: WebSocket!, clock }, events)
    : new LongPollLink({ url: httpUrl, fetch, clock, timeout: requestTimeout }, events);
}
