import { formatEventId, PushError } from "@push/client/protocol";
import { Authenticator } from "./access/authenticator.ts";
import { channelOf, functionOf, jsonOf, nameOf, publishOptionsOf, queryOf } from "./arguments.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "./clock.ts";
import { EVENT_NAMES, type GatewayEvent, type GatewayEvents, Listeners } from "./events.ts";
import { byteLength } from "./dialog/fields.ts";
import { Origins } from "./http/origins.ts";
import { Pollers } from "./http/pollers.ts";
import { answer, type PushParts } from "./http/router.ts";
import { EventStreams } from "./http/streams.ts";
import { Sockets } from "./http/upgrade.ts";
import { Hub } from "./hub.ts";
import { Listener } from "./listener.ts";
import { checkExposure, type GatewayOptions, resolveOptions } from "./options/options.ts";
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
  /** Source of time. Default: the machine's. */
  readonly clock?: Clock;
  /** Source of randomness. Default: the machine's. */
  readonly random?: RandomBytes;
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
  readonly #authenticator: Authenticator;
  #origins: Origins;
  readonly #listeners = new Listeners();
  #opening: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #push: PushParts | undefined;
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
    this.#authenticator = new Authenticator(this.settings.authToken);
    this.#origins = new Origins(this.settings.push.allowedOrigins, undefined);
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
   * @throws {TypeError} if `host` is not loopback and there is no token
   * @throws {Deno.errors.AddrInUse} if the port is taken
   */
  async start(): Promise<void> {
    if (this.#stopping !== undefined) {
      throw new PushError("going_away", "A stopped gateway does not start again: make a new one.");
    }
    checkExposure(this.settings);
    if (this.#listener !== undefined) return await this.#open();
    const { host, port } = this.settings;
    const listener = new Listener(host, port, this.fetch, this.#clock);
    this.#listener = listener;
    this.#origins = new Origins(this.settings.push.allowedOrigins, host);
    try {
      await this.#open();
    } catch (error) {
      this.#listener = undefined;
      await listener.close();
      throw error;
    }
  }

  /**
   * Answers one request, for a gateway that is mounted in another server instead of started:
   * `Deno.serve((request) => gateway.fetch(request))`.
   */
  readonly fetch = async (request: Request): Promise<Response> => {
    let failed = false;
    if (this.#stopping === undefined) {
      try {
        await this.#open();
      } catch (error) {
        console.error("The gateway could not open.", error);
        failed = true;
      }
    }
    return await answer({
      path: this.settings.path,
      uptime: this.#clock.now() - this.#startedAt,
      draining: this.#stopping !== undefined,
      origins: this.#origins,
      failed,
      push: this.#push,
    }, request);
  };

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
   * Listens to what happens. A handler that throws or rejects is reported to the console and
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
    const store = this.#parts.store ?? await openStore(push, random);
    const hub = await this.#openHub(store, random).catch(async (error) => {
      // A store that was brought along may be opened again.
      if (this.#parts.store === undefined) await store[Symbol.asyncDispose]();
      throw error;
    });
    this.#push = {
      hub,
      authenticator: this.#authenticator,
      sockets: new Sockets(hub, this.#authenticator),
      pollers: new Pollers(hub),
      streams: new EventStreams(hub),
    };
  }

  async #openHub(store: Store, random: RandomBytes): Promise<Hub> {
    await store.open();
    const hub = new Hub({
      settings: this.settings.push,
      store,
      clock: this.#clock,
      random,
      events: this.#listeners.hubEvents,
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
    await this.#opening?.catch(() => {});
    const push = this.#push;
    if (push !== undefined) {
      await push.hub.drain();
      await push.sockets.closeAll(CLOSE_PATIENCE);
      push.pollers.stop();
      push.hub.stop();
    }
    await this.#listener?.close();
    this.#listener = undefined;
    await push?.hub.context.store[Symbol.asyncDispose]();
  }
}
