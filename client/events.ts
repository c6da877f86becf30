import type { StateName, Transport } from "./lifecycle.ts";
import type { Message } from "./message.ts";
import type { Code } from "./protocol/codes.ts";
import type { AnyMessage } from "./payloads.ts";
import type { Json } from "./protocol/frames.ts";

/** A present client. */
export interface PresenceMember {
  /** Its client id. */
  readonly clientId: string;
  /** `online`, `idle`, `offline` or a status of the application. */
  readonly status: string;
  /** When it was heard last, in Unix seconds. */
  readonly lastSeen: number;
  /** What it says of itself. */
  readonly metadata: { readonly [key: string]: Json };
  /** Channels that it is in. */
  readonly channels: readonly string[];
}

/** Who is present, in one channel or anywhere. */
export interface PresenceList {
  /** The channel; `null` for anywhere. */
  readonly channel: string | null;
  /** The present clients. */
  readonly clients: readonly PresenceMember[];
}

/** Another client came, went or changed. */
export interface PresenceChange {
  /** Channel that the client is in. */
  readonly channel: string;
  /** Its client id. */
  readonly clientId: string;
  /** Its status. */
  readonly status: string;
  /** What it says of itself, where the gateway tells. */
  readonly metadata: { readonly [key: string]: Json } | undefined;
}

/** Messages of a channel are gone and will not come; delivery goes on after them. */
export interface Gap {
  /** The channel. */
  readonly channel: string;
  /** Why: they expired or were trimmed by a limit (`retention`), or the log is another one (`epoch`). */
  readonly reason: "retention" | "epoch";
  /** Epoch of the log that delivery goes on in. */
  readonly epoch: string;
  /** Highest number that is gone. */
  readonly seq: number;
}

/** Something went wrong that no promise tells of. */
export interface ClientError {
  /** What was thrown, or a `PushError`. */
  readonly error: unknown;
  /**
   * Where: in a handler of messages, in the schema of a subscription, in a listener of events, in
   * `authToken`, in what the gateway sent, or in keeping publishes.
   */
  readonly origin: "handler" | "schema" | "listener" | "token" | "gateway" | "outbox";
  /** The channel, where one is meant. */
  readonly channel: string | undefined;
  /** The message whose handler or schema failed. */
  readonly message: Message | undefined;
}

/** The client is in another state, or on another transport. */
export interface StateChange {
  /** State now. */
  readonly state: StateName;
  /** State before. */
  readonly previous: StateName;
  /** What led here; `undefined` where nothing went wrong. */
  readonly code: Code | undefined;
  /** The same in words. */
  readonly reason: string;
  /** What to do about it; `undefined` where nothing went wrong. */
  readonly action: string | undefined;
  /** How frames travel now; `undefined` while there is no connection. */
  readonly transport: Transport | undefined;
}

/**
 * Every event of a client, and what its listeners get.
 *
 * @typeParam C payloads by channel, as of `PushClient`
 */
export interface ClientEvents<C = unknown> {
  /** A message, on any subscribed channel. Counts as a handler: see `PushClient.on`. */
  channel_message: AnyMessage<C>;
  /** The answer to `getPresence`. */
  presence_list: PresenceList;
  /** A client has joined a channel. */
  presence_join: PresenceChange;
  /** A client has left a channel. */
  presence_leave: PresenceChange;
  /** A client has changed its status. */
  presence_update: PresenceChange;
  /** Messages are lost. */
  gap: Gap;
  /** Something went wrong that no promise tells of. Without a listener it goes to the console. */
  error: ClientError;
  /** The client's own state has changed. */
  state: StateChange;
}

/** Name of an event. */
export type EventName = keyof ClientEvents;

type Listener<K extends EventName> = (value: ClientEvents[K]) => unknown;

/** Tells listeners. One that throws, or whose promise rejects, disturbs neither the others nor the teller. */
export interface Emitter {
  /** Adds a listener. @returns what removes it */
  on<K extends EventName>(event: K, listener: Listener<K>): () => void;
  /** Calls every listener. */
  emit<K extends EventName>(event: K, value: ClientEvents[K]): void;
  /** Tells of an error. */
  report(
    error: unknown,
    origin: ClientError["origin"],
    about?: { channel?: string; message?: Message },
  ): void;
}

/** Makes an {@linkcode Emitter}. */
export function emitterOf(session: Emitter): Emitter {
  const listeners: { [K in EventName]?: Set<{ readonly call: Listener<never> }> } = {};
  const show = (error: unknown): void => console.error("Push:", error);
  return {
    on(event, call) {
      // The same function added twice is two listeners.
      const entry = { call };
      const all = listeners[event] ??= new Set();
      all.add(entry);
      return () => all.delete(entry);
    },
    emit(event, value) {
      const all = [...listeners[event] ?? []];
      const isError = event === "error";
      if (isError && all.length === 0) show((value as ClientError).error);
      for (const { call } of all) {
        // A throw becomes a rejection; the call itself is made at once.
        (async () => await call(value as never))().catch((error) =>
          isError ? show(error) : session.report(error, "listener")
        );
      }
    },
    report(error, origin, { channel, message } = {}) {
      session.emit("error", { error, origin, channel: channel ?? message?.channel, message });
    },
  };
}
