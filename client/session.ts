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
import type { State } from "./lifecycle.ts";
import type { Link } from "./links/link.ts";
import { MessageListeners } from "./listeners.ts";
import { type Closed, Lobby } from "./lobby.ts";
import type { ClientSettings } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { Code } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";
import type { ConnectedFrame, ConnectFrame, NackFrame, PollBody } from "./protocol/frames.ts";
import { PROTOCOL_VERSION } from "./protocol/limits.ts";
import { Requests } from "./requests.ts";
import { Router } from "./router.ts";
import { type Terms, termsOf } from "./terms.ts";
import { Wire } from "./wire.ts";

/**
 * The client's half of a session: what it wants, has and waits for, whatever connection there is.
 * It says so to each new connection, and hears what each brings.
 */
export class Session implements ConnectorHost {
  readonly settings: ClientSettings;
  readonly emitter: Emitter = new Emitter();
  readonly identity: Identity;
  /** What the gateway said last; one object for all who look at it. */
  readonly terms: Terms = termsOf({});
  readonly connector: Connector;
  readonly channels: Channels;
  readonly requests: Requests;
  readonly outbox: Outbox;
  readonly heartbeat: Heartbeat;
  readonly listeners: MessageListeners;
  readonly #wire: Wire = new Wire();
  readonly #gate: Gate = { open: true };
  readonly #lobby: Lobby = new Lobby();
  readonly #acks: Acks;
  readonly #router: Router;
  readonly #keeper: Keeper | undefined;
  #loaded: Promise<void> | undefined;
  #token: string | undefined;
  #forgetting = false;
  #unwatch: (() => void)[] = [];

  /** @param settings of the client */
  constructor(settings: ClientSettings) {
    const { clock, random, clientId, token, environment, httpUrl } = settings;
    const { emitter, terms } = this;
    const wire = this.#wire;
    const timeout = settings.requestTimeout;
    this.settings = settings;
    this.identity = new Identity(clientId, token, random);
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
      timeout,
      gate: this.#gate,
      retryDelay: settings.reconnectDelay,
      settled: (data) => this.#acks.settled(data),
      refused: (frame) => this.#refuse(frame),
      early: (frame) => this.#router.route(frame),
      opened: (inbox) => this.listeners.opened(inbox),
      lost: (channel, error) => emitter.report(error, "gateway", { channel }),
    });
    this.requests = new Requests({ clock, wire, timeout });
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
    const { channels, requests, outbox, identity } = this;
    this.#router = new Router({ channels, requests, outbox, emitter, wire, identity });
    const keep = environment?.keep;
    this.#keeper = keep && new Keeper(keep, clock, httpUrl, clientId);
    this.connector = new Connector(settings, this);
  }

  /** Connects, and waits until it is. Rejects when the client is closed. */
  connect(signal: AbortSignal | undefined): Promise<void> {
    const { name } = this.connector.state;
    if (name === "connected" && !signal?.aborted) return Promise.resolve();
    const connecting = this.#lobby.connecting(signal, () => {
      if (this.connector.state.name === "connecting") void this.disconnect(false);
    });
    if ((name === "idle" || name === "closed") && !signal?.aborted) this.#begin();
    return connecting;
  }

  /** Closes the client on purpose. @param forget whether the session ends too, even a named one */
  disconnect(forget: boolean): Promise<void> {
    this.#forgetting = forget;
    return this.connector.leave(forget);
  }

  /** Waits until the client is closed. */
  closed(signal: AbortSignal | undefined): Promise<Closed> {
    const { state } = this.connector;
    if (state.name !== "closed" || signal?.aborted) return this.#lobby.closing(signal);
    return Promise.resolve({ code: state.code, reason: state.reason });
  }

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
    this.#wire.link = link;
    Object.assign(this.terms, termsOf(frame));
    this.identity.accepted(frame);
    this.channels.connected(frame.subscriptions);
    this.outbox.resume();
    // Before the requests: a new status may be among them.
    this.heartbeat.start(this.terms.heartbeatInterval);
    this.requests.resume();
    this.#acks.start();
    void this.#keeper?.hold(frame.client_id).then(() => this.#save());
  }

  detached(): void {
    this.#wire.link = undefined;
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

  mend(code: Code): boolean {
    return this.identity.mend(code);
  }

  changed(state: State, previous: State): void {
    const { name, code, reason } = state;
    const moved = state.name === "connected" && previous.name === "connected" &&
      state.transport !== previous.transport;
    if (name === previous.name && !moved) return;
    if (state.name === "connected") this.#lobby.connected();
    if (state.name === "closed") this.#close({ code: state.code, reason });
    const { transport } = this.connector;
    this.emitter.emit("state", { state: name, previous: previous.name, code, reason, transport });
  }

  #begin(): void {
    // What was refused before may be answered differently now.
    this.identity.forgetToken();
    this.#forgetting = false;
    this.#gate.open = true;
    for (const [, inbox] of this.channels.inboxes()) inbox.pump();
    const { environment } = this.settings;
    this.#unwatch = environment === undefined ? [] : [
      environment.onWake(() => this.connector.input({ type: "wake" })),
      environment.onHide(() => this.#hide()),
    ];
    this.connector.input({ type: "connect" });
  }

  /** Everybody who waits hears that it is over. */
  #close(closed: Closed): void {
    const error = new PushError(closed.code, closed.reason);
    const wanted = closed.code === "disconnected";
    const forget = wanted && this.#forgetting;
    this.#gate.open = false;
    for (const end of this.#unwatch.splice(0)) end();
    this.#keeper?.release(forget || (wanted && this.settings.clientId === undefined));
    this.channels.close(error, wanted, forget);
    this.outbox.close(error);
    this.requests.close(error);
    if (forget) this.identity.forgetName();
    this.#lobby.closed(closed);
  }

  #refuse(frame: NackFrame): boolean {
    const flows = this.channels.at(frame.channel) !== undefined;
    if (flows) this.#wire.send(frame);
    return flows;
  }

  async #load(): Promise<void> {
    const kept = await this.#keeper?.load().catch(() => undefined);
    if (!kept) return;
    this.identity.restore(kept.clientId, kept.secret);
    if (this.identity.clientId === kept.clientId) this.channels.restore(kept.positions);
  }

  #hide(): void {
    this.#acks.flush();
    this.#wire.link?.flush();
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
