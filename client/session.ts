import { type Acks, acksOf } from "./acks.ts";
import { type Channels, channelsOf } from "./channels.ts";
import { type Connector, type ConnectorHost, connectorOf } from "./connector.ts";
import { Deferred } from "./deferred.ts";
import { type Emitter, emitterOf } from "./events.ts";
import { type Heartbeat, heartbeatOf } from "./heartbeat.ts";
import { type Identity, identityOf } from "./identity.ts";
import type { Snapshot } from "./inbox.ts";
import { keeperOf } from "./keeper.ts";
import type { Closed } from "./lifecycle.ts";
import { listenersOf, type MessageListeners } from "./listeners.ts";
import type { ClientSettings } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { actionOf } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";
import { PROTOCOL_VERSION } from "./protocol/limits.ts";
import { type Requests, requestsOf } from "./requests.ts";
import { reportGarbage, route } from "./router.ts";
import { type Terms, termsOf } from "./terms.ts";
import { Wire } from "./wire.ts";

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
  readonly listeners: MessageListeners;
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
    if (clientId === undefined) {
      Object.assign(identity, { clientId: kept.clientId, secret: kept.secret });
    }
    channels.restore(kept.positions);
  };

  const save = (): void => {
    const { clientId, secret } = identity;
    if (!keeper || clientId === undefined) return;
    const positions: Map<string, Snapshot> = new Map();
    for (const [name, inbox] of channels.inboxes()) {
      const { snapshot } = inbox;
      if (snapshot) positions.set(name, snapshot);
    }
    keeper.save({ clientId, secret, positions });
  };

  const begin = (): void => {
    // What was refused before may be answered differently now.
    identity.forgetToken();
    isForgetting = wire.closed = false;
    for (const [, inbox] of channels.inboxes()) inbox.pump();
    if (environment) {
      unwatch = [
        environment.onWake(() => connector.input("wake")),
        environment.onHide(() => {
          acks.flush();
          wire.link?.flush();
          save();
        }),
      ];
    }
    connector.input("connect");
  };

  const disconnect = (forget: boolean): Promise<void> => {
    isForgetting = forget;
    return connector.leave(forget);
  };

  /** Everybody who waits hears that it is over. */
  const close = (closed: Closed): void => {
    const error = new PushError(closed.code, closed.reason);
    const isWanted = closed.code === "disconnected";
    const forget = isWanted && isForgetting;
    wire.closed = true;
    for (const end of unwatch.splice(0)) end();
    keeper?.release(forget || (isWanted && clientId === undefined));
    channels.close(error, isWanted, forget);
    outbox.close(error);
    requests.close(error);
    if (forget) identity.forgetName();
    for (const each of connecting) each.reject(error);
    for (const each of closing) each.resolve(closed);
  };

  const host: ConnectorHost = {
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
    positions: () => channels.positions(),
    attached(link, frame) {
      wire.link = link;
      Object.assign(terms, termsOf(frame));
      identity.accepted(frame);
      channels.connected(frame.subscriptions);
      outbox.resume();
      // Before the requests: a new status may be among them.
      heartbeat.start(terms.heartbeatInterval);
      requests.resume();
      acks.start();
      void keeper?.hold(frame.client_id).then(save);
    },
    detached() {
      wire.link = undefined;
      heartbeat.stop();
      acks.stop();
      requests.disconnected();
      channels.disconnected();
    },
    frames(values) {
      heartbeat.heard();
      for (const value of values) route(session, value);
    },
    garbage: (reason) => reportGarbage(session, reason),
    check: () => heartbeat.check(),
    goodbye(forget) {
      acks.flush();
      return JSON.stringify({ type: "disconnect", forget: forget || undefined });
    },
    mend: (code) => identity.mend(code),
    changed(state, previous) {
      const { name, code, reason } = state;
      const isMoved = state.name === "connected" && previous.name === "connected" &&
        state.transport !== previous.transport;
      if (name === previous.name && !isMoved) return;
      if (name === "connected") { for (const each of connecting) each.resolve(); }
      if (state.name === "closed") close({ code: state.code, reason });
      const { transport } = connector;
      const action = code && actionOf(code);
      const change = { state: name, previous: previous.name, code, reason, action, transport };
      emitter.emit("state", change);
    },
  };

  const emitter = emitterOf();
  const wire = new Wire();
  const terms = termsOf({});
  const identity = identityOf(settings);
  const session = { settings, emitter, wire, terms, identity, save } as {
    -readonly [K in keyof Session]: Session[K];
  };
  const acks = session.acks = acksOf(session);
  const requests = session.requests = requestsOf(session);
  const channels = session.channels = channelsOf(session);
  const outbox = session.outbox = new Outbox({ clock, wire, terms, limit: settings.maxOutbox });
  const heartbeat = session.heartbeat = heartbeatOf({
    clock,
    wire,
    limit: settings.heartbeatInterval,
    silent: (reason) => connector.abandon(reason),
  });
  session.listeners = listenersOf(session);
  const connector = session.connector = connectorOf(settings, host);
  return Object.assign(
    session,
    {
      connect(signal) {
        const { name } = connector.state;
        const waiting = new Deferred<void>(connecting).abortedBy(signal);
        if (name === "connected") waiting.resolve();
        if (waiting.settled) return waiting.promise;
        waiting.whenSettled(() => {
          const isDeserted = signal?.aborted && connecting.size === 0;
          if (isDeserted && connector.state.name === "connecting") void disconnect(false);
        });
        if (name === "idle" || name === "closed") begin();
        return waiting.promise;
      },
      disconnect,
      closed(signal) {
        const { state } = connector;
        const waiting = new Deferred<Closed>(closing).abortedBy(signal);
        if (state.name === "closed") waiting.resolve({ code: state.code, reason: state.reason });
        return waiting.promise;
      },
    } satisfies Partial<Session>,
  );
}
