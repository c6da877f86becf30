/**
 * Push messages for Deno, browsers, Node and Bun: a client that connects over WebSocket, or over
 * HTTP long-polling where WebSockets are blocked, comes back by itself, and loses nothing meanwhile.
 * It depends on nothing.
 *
 * ## Connect and receive
 *
 * ```ts
 * import { Gateway } from "@push/gateway";
 * import { PushClient } from "@push/client";
 *
 * // A gateway to talk to; usually it runs elsewhere.
 * await using gateway = new Gateway({ port: 0, authToken: "my-token", push: { enabled: true } });
 * await gateway.start();
 * const url = `ws://127.0.0.1:${gateway.address.port}/ws`;
 *
 * await using client = new PushClient(url, { authToken: "my-token" });
 * await client.connect();
 *
 * const heard = Promise.withResolvers<void>();
 * await client.subscribe<{ level: string }>("alerts", (message) => {
 *   console.log(message.channel, message.data.level); // alerts info
 *   heard.resolve();
 * });
 *
 * await gateway.publish("alerts", { level: "info" });
 * await heard.promise;
 * ```
 *
 * A message is acknowledged when its handler has finished. A handler that throws gets the message
 * again, after a growing while, until the gateway gives it up. As long as one client object lives, no
 * message is handled twice at a time, nor again after it was handled; across restarts of the program
 * a message may repeat, because delivery is at least once.
 *
 * ## Read one by one
 *
 * Without a handler a subscription is read with `for await`: asking for the next message
 * acknowledges the last one. `waitFor` waits for a single message.
 *
 * ```ts
 * import { Gateway } from "@push/gateway";
 * import { PushClient } from "@push/client";
 *
 * await using gateway = new Gateway({ port: 0, push: { enabled: true } });
 * await gateway.start();
 * const url = `ws://127.0.0.1:${gateway.address.port}/ws`;
 * await using client = new PushClient(url);
 * await client.connect();
 * const jobs = await client.subscribe<number>("jobs");
 *
 * await using publisher = new PushClient(url);
 * await publisher.connect();
 * for (const job of [1, 2, 3]) await publisher.publish("jobs", job);
 *
 * for await (const message of jobs) {
 *   console.log(message.data); // 1, 2, 3
 *   if (message.data < 3) continue;
 *   message.ack();
 *   break;
 * }
 * ```
 *
 * ## Channels with types, and schemas
 *
 * `new PushClient<Channels>(url)` takes the payload of each channel from a map of types; names that
 * are not in the map do not compile. Types are a promise of the publishers. A schema keeps them to it,
 * of any library that follows Standard Schema: what does not fit never reaches the handler; the
 * `error` event tells of it, and the message is refused as if the handler had thrown.
 *
 * ```ts
 * import { Gateway } from "@push/gateway";
 * import { PushClient, type Schema } from "@push/client";
 *
 * await using gateway = new Gateway({ port: 0, push: { enabled: true } });
 * await gateway.start();
 *
 * interface Channels {
 *   prices: number;
 *   [room: `room:${string}`]: { text: string };
 * }
 *
 * // By hand; Zod, Valibot and ArkType make such objects.
 * const price: Schema<number> = {
 *   "~standard": {
 *     version: 1,
 *     vendor: "example",
 *     validate: (value) =>
 *       typeof value === "number" ? { value } : { issues: [{ message: "A price is a number." }] },
 *   },
 * };
 *
 * await using client = new PushClient<Channels>(`ws://127.0.0.1:${gateway.address.port}/ws`);
 * client.on("error", ({ error, origin }) => console.log(origin, error)); // schema PushError: …
 * await client.connect();
 * const next = client.waitFor("prices", { schema: price });
 * await client.createChannel("prices");
 * await gateway.publish("prices", "cheap");
 * await gateway.publish("prices", 5);
 * console.log((await next).data.toFixed(2)); // 5.00
 * ```
 *
 * ## Names, and what survives
 *
 * A client that gives itself a `clientId` goes on where it was after a restart of the program: the
 * gateway keeps its subscriptions and positions, for a day by default. Without a name the session
 * outlives only lost connections, and in browsers a reload of the page.
 *
 * ## States and errors
 *
 * `on("state", …)` tells of every change with a code, a reason and what to do, `on("gap", …)` of
 * messages that are lost for good, and `on("error", …)` of what no promise tells: handlers that throw,
 * and frames that make no sense. Everything that travels goes wrong as a {@linkcode PushError} with a
 * code of one table; wrong arguments are `TypeError`s and `RangeError`s. `diagnose()` gathers all of it
 * in a text to paste into a bug report.
 *
 * @module
 */
export { PushClient } from "./client.ts";
export type {
  DisconnectOptions,
  PublishOptions,
  SubscribeOptions,
  WaitForOptions,
  WaitOptions,
} from "./arguments.ts";
export type { ChannelDiagnosis, Diagnosis } from "./diagnose.ts";
export type { Cancel, Clock, RandomBytes } from "./clock.ts";
export type { Environment, Keep } from "./environment.ts";
export type {
  ClientError,
  ClientEvents,
  EventName,
  Gap,
  PresenceChange,
  PresenceList,
  PresenceMember,
  StateChange,
} from "./events.ts";
export type { MessageHandler } from "./handler.ts";
export type { Closed, StateName, Transport } from "./lifecycle.ts";
export type { Fetch } from "./links/http.ts";
export type { WebSocketConstructor, WebSocketLike } from "./links/websocket.ts";
export type { Message, NackOptions } from "./message.ts";
export type { ClientOptions, TokenSource } from "./options.ts";
export type { KeeperHost, Published, PublishKeeper, SendPublish } from "./outbox.ts";
export type { AnyMessage, ChannelName, Payload, Publishable } from "./payloads.ts";
export type { Code } from "./protocol/codes.ts";
export { PushError } from "./protocol/error.ts";
export type { Json } from "./protocol/frames.ts";
export type { Schema, SchemaIssue, SchemaResult } from "./schema.ts";
export type { Subscription } from "./subscription.ts";
