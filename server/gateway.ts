import { formatEventId, PushError } from "@push/client/protocol";
import { type Authenticate, Authenticator } from "./access/authenticator.ts";
import { acceptsJwt, JwtVerifier } from "./access/jwt.ts";
import { carryOut } from "./access/revoke.ts";
import { type RevocationInfo, revocationInfo, type RevokeQuery } from "./access/revoking.ts";
import { Tickets } from "./access/tickets.ts";
import { Door } from "./http/door.ts";
import { Authorization, type Authorize } from "./access/authorization.ts";
import {
  channelOf,
  functionOf,
  jsonOf,
  nameOf,
  publishOptionsOf,
  queryOf,
  revokeQueryOf,
  whomOf,
} from "./arguments.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "./clock.ts";
import { EVENT_NAMES, type GatewayEvent, type GatewayEvents, Listeners } from "./events.ts";
import { byteLength } from "./dialog/fields.ts";
import type { Arrived } from "./http/head.ts";
import { Hosts } from "./http/hosts.ts";
import { Origins } from "./http/origins.ts";
import { doubtsOf } from "./options/doubts.ts";
import { Pollers } from "./http/pollers.ts";
import { answer, type PushParts } from "./http/router.ts";
import { EventStreams } from "./http/streams.ts";
import { Sockets } from "./http/upgrade.ts";
import { Hub } from "./hub.ts";
import { peerOf, type TrustedProxies, trustedProxies } from "./http/peer.ts";
import { denoUpgrader } from "./http/upgrader.ts";
import type { Arrival, Listener, RequestInfo } from "./listeners/listener.ts";
import { openListener } from "./listeners/open.ts";
import { Audit } from "./logging/audit.ts";
import { Log } from "./logging/log.ts";
import { standardError } from "./logging/output.ts";
import type { LogSink } from "./logging/record.ts";
import { secretsOf } from "./logging/secrets.ts";
import {
  asksForToken,
  checkExposure,
  checkSharedPort,
  checkTls,
  type GatewayOptions,
  isLoopback,
  resolveOptions,
} from "./options/options.ts";
import type { Settings } from "./options/settings.ts";
import { openStore } from "./stores/open.ts";
import type { Store } from "./stores/store.ts";
import {
  type ChannelInfo,
  channelInfo,
  type DeadLetterInfo,
  deadLetterInfo,
  type DeadLetterQuery,
  type PresenceInfo,
  presenceInfo,
} from "./views.ts";

/** Parts that an embedding program or a test may bring itself. */
export interface GatewayParts {
  /** Where messages and positions live; by default what the options name. */
  readonly store?: Store;
  /**
   * Decides who speaks, instead of `authToken` and `push.auth`: nothing else is asked then. Tickets and
   * revocations work as ever.
   */
  readonly authenticate?: Authenticate;
  /** Source of time. Default: the machine's. */
  readonly clock?: Clock;
  /** Source of randomness. Default: the machine's. */
  readonly random?: RandomBytes;
  /**
   * Decides whether somebody may do something in a channel (`null`: in no one channel, for `admin`);
   * `undefined` leaves it to the rules. A throw or rejection refuses with `unavailable`, and so does
   * no answer within 10 s. What it said is kept for a client until its token is refreshed or
   * {@linkcode Gateway.reauthorize} is called.
   */
  readonly authorize?: Authorize;
  /** Takes what is logged, from the level that `log.level` says. Default: the standard error. */
  readonly log?: LogSink;
}

/** Answer to {@linkcode Gateway.publish}. */
export interface PublishReceipt {
  /** Names the place of the message: channel, epoch, number. */
  readonly eventId: string;
  /** Epoch of the channel's log. */
  readonly epoch: string;
  /** Number in the log. */
  readonly seq: number;
  /** Subscribers connected now. */
  readonly delivered: number;
  /** Whether the id had been published within the last five minutes; this is the first result. */
  readonly duplicate: boolean;
}

/** Milliseconds that peers get to answer the close of their sockets. */
const CLOSE_PATIENCE = 1_000;

