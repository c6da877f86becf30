import { Acks } from "./acks.ts";
import { Channels } from "./channels.ts";
import { Connector, type ConnectorHost } from "./connector.ts";
import type { Gate } from "./consumer.ts";
import { Deferred } from "./deferred.ts";
import { Emitter } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Identity } from "./identity.ts";
import type { Snapshot } from "./inbox.ts";
import { Keeper } from "./keeper.ts";
import type { Ending, State } from "./lifecycle.ts";
import type { Link } from "./links/link.ts";
import { MessageListeners } from "./listeners.ts";
import type { ClientSettings } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { PushError } from "./protocol/error.ts";
import type { ClientFrame, ConnectedFrame, ConnectFrame, PollBody } from "./protocol/frames.ts";
import { PROTOCOL_VERSION } from "./protocol/limits.ts";
import { Requests } from "./requests.ts";
import { Router } from "./router.ts";
import { DEFAULT_TERMS, type Terms, termsOf } from "./terms.ts";
import type { Wire } from "./wire.ts";

/** Why a client was closed. */
export interface Closed {
  /** `disconnected` after `disconnect()`; else what the gateway or the network said. */
  readonly code: PushError["code"];
  /** The same in words. */
  readonly reason: string;
}

/**
 * The client's half of a session: what it wants, has and waits for, whatever connection there is.
 * It says so to each new connection, and hears what each brings.
 */
export class Session implements ConnectorHost, Wire {
  readonly settings: ClientSettings;
  readonly emitter: Emitter = new Emitter();
  readonly identity: Identity;
  /** What the gateway said last; one object for all who look at it. */
  readonly terms: Terms = { ...DEFAULT_TERMS };
  readonly connector: Connector;
  readonly channels: Channels;
  readonly requests: Requests;
  readonly outbox: Outbox;
  readonly heartbeat: Heartbeat;
  readonly listeners: MessageListeners;
  readonly #acks: Acks;
  readonly #router: Router;
  readonly #gate: Gate = { open: true };
  readonly #keeper: Keeper | undefined;
  #loaded: Promise<void> | undefined;
  #token: string | undefined;
  #link: Link | undefined;
  #lastId = 0;
  #connecting: Set<Deferred<void>> = new Set();
  #closing: Set<Deferred<Closed>> = new Set();
  #forgetting = false;
  #unwatch: (() => void)[] = [];

