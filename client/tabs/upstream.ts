import { attempt } from "../attempt.ts";
import { type Cancel, randomId } from "../clock.ts";
import type { Ending } from "../lifecycle.ts";
import type { Link } from "../links/link.ts";
import type { ClientSettings } from "../options.ts";
import type { ConnectedFrame, ConnectFrame, PollBody } from "../protocol/frames.ts";
import { PROTOCOL_VERSION } from "../protocol/limits.ts";
import { type Terms, termsOf } from "../terms.ts";
import { type Kept, readKept, writeKept } from "./kept.ts";
import type { TabStorage } from "./platform.ts";

/** What an {@linkcode Upstream} needs, and tells. */
export interface UpstreamParts {
  readonly settings: ClientSettings;
  /** Name of the group of tabs. */
  readonly group: string;
  readonly storage: TabStorage | undefined;
  /** What the next attempt says beside the name: the newest token, and the first subscriptions. */
  hello(): Pick<ConnectFrame, "token" | "session_ttl" | "subscriptions">;
  /** What to state in a poll. */
  positions(): PollBody["positions"];
  /** The gateway has accepted the session. */
  connected(frame: ConnectedFrame): void;
  /** Values that should be frames. */
  frames(values: readonly unknown[]): void;
  /** There is no connection, or none any more. */
  ended(ending: Ending): void;
}

/** Milliseconds that the gateway may take to answer a sign of life. */
const PATIENCE = 10_000;
/** Milliseconds after which a connection counts as steady. */
const STEADY = 10_000;
/** Milliseconds between looks for a better transport. */
const LOOK = 60_000;

/**
 * The group's one session at the gateway, and its connection while there is one: over the first
 * transport that works. It never comes back by itself: the tabs do, and it with them.
 */
export class Upstream {
  readonly #parts: UpstreamParts;
  readonly #instance: string;
  readonly #timers: Set<Cancel> = new Set();
  /** What the gateway said last. */
  readonly #terms: Terms = termsOf({});
  #kept: Kept | undefined;
  #attempt = 0;
  /** Number of the transport. */
  #transport = 0;
  #link: Link | undefined;
  #connected: ConnectedFrame | undefined;
  /** Milliseconds of the clock. */
  #connectedAt = 0;
  #isSteady = false;
  #cancelWatch: Cancel | undefined;
  /** Ends the attempt under way, or the link that came of it. */
  #end: (() => void) | undefined;

  /** @param parts what it needs, and tells */
  constructor(parts: UpstreamParts) {
    const { settings: { random, clientId }, storage, group } = parts;
    this.#parts = parts;
    this.#instance = randomId(random);
    this.#kept = clientId === undefined ? readKept(storage, group) : undefined;
  }

