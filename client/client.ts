import {
  type DisconnectOptions,
  jsonOf,
  metadataOf,
  PUBLISH,
  type PublishOptions,
  readSubscribe,
  type SubscribeOptions,
  WAIT,
  WAIT_FOR,
  type WaitForOptions,
  type WaitOptions,
} from "./arguments.ts";
import { check, members } from "./check.ts";
import { randomId } from "./clock.ts";
import { diagnose, type Diagnosis } from "./diagnose.ts";
import { asyncDispose } from "./dispose.ts";
import type { ClientEvents, EventName, PresenceMember } from "./events.ts";
import type { MessageHandler } from "./handler.ts";
import { type Incoming, stringsOf } from "./incoming.ts";
import type { Closed, StateName, Transport } from "./lifecycle.ts";
import type { Message } from "./message.ts";
import { checkOptions, type ClientOptions } from "./options.ts";
import type { Published } from "./outbox.ts";
import type { ChannelName, Payload, Publishable } from "./payloads.ts";
import { readPresence } from "./presence.ts";
import { CHANNEL_NAME } from "./protocol/channel_name.ts";
import { PushError } from "./protocol/error.ts";
import type { ClientFrame, Json } from "./protocol/frames.ts";
import { type Session, sessionOf } from "./session.ts";
import { subscribe, type Subscription } from "./subscription.ts";
import { waitFor } from "./wait_for.ts";

/** Names of the events (`ClientEvents`). */
const EVENT = /^(channel_message|presence_(list|join|leave|update)|gap|error|state)$/;

/**
 * A client of a Push gateway: one connection, over WebSocket where it can be and over HTTP
 * long-polling where not, that comes back by itself and loses nothing meanwhile.
 *
 * Wrong arguments are `TypeError`s and `RangeError`s; everything else that goes wrong is a
 * {@linkcode PushError} with a code. Methods that return promises reject with them. While the client
 * is not connected, calls wait for it; after `disconnect()` they reject with `disconnected`.
 *
 * @example
 * ```ts
 * import { PushClient } from "@push/client";
 *
 * const client = new PushClient("ws://localhost:8765/ws", { authToken: "my-token" });
 * console.log(client.state); // "idle"
 * ```
 *
 * @example Channels with types
 * ```ts
 * import { PushClient } from "@push/client";
 *
 * interface Channels {
 *   alerts: { level: string };
 *   [room: `room:${string}`]: { text: string };
 * }
 *
 * const client = new PushClient<Channels>("ws://localhost:8765/ws");
 * client.on("channel_message", (message) => {
 *   if (message.channel === "alerts") console.log(message.data.level);
 * });
 * ```
 *
 * @typeParam C payloads by name of channel. Names that are not in it do not compile. Left out, every
 * name will do, and what a channel carries is said with each call: `subscribe<Alert>("alerts")`.
 */
// A client with a map passes for one without: no other default lets it.
// deno-lint-ignore no-explicit-any
export class PushClient<C = any> implements AsyncDisposable {
  readonly #session: Session;

  /**
   * Makes a client; `connect()` connects it.
   *
   * @param url address of the gateway: `ws:`, `wss:`, `http:` or `https:`
   * @param options see {@linkcode ClientOptions}
   * @throws {TypeError} if something is of the wrong type, or an option is not known
   * @throws {RangeError} if something has a wrong value
   */
  constructor(url: string | URL, options?: ClientOptions) {
    const { outbox, publish, report } = this.#session = sessionOf(checkOptions(url, options));
    outbox?.attach({
      client: this,
      send: publish,
      report: (error, channel) => report(error, "outbox", { channel }),
    });
  }

  /** Whether the gateway has accepted the client on a connection that is in use. */
  get isConnected(): boolean {
    return this.state === "connected";
  }

  /** Whether the client can publish: true, on every transport. */
  get supportsPublish(): boolean {
    return true;
  }

  /** Name of the client; `undefined` before the first connection if the gateway gives it. */
  get clientId(): string | undefined {
    return this.#session.clientId;
  }

  /**
   * What others see the client as, in `source` and in presence: its name, behind the subject of its
   * token if that has one of its own. `undefined` before the first connection.
   */
  get knownAs(): string | undefined {
    return this.#session.knownAs;
  }

  /** How frames travel now; `undefined` without a connection. */
  get transport(): Transport | undefined {
    return this.#session.transport;
  }

  /** State of the client; `on("state", …)` tells of changes, with their reasons. */
  get state(): StateName {
    return this.#session.state;
  }