  /** @param settings of the client */
  constructor(settings: ClientSettings) {
    const { clock, random, clientId, token, environment, httpUrl } = settings;
    const { emitter, terms } = this;
    this.settings = settings;
    this.identity = new Identity(clientId, token, random);
    const wire = this;
    this.#acks = new Acks({
      clock,
      wire,
      terms,
      flowing: () => this.channels.flowing(),
      acknowledged: () => this.#save(),
    });
    this.channels = new Channels({
      clock,
      wire,
      terms,
      random,
      gate: this.#gate,
      retryDelay: settings.reconnectDelay,
      timeout: settings.requestTimeout,
      settled: () => this.#acks.settled(),
      refused: (frame) => this.send(frame),
      opened: (inbox) => this.listeners.opened(inbox),
      lost: (channel, error) => emitter.report(error, "gateway", { channel }),
    });
    this.requests = new Requests({ clock, wire, timeout: settings.requestTimeout });
    this.outbox = new Outbox({ clock, wire, terms, limit: settings.maxOutbox });
    this.heartbeat = new Heartbeat({
      clock,
      wire,
      limit: settings.heartbeatInterval,
      silent: (reason) => this.connector.abandon(reason),
    });
    this.listeners = new MessageListeners({
      mode: "auto",
      concurrency: 1,
      terms,
      failed: (error, message) => emitter.report(error, "handler", { message }),
    }, () => this.channels.inboxes());
    const { channels, requests, outbox } = this;
    this.#router = new Router({ channels, requests, outbox, emitter, wire });
    const keep = environment?.keep;
    this.#keeper = keep && new Keeper(keep, clock, httpUrl, clientId);
    this.connector = new Connector(settings, this);
  }

  /** Connects, and waits until it is. Rejects when the client is closed. */
  connect(signal: AbortSignal | undefined): Promise<void> {
    const connecting = new Deferred<void>().abortedBy(signal);
    const { state } = this.connector;
    if (state.name === "connected") connecting.resolve();
    if (connecting.settled) return connecting.promise;
    this.#connecting.add(connecting);
    connecting.whenSettled(() => {
      this.#connecting.delete(connecting);
      // Nobody waits for the first connection any more.
      const given = signal?.aborted && this.#connecting.size === 0;
      if (given && this.connector.state.name === "connecting") void this.disconnect(false);
    });
    if (state.name === "idle" || state.name === "closed") this.#begin();
    return connecting.promise;
  }

  /** Closes the client on purpose. @param forget whether the session ends too, even a named one */
  disconnect(forget: boolean): Promise<void> {
    this.#forgetting = forget;
    return this.connector.leave(forget);
  }

  /** Waits until the client is closed. */
  closed(signal: AbortSignal | undefined): Promise<Closed> {
    const closing = new Deferred<Closed>().abortedBy(signal);
    const { state } = this.connector;
    if (state.name === "closed") closing.resolve(closedBy(state));
    if (closing.settled) return closing.promise;
    this.#closing.add(closing);
    return closing.whenSettled(() => this.#closing.delete(closing)).promise;
  }

  // Wire

  get up(): boolean {
    return this.#link !== undefined;
  }

  nextId(): number {
    return ++this.#lastId;
  }

  send(frame: ClientFrame): void {
    this.#link?.send(JSON.stringify(frame));
  }

  sendText(frame: string): void {
    this.#link?.send(frame);
  }

  // ConnectorHost

  async prepare(): Promise<void> {
    await (this.#loaded ??= this.#load());
    const { clock, requestTimeout } = this.settings;
    const asked = new Deferred<string | undefined>().rejectedAfter(clock, requestTimeout, () => {
      return new PushError("token_required", "'authToken' did not answer in time.");
    });
    this.identity.token().then((token) => asked.resolve(token), (error) => asked.reject(error));
    try {
      this.#token = await asked.promise;
    } catch (error) {
      this.emitter.report(error, "token");
      throw error;
    }
  }

  hello(): ConnectFrame {
    const { instance, clientId, secret } = this.identity;
    const { sessionTtl } = this.settings;
    return {
      type: "connect",
      version: PROTOCOL_VERSION,
      ...this.#token !== undefined && { token: this.#token },
      ...clientId !== undefined && { client_id: clientId },
      ...secret !== undefined && { secret },
      instance,
      attempt: this.identity.nextAttempt(),
      ...sessionTtl !== undefined && { session_ttl: sessionTtl },
      subscriptions: this.channels.hello(),
    };
  }

  positions(): PollBody["positions"] {
    return this.channels.positions();
  }

  attached(link: Link, frame: ConnectedFrame): void {
    this.#link = link;
    Object.assign(this.terms, termsOf(frame));
    this.identity.accepted(frame);
    this.channels.connected(frame.subscriptions);
    this.outbox.resume();
    this.requests.resume();
    this.#acks.start();
    this.heartbeat.start(this.terms.heartbeatInterval);
    void this.#keeper?.hold(frame.client_id).then(() => this.#save());
  }

  detached(): void {
    this.#link = undefined;
    this.heartbeat.stop();
    this.#acks.stop();
    this.channels.disconnected();
  }

  frames(values: readonly unknown[]): void {
    this.heartbeat.heard();
    for (const value of values) this.#router.route(value);
  }

  garbage(reason: string): void {
    this.#router.garbage(reason);
  }

  check(): void {
    this.heartbeat.check();
  }

  goodbye(forget: boolean): string {
    this.#acks.flush();
    return JSON.stringify({ type: "disconnect", ...forget && { forget } });
  }

  mend({ code }: Ending): boolean {
    return this.identity.mend(code);
  }

  changed(state: State, previous: State): void {
    const { code, reason } = state;
    const { transport } = this.connector;
    const moved = state.name === "connected" && previous.name === "connected" &&
      state.transport !== previous.transport;
    if (state.name !== previous.name) {
      if (state.name === "connected") this.#settle();
      if (state.name === "closed") this.#close(closedBy(state));
    }
    if (state.name === previous.name && !moved) return;
    const change = { state: state.name, previous: previous.name, code, reason, transport };
    this.emitter.emit("state", change);
  }

  #begin(): void {
    // What was refused before may be answered differently now.
    this.identity.forgetToken();
    this.#gate.open = true;
    this.#forgetting = false;
    for (const [, inbox] of this.channels.inboxes()) inbox.pump();
    const { environment } = this.settings;
    if (environment) {
      this.#unwatch = [
        environment.onWake(() => this.connector.input({ type: "wake" })),
        environment.onHide(() => this.#hide()),
      ];
    }
    this.connector.input({ type: "connect" });
  }

  #settle(): void {
    for (const connecting of [...this.#connecting]) connecting.resolve();
  }

  /** Everybody who waits hears that it is over. */
  #close(closed: Closed): void {
    const error = new PushError(closed.code, closed.reason);
    const wanted = closed.code === "disconnected";
    this.#gate.open = false;
    for (const end of this.#unwatch.splice(0)) end();
    const named = this.settings.clientId !== undefined;
    this.#keeper?.release(wanted && (this.#forgetting || !named));
    for (const connecting of [...this.#connecting]) connecting.reject(error);
    this.channels.close(error, wanted, this.#forgetting);
    this.outbox.close(error);
    this.requests.close(error);
    if (this.#forgetting) this.identity.forgetName();
    for (const closing of [...this.#closing]) closing.resolve(closed);
  }

  async #load(): Promise<void> {
    const kept = await this.#keeper?.load().catch(() => undefined);
    if (!kept) return;
    this.identity.restore(kept.clientId, kept.secret);
    if (this.identity.clientId === kept.clientId) this.channels.restore(new Map(kept.positions));
  }

  #hide(): void {
    this.#acks.flush();
    this.#link?.flush();
    this.#save();
  }

  #save(): void {
    const { clientId, secret } = this.identity;
    if (!this.#keeper || clientId === undefined) return;
    const positions: Map<string, Snapshot> = new Map();
    for (const [name, { snapshot }] of this.channels.inboxes()) {
      if (snapshot) positions.set(name, snapshot);
    }
    this.#keeper.save({ clientId, secret, positions });
  }
}

function closedBy({ code, reason }: Extract<State, { name: "closed" }>): Closed {
  return { code, reason };
}