/**
 * A push gateway: serves clients over WebSockets, event streams and long-polling, and publishes for
 * the program that embeds it.
 *
 * @example
 * ```ts
 * import { Gateway } from "@push/gateway";
 *
 * const gateway = new Gateway({ port: 0, push: { enabled: true } });
 * await gateway.start();
 * await gateway.publish("alerts", { level: "info", text: "Up and running." });
 * await gateway.stop();
 * ```
 */
export class Gateway {
  /** What it runs with, durations in milliseconds. */
  readonly settings: Settings;
  readonly #parts: GatewayParts;
  readonly #clock: Clock;
  readonly #proxies: TrustedProxies;
  #origins: Origins;
  /** Hosts that requests may be for that come by the listener… */
  #hosts: Hosts;
  /** …and those that another server hands over. */
  readonly #mountedHosts: Hosts;
  readonly #log: Log;
  readonly #audit: Audit;
  readonly #authorization: Authorization;
  readonly #listeners: Listeners;
  #opening: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #push: PushParts | undefined;
  #listening: Promise<Listener> | undefined;
  #listener: Listener | undefined;
  readonly #startedAt: number;

  /**
   * Checks the options; nothing is opened yet.
   *
   * @param options what differs from the defaults
   * @param parts parts to use instead of the usual ones
   * @throws {TypeError} if an option's name or type is wrong
   * @throws {RangeError} if an option's value is out of range
   */
  constructor(options: GatewayOptions = {}, parts: GatewayParts = {}) {
    this.settings = resolveOptions(options);
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    const { log } = this.settings;
    this.#log = new Log({
      clock: this.#clock,
      level: log.level,
      sink: parts.log ?? standardError(log.format),
      secrets: secretsOf(this.settings),
    });
    this.#audit = new Audit(this.#log);
    const { rules, tokens } = this.settings.push.auth;
    this.#authorization = new Authorization({
      clock: this.#clock,
      log: this.#log,
      rules,
      closed: tokens?.some(({ allow }) => allow !== undefined),
      authorize: parts.authorize,
    });
    this.#listeners = new Listeners(this.#log);
    if (parts.authenticate !== undefined) functionOf("open", "authenticate", parts.authenticate);
    this.#proxies = trustedProxies(this.settings.trustProxy ?? []);
    this.#origins = new Origins(this.settings.push.allowedOrigins, undefined);
    this.#hosts = this.#mountedHosts = this.#hostsAt(undefined);
    this.#startedAt = this.#clock.now();
  }

  /**
   * Where it listens.
   *
   * @throws {PushError} `unavailable` if it does not listen
   */
  get address(): { readonly hostname: string; readonly port: number } {
    if (this.#listener === undefined) {
      throw new PushError("unavailable", "The gateway does not listen.");
    }
    return this.#listener.address;
  }

  /** Its store; `undefined` while push is off or nothing was started. */
  get store(): { readonly name: string; readonly survives: string } | undefined {
    return this.#push?.hub.context.store;
  }

  /**
   * Opens the store and listens on `host` and `port`.
   *
   * @throws {TypeError} if `host` is not loopback and there is no token; if the files of `tls` cannot
   *   be read, or do not belong together
   * @throws {Deno.errors.AddrInUse} if the port is taken
   */
  async start(): Promise<void> {
    if (this.#stopping !== undefined) {
      throw new PushError("going_away", "A stopped gateway does not start again: make a new one.");
    }
    checkExposure(this.settings, this.#parts.authenticate !== undefined);
    checkTls(this.settings);
    checkSharedPort(this.settings);
    if (this.#listening !== undefined) {
      await this.#listening;
      return await this.#open();
    }
    const { host } = this.settings;
    this.#origins = new Origins(this.settings.push.allowedOrigins, host);
    this.#hosts = this.#hostsAt(host);
    const opened = openListener({
      settings: this.settings,
      handler: (...call) => this.#answer(this.#hosts, ...call),
      clock: this.#clock,
      log: this.#log,
      letGo: async () => await this.#push?.sockets.closeAll(CLOSE_PATIENCE),
    });
    // The built-in server listens at once, and its address is known.
    if (!(opened instanceof Promise)) this.#listener = opened;
    this.#listening = Promise.resolve(opened);
    const listener = this.#listener ?? await this.#listening.catch((error) => {
      this.#listening = undefined;
      throw error;
    });
    this.#listener = listener;
    try {
      await this.#open();
    } catch (error) {
      this.#listening = this.#listener = undefined;
      await listener.close();
      throw error;
    }
    this.#log.write("gateway.listening", { host, port: listener.address.port });
    for (const detail of doubtsOf(this.settings, this.#asksForToken)) {
      this.#log.write("options.doubtful", { detail });
    }
  }

  /**
   * Answers one request, for a gateway that is mounted in another server instead of started:
   * `Deno.serve(gateway.fetch)`.
   *
   * @param info what `Deno.serve` tells of a request; without it nobody knows who sent it, and what
   *   is limited by address is not limited
   */
  readonly fetch = (request: Request, info?: RequestInfo): Promise<Response> =>
    this.#answer(this.#mountedHosts, request, {
      remote: info?.remoteAddr?.hostname,
      secure: request.url.startsWith("https:"),
      upgrader: denoUpgrader,
    });

  #answer(hosts: Hosts, request: Arrived, arrival: Arrival): Promise<Response> {
    const isOpening = this.#push === undefined && this.#stopping === undefined;
    return isOpening
      ? this.#answerLater(hosts, request, arrival)
      : this.#answerNow(hosts, request, arrival);
  }

  async #answerLater(hosts: Hosts, request: Arrived, arrival: Arrival): Promise<Response> {
    let failed = false;
    try {
      await this.#open();
    } catch (error) {
      this.#log.failure("gateway.failed", error);
      failed = true;
    }
    return await this.#answerNow(hosts, request, arrival, failed);
  }

  #answerNow(
    hosts: Hosts,
    request: Arrived,
    { remote, secure, upgrader }: Arrival,
    failed = false,
  ): Promise<Response> {
    return answer({
      path: this.settings.path,
      uptime: this.#clock.now() - this.#startedAt,
      draining: this.#stopping !== undefined,
      origins: this.#origins,
      hosts,
      peer: peerOf(remote, secure, request.headers, this.#proxies),
      upgrader,
      log: this.#log,
      audit: this.#audit,
      failed,
      push: this.#push,
    }, request);
  }

  /**
   * Publishes a message to a channel; resolves once the store has it.
   *
   * @param channel 1 to 255 of `A-Z a-z 0-9 _ : . -`
   * @param data anything that JSON can carry
   * @param options `id` (1 to 128 characters): a repeat within five minutes is stored once
   * @throws {TypeError} if an argument has the wrong type, or JSON cannot carry `data`
   * @throws {RangeError} if the name or the id is not possible
   * @throws {PushError} `message_too_large`; `unavailable`, `store_full` or `outcome_unknown` as the
   *   store; `not_found` while push is off; `going_away` once it was stopped
   */
  async publish(
    channel: string,
    data: unknown,
    options: { readonly id?: string } = {},
  ): Promise<PublishReceipt> {
    channelOf("publish", channel);
    const { id } = publishOptionsOf(options);
    const payload = jsonOf("publish", data);
    const { hub } = await this.#pushParts();
    const { maxMessageBytes } = hub.context.settings.limits;
    if (byteLength(payload) > maxMessageBytes) {
      throw new PushError(
        "message_too_large",
        `The payload has ${
          byteLength(payload)
        } bytes, and at most ${maxMessageBytes} are accepted.`,
      );
    }
    const { epoch, seq, delivered, duplicate } = await hub.publish(channel, payload, { id });
    return { eventId: formatEventId(channel, epoch, seq), epoch, seq, delivered, duplicate };
  }

  /**
   * All channels, with the state of their logs.
   *
   * @throws {PushError} `unavailable` as the store; `not_found` while push is off; `going_away` once
   *   it was stopped
   */
  async channels(): Promise<ChannelInfo[]> {
    const { hub } = await this.#pushParts();
    const records = await hub.channels();
    return records.map((record) => channelInfo(record, hub.subscribers(record.name)));
  }

  /**
   * Who is present in a channel, or anywhere.
   *
   * @throws {TypeError} if the channel is no string
   * @throws {RangeError} if no channel can have that name
   * @throws {PushError} as {@linkcode Gateway.channels}
   */
  async presence(channel?: string): Promise<PresenceInfo[]> {
    if (channel !== undefined) channelOf("list presence", channel);
    const { hub } = await this.#pushParts();
    return hub.presence.list(channel ?? null).map(presenceInfo);
  }

  /**
   * Messages that subscriptions gave up, oldest first.
   *
   * @throws {TypeError} if a member of the query is unknown or has the wrong type
   * @throws {RangeError} if the value of one is not possible
   * @throws {PushError} as {@linkcode Gateway.channels}
   */
  async deadLetters(query: DeadLetterQuery = {}): Promise<DeadLetterInfo[]> {
    const asked = queryOf("list dead letters", query);
    const { hub } = await this.#pushParts();
    return (await hub.deadLetters(asked)).map(deadLetterInfo);
  }

  /**
   * Puts dead letters back into their subscriptions; resolves to those put back.
   *
   * @throws {TypeError} if a member of the query is unknown or has the wrong type
   * @throws {RangeError} if the value of one is not possible
   * @throws {PushError} as {@linkcode Gateway.channels}
   */
  async redrive(query: DeadLetterQuery = {}): Promise<DeadLetterInfo[]> {
    const asked = queryOf("redrive", query);
    const { hub } = await this.#pushParts();
    return (await hub.redrive(asked)).map(deadLetterInfo);
  }

  /**
   * Asks anew what clients may do, on all nodes: after something has changed that `authorize` looks
   * at. A subscription without its right ends, with its position, and its client is told. Resolves once
   * that is done on this node, and the others are told.
   *
   * @param whom clients of this subject, or of this client id; all where neither is given
   * @throws {TypeError} if a member is unknown or no string
   * @throws {RangeError} if a value is not possible
   * @throws {PushError} as {@linkcode Gateway.channels}
   */
  async reauthorize(
    whom: { readonly subject?: string; readonly clientId?: string } = {},
  ): Promise<void> {
    const asked = whomOf("reauthorize", whom);
    const { hub } = await this.#pushParts();
    await hub.reauthorize(asked);
  }

  /**
   * Revokes a token, all tokens of a subject that were issued before now, or one client: its
   * connections are closed within a second on every node, and it is refused. Resolves once the store
   * has it; on this node it is in force at once.
   *
   * @throws {TypeError} if a member of the query is unknown or has the wrong type, or not exactly one
   *   thing is named
   * @throws {RangeError} if the value of one is not possible
   * @throws {PushError} as {@linkcode Gateway.channels}; `store_full` if too much is revoked
   */
  async revoke(query: RevokeQuery): Promise<void> {
    const asked = revokeQueryOf(query);
    const { hub } = await this.#pushParts();
    await carryOut(hub, asked);
  }

  /**
   * What is revoked at present.
   *
   * @throws {PushError} as {@linkcode Gateway.channels}
   */
  async revocations(): Promise<RevocationInfo[]> {
    const { hub } = await this.#pushParts();
    return hub.revocations.all().map(revocationInfo);
  }

  /**
   * Listens to what happens. A handler that throws or rejects is logged and
   * harms nothing.
   *
   * @returns stops listening
   * @throws {TypeError} if there is no such event, or the handler is no function
   */
  on<Event extends GatewayEvent>(event: Event, handler: GatewayEvents[Event]): () => void {
    nameOf("listen", "event", event, EVENT_NAMES);
    functionOf("listen", "handler", handler);
    return this.#listeners.add(event, handler);
  }

  /**
   * Stops in stages: takes no more work, closes every connection with a code that says come back,
   * stores every position, lets requests end, and releases everything. Idempotent.
   */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  /** Same as {@linkcode Gateway.stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #asksForToken(): boolean {
    return asksForToken(this.settings, this.#parts.authenticate !== undefined);
  }

  #hostsAt(listensAt: string | undefined): Hosts {
    // Where nobody has to show a token, only the name of the host tells a page of another's from one
    // of this machine.
    const isChecked = listensAt !== undefined && isLoopback(listensAt) &&
      !this.#asksForToken;
    return new Hosts(this.settings.allowedHosts, { listensAt, isChecked });
  }

  #open(): Promise<void> {
    return this.#opening ??= this.#doOpen().catch((error) => {
      // It may be tried again.
      this.#opening = undefined;
      throw error;
    });
  }

  async #doOpen(): Promise<void> {
    const { push } = this.settings;
    if (!push.enabled) return;
    const random = this.#parts.random ?? systemRandom;
    // Whoever cannot tell identities apart opens nothing.
    const jwt = acceptsJwt(push.auth.jwt)
      ? await JwtVerifier.open(push.auth.jwt, this.#clock, (error) => {
        this.#log.failure("keys.failed", error);
      })
      : undefined;
    const store = this.#parts.store ?? await openStore(
      push,
      random,
      (event, detail) => this.#log.write(`store.${event}`, { detail }),
    );
    const hub = await this.#openHub(store, random).catch(async (error) => {
      // A store that was brought along may be opened again.
      if (this.#parts.store === undefined) await store[Symbol.asyncDispose]();
      throw error;
    });
    this.#log.write("store.opened", { store: store.name, node: store.cluster?.node });
    const tickets = new Tickets({
      ...hub.context,
      cluster: store.cluster,
      ttl: push.auth.ticketTtl,
    });
    const door = new Door(this.#authenticator(hub, jwt), tickets, push.auth.queryToken);
    this.#push = {
      hub,
      door,
      sockets: new Sockets(hub, door),
      pollers: new Pollers(hub),
      streams: new EventStreams(hub),
    };
  }

  #authenticator(hub: Hub, jwt: JwtVerifier | undefined): Authenticator {
    const { authToken, push } = this.settings;
    return new Authenticator({
      clock: this.#clock,
      authToken,
      tokens: push.auth.tokens,
      jwt,
      authenticate: this.#parts.authenticate,
      revocations: hub.revocations,
      failed: (error) => this.#log.failure("handler.failed", error, { about: "authenticate" }),
    });
  }

  async #openHub(store: Store, random: RandomBytes): Promise<Hub> {
    await store.open();
    const hub = new Hub({
      settings: this.settings.push,
      store,
      clock: this.#clock,
      random,
      events: this.#listeners.hubEvents,
      log: this.#log,
      authorization: this.#authorization,
    });
    try {
      // Where several nodes share the store, this one is heard of and listens from here on.
      await hub.start();
    } catch (error) {
      hub.stop();
      throw error;
    }
    return hub;
  }

  async #pushParts(): Promise<PushParts> {
    if (this.#stopping !== undefined) throw new PushError("going_away");
    await this.#open();
    if (this.#push === undefined) {
      throw new PushError("not_found", "Push is switched off: set push.enabled.");
    }
    return this.#push;
  }

  async #stop(): Promise<void> {
    // A start that is under way ends first, so that nothing is left open.
    const listener = await this.#listening?.catch(() => undefined);
    await this.#opening?.catch(() => {});
    const push = this.#push;
    this.#log.write("gateway.draining");
    if (push !== undefined) {
      await push.hub.drain();
      push.sockets.stop();
      await push.sockets.closeAll(CLOSE_PATIENCE);
      push.pollers.stop();
      push.door.authenticator.stop();
      push.hub.stop();
    }
    await listener?.close();
    this.#listener = undefined;
    await push?.hub.context.store[Symbol.asyncDispose]();
    this.#log.write("gateway.stopped");
    this.#log.close();
  }
}