  /** What the gateway has said; `undefined` without a connection. */
  get connected(): ConnectedFrame | undefined {
    const left = this.#connected?.token_expires_in;
    if (left === undefined) return this.#connected;
    // For a tab that comes later the token ends sooner.
    const age = this.#parts.settings.clock.now() - this.#connectedAt;
    return { ...this.#connected!, token_expires_in: Math.max(left - age / 1000, 0) };
  }

  /** Whether answers and messages come by one way. */
  get isOrdered(): boolean {
    return this.#parts.settings.transports[this.#transport] === "websocket";
  }

  /** Connects, unless that is under way. */
  connect(): void {
    if (!this.#end) this.#open(this.#transport);
  }

  /** Sends a frame at the end of this turn. */
  send(frame: Readonly<Record<string, unknown>>): void {
    this.#link?.send(JSON.stringify(frame));
  }

  /** Sends what waits, at once. */
  flush(): void {
    this.#link?.flush();
  }

  /** Lets go of what is on its way over HTTP: it comes again where it is wanted. */
  renew(): void {
    this.#link?.renew?.();
  }

  /** The gateway is to say something soon. */
  expect(): void {
    if (!this.#link) return;
    this.#cancelWatch ??= this.#after(PATIENCE, () => {
      this.lose("connection_failed", `Nothing was heard for ${PATIENCE / 1000} s.`);
    });
  }

  /** Gives the connection up, so that the tabs come back. */
  lose(code: Ending["code"], reason: string): void {
    this.drop();
    this.#parts.ended({ code, reason, final: false });
  }

  /** Says goodbye; an unnamed session ends. @returns a promise that fulfills when all is said */
  leave(forget: boolean): Promise<void> {
    const link = this.#link;
    if (forget || this.#parts.settings.clientId === undefined) this.#keep(undefined);
    this.#end = undefined;
    this.#clear();
    const goodbye = JSON.stringify({ type: "disconnect", ...forget && { forget } });
    return new Promise((resolve) => link ? link.leave(goodbye, resolve) : resolve());
  }

  /** Ends the connection without a word; the session stays. */
  drop(): void {
    const end = this.#end;
    this.#end = undefined;
    this.#clear();
    end?.();
  }

  #open(index: number): void {
    const { settings, ...events } = this.#parts;
    const transport = settings.transports[index];
    let isOver = false;
    this.#transport = index;
    const end = attempt(transport, { ...settings, terms: this.#terms }, {
      hello: () => this.#hello(),
      positions: () => events.positions(),
      garbage() {},
      accepted: (link, frame) => {
        const accepted = (): void => this.#accepted(link, frame);
        // Nobody is connected before messages can come.
        if (transport === "sse") link.stream!((failure) => failure ? end(failure) : accepted());
        else accepted();
      },
      frames: (values) => {
        this.#cancelWatch?.();
        this.#cancelWatch = undefined;
        events.frames(values);
      },
      ended: (ending) => {
        isOver = true;
        this.#ended(ending);
      },
    });
    if (!isOver) this.#end = end;
  }

  #hello(): ConnectFrame {
    const { clientId } = this.#parts.settings;
    const kept = this.#kept;
    return {
      type: "connect",
      version: PROTOCOL_VERSION,
      ...this.#parts.hello(),
      ...clientId !== undefined && { client_id: clientId },
      ...kept && { client_id: kept.clientId },
      ...kept?.secret !== undefined && { secret: kept.secret },
      instance: this.#instance,
      attempt: ++this.#attempt,
    };
  }

  #accepted(link: Link, frame: ConnectedFrame): void {
    const { client_id: clientId, secret } = frame;
    Object.assign(this.#terms, termsOf(frame));
    this.#link = link;
    this.#connected = frame;
    this.#connectedAt = this.#parts.settings.clock.now();
    if (this.#parts.settings.clientId === undefined) {
      const known = this.#kept?.clientId === clientId ? this.#kept.secret : undefined;
      this.#keep({ clientId, secret: secret ?? known });
    }
    this.#after(STEADY, () => this.#isSteady = true);
    this.#look();
    this.#parts.connected(frame);
  }

  #ended(ending: Ending): void {
    const { transports } = this.#parts.settings;
    const wasUp = this.#link !== undefined;
    const next = this.#transport + 1;
    // Polls, or a stream, that a proxy cuts.
    const isBroken = wasUp && this.#transport > 0 && !this.#isSteady;
    const { code } = ending;
    this.#end = undefined;
    this.#clear();
    if (!wasUp && code === "connection_failed" && next < transports.length) return this.#open(next);
    this.#transport = isBroken ? next % transports.length : 0;
    if (!wasUp && this.#kept && (code === "bad_secret" || code === "unknown_session")) {
      this.#keep(undefined);
      return this.connect();
    }
    this.#parts.ended(ending);
  }

  /** Sees from time to time whether WebSockets work by now. */
  #look(): void {
    const { WebSocket, socketUrl, transports } = this.#parts.settings;
    if (this.isOrdered || transports[0] !== "websocket" || !WebSocket) return;
    this.#after(LOOK, () => {
      const link = this.#link;
      try {
        const socket = new WebSocket(socketUrl);
        socket.onerror = () => {};
        socket.onopen = () => {
          socket.close(1000);
          if (link !== this.#link) return;
          this.#transport = 0;
          this.lose("going_away", "A better transport works by now.");
        };
      } catch {
        // The page may not open one.
      }
      this.#look();
    });
  }

  #keep(kept: Kept | undefined): void {
    const { storage, group } = this.#parts;
    this.#kept = kept;
    writeKept(storage, group, kept);
  }

  #clear(): void {
    this.#link = this.#connected = this.#cancelWatch = undefined;
    this.#isSteady = false;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #after(delay: number, task: () => void): Cancel {
    const cancel = this.#parts.settings.clock.schedule(delay, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }
}
