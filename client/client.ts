import {
  type DisconnectOptions,
  jsonOf,
  metadataOf,
  type PublishOptions,
  readPublish,
  readSubscribe,
  readWait,
  readWaitFor,
  type SubscribeOptions,
  type WaitForOptions,
  type WaitOptions,
} from "./arguments.ts";
import { booleanOf, channelOf, membersOf, refuseRange, refuseType } from "./check.ts";
import { randomId } from "./clock.ts";
import { asyncDispose } from "./dispose.ts";
import { type ClientEvents, EVENT_NAMES, type EventName, type PresenceMember } from "./events.ts";
import { attachHandler, type MessageHandler } from "./handler.ts";
import { stringsOf } from "./incoming.ts";
import type { StateName, Transport } from "./lifecycle.ts";
import type { Message } from "./message.ts";
import { checkOptions, type ClientOptions } from "./options.ts";
import type { Published } from "./outbox.ts";
import { readPresence } from "./presence.ts";
import { PushError } from "./protocol/error.ts";
import type { Json } from "./protocol/frames.ts";
import type { Closed } from "./lobby.ts";
import { Session } from "./session.ts";
import { Subscription } from "./subscription.ts";
import { waitFor } from "./wait_for.ts";

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
 */
export class PushClient implements AsyncDisposable {
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
    this.#session = new Session(checkOptions(url, options));
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
    return this.#session.identity.clientId;
  }

  /** How frames travel now; `undefined` without a connection. */
  get transport(): Transport | undefined {
    return this.#session.connector.transport;
  }

  /** State of the client; `on("state", …)` tells of changes, with their reasons. */
  get state(): StateName {
    return this.#session.connector.state.name;
  }

  /**
   * Connects, and fulfills when connected; at once if it is. With `autoReconnect` it tries until it
   * succeeds, the gateway says to stay away, or `disconnect()` is called.
   *
   * @param options `signal` gives up: if nobody else waits for the first connection, the client is closed
   * @throws {PushError} why the client was closed instead
   */
  async connect(options?: WaitOptions): Promise<void> {
    await this.#session.connect(readWait("connect", options));
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
    const { forget } = membersOf("disconnect", "options", options, ["forget"]);
    await this.#session.disconnect(booleanOf("disconnect", "forget", forget, false));
  }

  /**
   * Waits until the client is closed, by `disconnect()` or because the gateway said to stay away.
   *
   * @returns why
   */
  async waitClosed(options?: WaitOptions): Promise<Closed> {
    return await this.#session.closed(readWait("wait", options));
  }

  /**
   * Subscribes to a channel. The handler gets one message at a time; when it has finished the message
   * is acknowledged, when it throws the message comes again after a growing while. Without a handler
   * the subscription is read with `for await`, or by listeners of `channel_message`.
   *
   * Every subscription of a channel gets every message; it is acknowledged when all are done with it.
   *
   * @param channel name of the channel, created if there is none
   * @param handler called with each message
   * @param options where it starts, and how it handles
   * @returns a promise that fulfills when messages flow
   * @throws {PushError} if the gateway refuses; `disconnected` without an answer within `requestTimeout`
   */
  subscribe<T = Json>(
    channel: string,
    handler: MessageHandler<T>,
    options?: SubscribeOptions,
  ): Promise<Subscription<T>>;
  /** Subscribes to a channel without a handler. */
  subscribe<T = Json>(channel: string, options?: SubscribeOptions): Promise<Subscription<T>>;
  async subscribe<T = Json>(
    channel: string,
    handlerOrOptions?: MessageHandler<T> | SubscribeOptions,
    givenOptions?: SubscribeOptions,
  ): Promise<Subscription<T>> {
    const handler = typeof handlerOrOptions === "function" ? handlerOrOptions : undefined;
    if (!handler && givenOptions !== undefined) {
      refuseType("subscribe", "handler", "a function", handlerOrOptions);
    }
    const options = handler ? givenOptions : handlerOrOptions as SubscribeOptions | undefined;
    const { mode, concurrency, start, signal } = readSubscribe(
      channelOf("subscribe", channel),
      options,
    );
    const { channels, emitter, terms } = this.#open();
    const [name] = Object.keys(start);
    if (name !== undefined && channels.has(channel)) {
      throw new TypeError(`Cannot subscribe with '${name}' as ${channel} is subscribed already`);
    }
    signal?.throwIfAborted();
    const failed = (error: unknown, message: Message): void =>
      emitter.report(error, "handler", { message });
    const handling = { mode, concurrency, terms, failed };
    const stop = (): void => void subscription.unsubscribe();
    const subscription: Subscription<T> = new Subscription<T>({
      channel,
      mode,
      join: (member) => channels.join(channel, member, start),
      leave: (member) => channels.leave(channel, member),
      attach: handler && ((inbox) => attachHandler(inbox, handler, handling)),
      closed: () => this.state === "closed",
      ended: () => signal?.removeEventListener("abort", stop),
    });
    try {
      await channels.ready(channel, signal);
    } catch (error) {
      void subscription.unsubscribe();
      throw error;
    }
    signal?.addEventListener("abort", stop);
    return subscription;
  }

  /**
   * Ends every subscription to a channel, and its position at the gateway. Does nothing without one.
   *
   * @returns a promise that fulfills when the gateway has followed; without a connection at once, and
   * the gateway is told later
   */
  async unsubscribe(channel: string): Promise<void> {
    await this.#session.channels.leaveAll(channelOf("unsubscribe", channel));
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
  async publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published> {
    channelOf("publish", channel);
    const text = jsonOf("publish", "data", data);
    const o = readPublish(options);
    const { settings: { random, publishTimeout }, outbox } = this.#open();
    const id = o.id ?? randomId(random);
    const head = { type: "channel.publish", channel, id, ...o.echo && { echo: true } } as const;
    return await outbox.publish(head, text, o.timeout ?? publishTimeout, o.signal);
  }

  /**
   * Creates a channel. Subscribing to one and publishing on one creates it too.
   *
   * @param metadata kept with the channel
   * @returns whether it is new; after a lost connection perhaps false, because an unanswered first
   * question had created it
   */
  async createChannel(
    channel: string,
    metadata?: { readonly [key: string]: unknown },
    options?: WaitOptions,
  ): Promise<boolean> {
    const act = "create a channel";
    channelOf(act, channel);
    const signal = readWait(act, options);
    const extra = metadata === undefined ? {} : { metadata: metadataOf(act, metadata) };
    return await this.#open().requests.ask(
      { type: "channel.create", channel, ...extra },
      (reply) => reply.type === "channel.created" ? reply.ok === true : undefined,
      signal,
    );
  }

  /** Asks for the names of all channels. */
  async listChannels(options?: WaitOptions): Promise<string[]> {
    const signal = readWait("list channels", options);
    return await this.#open().requests.ask(
      { type: "channel.list" },
      (reply) => reply.type === "channel.list" ? stringsOf(reply.channels) : undefined,
      signal,
    );
  }

  /**
   * Waits for one message of a channel, subscribing for that long if nobody else has. Messages that
   * come before it and do not match count as handled. Where a client with a name of its own has a
   * backlog at the gateway, it begins there, and what comes after the message waits for `subscribe`.
   *
   * @throws {DOMException} named `TimeoutError` if none came in time
   * @throws {PushError} if the gateway refuses the channel, or the client is closed
   */
  async waitFor<T = Json>(channel: string, options?: WaitForOptions<T>): Promise<Message<T>> {
    const act = "wait for a message";
    channelOf(act, channel);
    return await waitFor(this.#open(), channel, readWaitFor(act, options));
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
    const act = "set the status";
    if (typeof status !== "string") refuseType(act, "status", "a string", status);
    if (status === "" || status.length > 64) {
      refuseRange(act, "status", "1 to 64 characters", status);
    }
    const said = { status, metadata: metadataOf(act, metadata) };
    const signal = readWait(act, options);
    const { heartbeat, requests } = this.#open();
    await requests.ask(
      { type: "presence.heartbeat", ...said },
      (reply) => {
        if (reply.type !== "presence.heartbeat_ack") return undefined;
        heartbeat.status = said;
        return true;
      },
      signal,
    );
  }

  /**
   * Asks who is present. The answer is also told to listeners of `presence_list`.
   *
   * @param channel in which channel; anywhere if left out
   */
  async getPresence(channel?: string, options?: WaitOptions): Promise<PresenceMember[]> {
    const act = "get the presence";
    if (channel !== undefined) channelOf(act, channel);
    const signal = readWait(act, options);
    const { requests, emitter } = this.#open();
    const clients = await requests.ask(
      { type: "presence.query", ...channel !== undefined && { channel } },
      readPresence,
      signal,
    );
    emitter.emit("presence_list", { channel: channel ?? null, clients });
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
  on<K extends EventName>(event: K, listener: (value: ClientEvents[K]) => unknown): () => void {
    if (!(EVENT_NAMES as readonly string[]).includes(event)) {
      refuseType("listen", "event", EVENT_NAMES.join(", "), event);
    }
    if (typeof listener !== "function") refuseType("listen", "listener", "a function", listener);
    const { listeners, emitter } = this.#session;
    return event === "channel_message"
      ? listeners.on(listener as MessageHandler<Json>)
      : emitter.on(event, listener);
  }

  /** The same as `disconnect()`, for `await using`. */
  [asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  /** The session, if calls make sense on it. */
  #open(): Session {
    if (this.state !== "closed") return this.#session;
    throw new PushError("disconnected", "The client is closed: call connect() to open it again.");
  }
}