  /**
   * Connects, and fulfills when connected; at once if it is. With `autoReconnect` it tries until it
   * succeeds, the gateway says to stay away, or `disconnect()` is called.
   *
   * @param options `signal` gives up: if nobody else waits for the first connection, the client is closed
   * @throws {PushError} why the client was closed instead
   */
  async connect(options?: WaitOptions): Promise<void> {
    await this.#session.connect(members(options, WAIT).signal);
  }

  /**
   * Closes the client: acknowledges what was handled, says goodbye, and rejects whatever waits.
   * A named session stays for the next start of the program, an unnamed one ends. Idempotent;
   * `connect()` opens the client again, with its subscriptions.
   *
   * @returns a promise that fulfills when the goodbye was said, or after 2 seconds; it never rejects
   * for what the network does
   */
  async disconnect(options?: DisconnectOptions): Promise<void> {
    await this.#session.disconnect(members(options, { forget: "boolean" }).forget);
  }

  /**
   * Waits until the client is closed, by `disconnect()` or because the gateway said to stay away.
   *
   * @returns why
   */
  async waitClosed(options?: WaitOptions): Promise<Closed> {
    return await this.#session.closed(members(options, WAIT).signal);
  }

  /**
   * Subscribes to a channel. The handler gets one message at a time; when it has finished the message
   * is acknowledged, when it throws the message comes again after a growing while. Without a handler
   * the subscription is read with `for await`, or by listeners of `channel_message`.
   *
   * Every handler and every open loop of a channel gets every message; it is acknowledged when all are
   * done with it.
   *
   * @typeParam T what the channel carries, where no map of channels says it: as said here, or what the
   * schema or the handler tells
   * @param channel name of the channel, created if there is none
   * @param handler called with each message
   * @param options where it starts, and how it handles
   * @returns a promise that fulfills when messages flow
   * @throws {PushError} if the gateway refuses; `disconnected` without an answer within `requestTimeout`
   */
  subscribe<T = Json, N extends ChannelName<C> = ChannelName<C>>(
    channel: N,
    handler: MessageHandler<Payload<C, N, T>>,
    options?: SubscribeOptions<Payload<C, N, T>>,
  ): Promise<Subscription<Payload<C, N, T>>>;
  /** Subscribes to a channel without a handler. */
  subscribe<T = Json, N extends ChannelName<C> = ChannelName<C>>(
    channel: N,
    options?: SubscribeOptions<Payload<C, N, T>>,
  ): Promise<Subscription<Payload<C, N, T>>>;
  async subscribe<T>(
    channel: string,
    handlerOrOptions?: MessageHandler<T> | SubscribeOptions<T>,
    givenOptions?: SubscribeOptions<T>,
  ): Promise<Subscription<T>> {
    checkChannel(channel);
    const handler = typeof handlerOrOptions === "function" || givenOptions !== undefined
      ? check("handler", handlerOrOptions as MessageHandler<T>, "function")
      : undefined;
    const options = handler ? givenOptions : handlerOrOptions as SubscribeOptions<T>;
    const checked = readSubscribe(channel, options);
    return await subscribe(this.#open(), channel, handler, checked);
  }

  /**
   * Ends every subscription to a channel, and its position at the gateway. Does nothing without one.
   *
   * @returns a promise that fulfills when the gateway has followed; without a connection at once, and
   * the gateway is told later
   */
  async unsubscribe(channel: ChannelName<C>): Promise<void> {
    checkChannel(channel);
    await this.#session.channels.get(channel)?.drop();
  }

  /**
   * Publishes a message, and fulfills when the gateway has stored it. Publishes to a channel are
   * stored in the order of the calls. What a lost connection left without an answer is sent again.
   *
   * @param channel name of the channel, created if there is none
   * @param data anything that JSON can carry
   * @throws {PushError} if the gateway refuses; `disconnected` if it could not be sent in time;
   * `outcome_unknown` if it was sent and no answer came in time; `outbox_full`; `message_too_large`
   */
  async publish<N extends ChannelName<C>>(
    channel: N,
    data: Publishable<C, N>,
    options?: PublishOptions,
  ): Promise<Published> {
    checkChannel(channel);
    const json = jsonOf("data", data);
    const { id, echo, timeout, signal } = members(options, PUBLISH);
    const session = this.#open();
    const { random, publishTimeout } = session;
    return await (session.outbox ?? session).publish(
      { type: "channel.publish", channel, id: id ?? randomId(random), echo: echo || undefined },
      json,
      timeout === undefined ? publishTimeout : 1000 * timeout,
      signal,
    );
  }

  /**
   * Creates a channel. Subscribing to one and publishing on one creates it too.
   *
   * @param metadata kept with the channel
   * @returns whether it is new; after a lost connection perhaps false, because an unanswered first
   * question had created it
   */
  async createChannel(
    channel: ChannelName<C>,
    metadata?: { readonly [key: string]: unknown },
    options?: WaitOptions,
  ): Promise<boolean> {
    checkChannel(channel);
    const kept = metadata === undefined ? metadata : metadataOf(metadata);
    return await this.#ask(
      options,
      { type: "channel.create", channel, metadata: kept },
      "channel.created",
      ({ ok }) => ok === true,
    );
  }

