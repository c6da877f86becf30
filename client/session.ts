import { type Acks, acksOf } from "./acks.ts";
import { type Channels, channelsOf } from "./channels.ts";
import { type Connector, connectorOf } from "./connector.ts";
import { Deferred } from "./deferred.ts";
import { type Emitter, emitterOf } from "./events.ts";
import { type Heartbeat, heartbeatOf } from "./heartbeat.ts";
import { type Identity, identityOf } from "./identity.ts";
import { keeperOf } from "./keeper.ts";
import type { Closed, StateName } from "./lifecycle.ts";
import { listenersOf, type MessageListeners } from "./listeners.ts";
import type { ClientSettings } from "./options.ts";
import { type Outbox, outboxOf } from "./outbox.ts";
import { actionOf, type Code } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";
import type { ConnectFrame } from "./protocol/frames.ts";
import { PROTOCOL_VERSION } from "./protocol/limits.ts";
import { type Refresh, refreshOf } from "./refresh.ts";
import { type Requests, requestsOf } from "./requests.ts";
import { type Terms, termsOf } from "./terms.ts";
import { type Wire, wireOf } from "./wire.ts";

/** The client's half of a session: what it wants, has and waits for, whatever connection there is. */
export interface Session {
  readonly settings: ClientSettings;
  readonly emitter: Emitter;
  readonly wire: Wire;
  readonly identity: Identity;
  readonly acks: Acks;
  /** What the gateway said last; one object for all who look at it. */
  readonly terms: Terms;
  readonly connector: Connector;
  readonly channels: Channels;
  readonly requests: Requests;
  readonly outbox: Outbox;
  readonly heartbeat: Heartbeat;
  readonly refresh: Refresh;
  readonly listeners: MessageListeners;
  /** Gets ready what `hello` needs. Rejects if there is no token. */
  prepare(): Promise<void>;
  /** What opens a connection. */
  hello(): ConnectFrame;
  /** Holds the client's name against other pages. */
  hold(): void;
  /** The state has changed. */
  changed(previous: StateName): void;
  /** Keeps the positions for the page that a reload brings. */
  save(): void;
  /** Connects, and waits until it is. Rejects when the client is closed. */
  connect(signal: AbortSignal | undefined): Promise<void>;
  /** Closes the client on purpose. @param forget whether the session ends too, even a named one */
  disconnect(forget: boolean): Promise<void>;
  /** Waits until the client is closed. */
  closed(signal: AbortSignal | undefined): Promise<Closed>;
}

/** Makes a session, not connected. @param settings of the client */
export function sessionOf(settings: ClientSettings): Session {
  const { clock, clientId, environment, httpUrl } = settings;
  const connecting: Set<Deferred<void>> = new Set();
  const closing: Set<Deferred<Closed>> = new Set();
  const keeper = environment?.keep &&
    keeperOf(environment.keep, clock, `push:${httpUrl}:${clientId ?? ""}`);
  let loaded: Promise<void> | undefined;
  let isForgetting = false;
  let unwatch: (() => void)[] = [];

  const load = async (): Promise<void> => {
    const kept = await keeper?.load().catch(() => undefined);
    if (!kept || (identity.clientId ?? kept.clientId) !== kept.clientId) return;
    if (!clientId) Object.assign(identity, { clientId: kept.clientId, secret: kept.secret });
    channels.restore(kept.positions);
  };

  const disconnect = (forget: boolean): Promise<void> => {
    isForgetting = forget;
    return connector.leave(forget);
  };

  /** Everybody who waits hears that it is over. */
  const close = (code: Code, reason: string): void => {
    const error = new PushError(code, reason);
    const isWanted = code === "disconnected";
    const forget = isWanted && isForgetting;
    wire.isClosed = true;
    for (const end of unwatch) end();
    keeper?.release(forget || (isWanted && !clientId));
    channels.close(error, isWanted, forget);
    requests.close(error);
    if (forget) identity.forgetName();
    for (const each of connecting) each.reject(error);
    for (const each of closing) each.resolve({ code, reason });
  };

  const session = {
    settings,
    async prepare() {
      await (loaded ??= load());
      try {
        await identity.prepare();
      } catch (error) {
        emitter.report(error, "token");
        throw error;
      }
    },
    hello: () => ({
      type: "connect",
      version: PROTOCOL_VERSION,
      ...identity.hello(),
      session_ttl: settings.sessionTtl,
      subscriptions: channels.hello(),
    }),
    hold: () => void keeper?.hold(identity.clientId!).then(session.save),
    changed(previous) {
      const { state: { name: state, code, reason }, transport } = connector;
      if (transport) { for (const each of connecting) each.resolve(); }
      if (state === "closed") close(code!, reason);
      const action = code && actionOf(code);
      emitter.emit("state", { state, previous, code, reason, action, transport });
    },
    emitter: emitterOf(),
    wire: wireOf(),
    terms: termsOf({}),
    identity: identityOf(settings),
    save() {
      const { clientId, secret } = identity;
      if (!keeper || !clientId) return;
      const positions = [...channels.wanted.values()]
        .map(({ name, inbox }) => [name, inbox.snapshot!] as const)
        .filter(([, snapshot]) => snapshot);
      keeper.save({ clientId, secret, positions });
    },
    connect(signal) {
      const { name } = connector.state;
      const waiting = new Deferred<void>(signal, connecting);
      if (connector.transport) waiting.resolve();
      if (waiting.settled) return waiting.promise;
      waiting.whenSettled(() => {
        const isDeserted = signal?.aborted && connecting.size === 0;
        if (isDeserted && connector.state.name === "connecting") void disconnect(false);
      });
      if (name === "idle" || name === "closed") {
        // What was refused before may be answered differently now.
        identity.token = undefined;
        isForgetting = wire.isClosed = false;
        for (const { inbox } of channels.wanted.values()) inbox.pump();
        if (environment) {
          unwatch = [
            environment.onWake(() => connector.wake()),
            environment.onHide(() => {
              acks.flush();
              wire.link?.flush();
              session.save();
            }),
          ];
        }
        connector.connect();
      }
      return waiting.promise;
    },
    disconnect,
    closed(signal) {
      const { name, code, reason } = connector.state;
      const waiting = new Deferred<Closed>(signal, closing);
      if (name === "closed") waiting.resolve({ code: code!, reason });
      return waiting.promise;
    },
  } as { -readonly [K in keyof Session]: Session[K] };
  const { emitter, wire, identity } = session;
  const acks = session.acks = acksOf(session);
  const requests = session.requests = requestsOf(session);
  const channels = session.channels = channelsOf(session);
  session.heartbeat = heartbeatOf(session);
  session.outbox = outboxOf(session);
  session.refresh = refreshOf(session);
  session.listeners = listenersOf(session);
  const connector = session.connector = connectorOf(session);
  return session;
}
