/**
 * Publishes that outlive the page: each is written down before it is sent, and forgotten when its
 * promise has settled. What is found written down belongs to a page that is gone, and is sent by the
 * next one: in order, once, and before what that publishes on the same channel.
 *
 * ```ts
 * import { Gateway } from "@push/gateway";
 * import { PushClient } from "@push/client";
 * import { keepPublishes, storageStore } from "@push/client/outbox";
 *
 * await using gateway = new Gateway({ port: 0, push: { enabled: true } });
 * await gateway.start();
 *
 * await using client = new PushClient(`ws://127.0.0.1:${gateway.address.port}/ws`, {
 *   outbox: keepPublishes(storageStore(localStorage)),
 * });
 * client.on("error", ({ origin, error }) => console.log(origin, error));
 * await client.connect();
 * const { seq } = await client.publish("orders", { item: "tea" });
 * console.log(seq); // 1
 * ```
 *
 * ## What becomes of a publish
 *
 * A promise of `publish` settles as ever, and what it told is final: nothing of it is kept. What no
 * promise told, because the page went first, is handled by the next page:
 *
 * - **Never sent**: sent, however old, up to `maxAge` (a week).
 * - **Sent, without an answer**: sent again with its id as long as the gateway knows that, 5 minutes.
 *   After that nobody knows whether it was stored, and the `error` event tells of `outcome_unknown`.
 * - **Refused for now**: tried again after a growing while; what follows on its channel waits.
 *   **Refused for good**: the `error` event tells why.
 *
 * These `error` events have the origin `outbox`. A store that fails, because it is full say, or does not
 * answer for 2 seconds, costs the keeping and nothing else, and is told in the same way, once.
 *
 * ## Several tabs
 *
 * Each client writes under a name of its own and holds a Web Lock of that name. A page takes over only
 * from pages whose locks are free, when it connects. Where there are no Web Locks a store must not be
 * used by two programs at a time.
 *
 * What is kept lies in the storage of the page as plain text. Where users change, give each a `name`
 * of its own, or what one has left is sent as the other.
 *
 * @module
 */
import { check, isRecord, type Kind, members, number } from "../check.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "../clock.ts";
import type { PublishKeeper } from "../outbox.ts";
import { Keeper } from "./keeper.ts";
import { type OwnerLocks, Owners } from "./owners.ts";
import type { OutboxStore } from "./store.ts";

export { type IndexedDBLike, indexedStore } from "./indexed.ts";
export { type StorageLike, storageStore } from "./local.ts";
export type { OwnerLocks } from "./owners.ts";
export type { KeptPublish, OutboxStore } from "./store.ts";

/** Options of {@linkcode keepPublishes}. */
export interface KeepOptions {
  /** Tells outboxes in one store apart that must not send each other's publishes. Default `push:outbox`. */
  readonly name?: string;
  /** Seconds after which what was never sent is given up, above 0. Default 604 800, a week. */
  readonly maxAge?: number;
  /** Publishes that are kept at a time, from 1. Default 1000. */
  readonly maxPublishes?: number;
  /** Characters of payloads that are kept at a time, from 1. Default 1 048 576. */
  readonly maxSize?: number;
  /** Locks that tell which pages live. Default `navigator.locks`, where there are any. */
  readonly locks?: OwnerLocks;
  /** Source of time. Default the machine's. */
  readonly clock?: Clock;
  /** Source of randomness. Default the machine's. */
  readonly random?: RandomBytes;
}

/**
 * Keeps the publishes of one client in a store.
 *
 * @param store where to: {@linkcode storageStore}, {@linkcode indexedStore} or one of your own
 * @param options see {@linkcode KeepOptions}
 * @returns the value of the client's option `outbox`; one for each client
 * @throws {TypeError} if the store lacks a method, or an option is not known or of the wrong type
 * @throws {RangeError} if an option has a wrong value
 */
export function keepPublishes(store: OutboxStore, options: KeepOptions = {}): PublishKeeper {
  check("store", store, having("load", "put", "remove"));
  const { name, ...o } = members(options, {
    name: /^.{1,128}$/s,
    maxAge: number(),
    maxPublishes: number(1, undefined, 1),
    maxSize: number(1, undefined, 1),
    locks: having("request"),
    clock: having("now", "schedule"),
    random: "function",
  }, {
    name: "push:outbox",
    maxAge: 604_800,
    maxPublishes: 1000,
    maxSize: 1_048_576,
    clock: systemClock,
    random: systemRandom,
  });
  return new Keeper({
    ...o,
    name,
    store,
    owners: new Owners(name, o.locks ?? browserLocks()),
    maxAge: 1000 * o.maxAge,
  });
}

function browserLocks(): OwnerLocks | undefined {
  const page = globalThis as { readonly navigator?: { readonly locks?: OwnerLocks } };
  return page.navigator?.locks;
}

/** An object with methods of these names. */
function having(...methods: readonly string[]): Kind {
  return [
    `an object with ${methods.join(" and ")}`,
    (value) => isRecord(value) && methods.every((method) => typeof value[method] === "function"),
  ];
}