  /** Asks for the names of all channels. */
  async listChannels(options?: WaitOptions): Promise<string[]> {
    return await this.#ask(
      options,
      { type: "channel.list" },
      "channel.list",
      ({ channels }) => stringsOf(channels),
    );
  }

  /**
   * Waits for one message of a channel, subscribing for that long if nobody else has. Messages that
   * come before it and do not match count as handled. Where a client with a name of its own has a
   * backlog at the gateway, it begins there, and what comes after the message waits for `subscribe`.
   *
   * @throws {DOMException} named `TimeoutError` if none came in time
   * @throws {PushError} if the gateway refuses the channel, or the client is closed; `disconnected`
   * if the channel is not subscribed within `requestTimeout`
   */
  async waitFor<T = Json, N extends ChannelName<C> = ChannelName<C>>(
    channel: N,
    options?: WaitForOptions<Payload<C, N, T>>,
  ): Promise<Message<Payload<C, N, T>>> {
    checkChannel(channel);
    const checked = members(options, WAIT_FOR);
    return await waitFor(this.#open(), channel, checked);
  }

  /**
   * Says how the client is: it stays so, across reconnects, until said otherwise.
   *
   * @param status `online`, `idle`, or any word of the application, 1 to 64 characters
   * @param metadata what others may know of it, up to 1 KiB as JSON
   */
  async setStatus(
    status: string,
    metadata: { readonly [key: string]: unknown } = {},
    options?: WaitOptions,
  ): Promise<void> {
    check("status", status, /^.{1,64}$/s);
    const said = { status, metadata: metadataOf(metadata) };
    const frame = { type: "presence.heartbeat", ...said } as const;
    await this.#ask(options, frame, "presence.heartbeat_ack", () => {
      this.#session.status = said;
      return true;
    });
  }

  /**
   * Asks who is present. The answer is also told to listeners of `presence_list`.
   *
   * @param channel in which channel; anywhere if left out
   */
  async getPresence(channel?: ChannelName<C>, options?: WaitOptions): Promise<PresenceMember[]> {
    if (channel !== undefined) checkChannel(channel);
    const clients = await this.#ask(
      options,
      { type: "presence.query", channel },
      "presence.list",
      readPresence,
    );
    this.#session.emit("presence_list", { channel: channel ?? null, clients });
    return clients;
  }

  /**
   * Listens to an event, see {@linkcode ClientEvents}. A listener that throws disturbs nobody; the
   * `error` event tells of it.
   *
   * Listeners of `channel_message` are handlers: they get one message of a channel at a time, a
   * message is acknowledged when they have finished too, and one that throws gets it again.
   *
   * @returns what removes the listener
   * @throws {TypeError} if there is no such event, or the listener is no function
   */
  on<K extends EventName>(event: K, listener: (value: ClientEvents<C>[K]) => unknown): () => void {
    check("event", event, EVENT);
    check("listener", listener, "function");
    const session = this.#session;
    return event === "channel_message"
      ? session.listen(listener as MessageHandler<Json>)
      : session.on(event, listener as (value: ClientEvents[K]) => unknown);
  }

  /**
   * Says how things stand, for a bug report: what the client is connected to and how, what went
   * wrong last, and whether `/health` of the gateway answers now. There are no tokens in it, no
   * secrets and no payloads; names of channels and the client's own are.
   *
   * @returns a plain object, whose `toString()` is a text to paste; the promise never rejects
   */
  async diagnose(): Promise<Diagnosis> {
    return await diagnose(this.#session);
  }

  /** The same as `disconnect()`, for `await using`. */
  [asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  /** The session, if calls make sense on it. */
  #open(): Session {
    if (this.state !== "closed") return this.#session;
    throw new PushError("disconnected");
  }

  /** Asks the gateway. @param type of the answer @param read takes it apart */
  async #ask<T>(
    options: WaitOptions | undefined,
    frame: ClientFrame,
    type: string,
    read: (reply: Incoming) => T | undefined,
  ): Promise<T> {
    const signal = members(options, WAIT).signal;
    return await this.#open().ask(
      frame,
      (reply) => reply.type === type ? read(reply) : undefined,
      signal,
    );
  }
}

function checkChannel(channel: string): void {
  check("channel", channel, CHANNEL_NAME);
}
