/**
 * One connection for all tabs of a browser. Each tab has an ordinary `PushClient` with all that it
 * promises; one of the tabs has the connection to the gateway and passes on what is said.
 *
 * ```ts
 * import { Gateway } from "@push/gateway";
 * import { PushClient } from "@push/client";
 * import { shared } from "@push/client/tabs";
 *
 * await using gateway = new Gateway({ port: 0, push: { enabled: true } });
 * await gateway.start();
 * const url = `ws://127.0.0.1:${gateway.address.port}/ws`;
 *
 * // The same line in every tab; here two of them are in one program.
 * await using first = new PushClient(url, shared());
 * await using second = new PushClient(url, shared());
 * await first.connect();
 * await second.connect();
 *
 * const messages = await second.subscribe<string>("news");
 * await first.publish("news", "hello");
 * for await (const message of messages) {
 *   console.log(message.data); // hello
 *   break;
 * }
 * console.log(first.clientId === second.clientId); // true: to the gateway the tabs are one client
 * ```
 *
 * ## What is shared, and what is not
 *
 * To the gateway all tabs are one client with one session: one name, one place among the present, one
 * status (the last that a tab has set). To the page each client is as it would be alone: it has
 * subscriptions, handlers and publishes of its own, gets each message once and in order, and does not
 * get what it published itself, though the other tabs do. A message is acknowledged at the gateway
 * when every tab that is subscribed has acknowledged it; one that a tab refuses comes again to that tab.
 *
 * `clientId` names the client of all tabs. Tokens come from the tab that connected last.
 *
 * ## When tabs come and go
 *
 * The tab with the connection holds a Web Lock. When it is closed, crashes or is reloaded, the next
 * tab gets the lock and connects, with the same session; the clients of the other tabs reconnect to
 * it by themselves and say what they have, so nothing is lost and nothing handled twice. A tab that is
 * reloaded goes on where it was. A tab that is gone holds nothing back.
 *
 * What the session is called is kept in `localStorage`, so that it goes on when all tabs were closed for
 * less than the gateway keeps it.
 *
 * ## Where it does not apply
 *
 * Without Web Locks or `BroadcastChannel` `shared` gives the options back as they are: each tab then
 * has a connection of its own. Tabs of different origins never share, as neither does a
 * `BroadcastChannel`; any script of the same origin can listen to one, as it can to everything else of the
 * page. Users of one page that must not see each other's messages need a `group` each.
 *
 * @module
 */
import { check, isText } from "../check.ts";
import { browserEnvironment, type Environment } from "../environment.ts";
import type { ClientOptions } from "../options.ts";
import { keepOf } from "./keep.ts";
import { platformOf, type TabPlatform } from "./platform.ts";
import { Seat } from "./seat.ts";
import { TabSocket } from "./socket.ts";

export type { TabChannel, TabLocks, TabPlatform, TabStorage } from "./platform.ts";

/** Options of {@linkcode shared}. */
export interface SharedOptions extends TabPlatform {
  /** Tells groups of tabs with one gateway apart, such as users of one page. Default `clientId`. */
  readonly group?: string;
}

/**
 * Options for a client that shares its connection with those of other tabs that have the same address
 * and group. All of them must ask for the same transports and name.
 *
 * @param options of the client; `WebSocket`, `fetch` and `transports` are those of the shared connection
 * @param sharing see {@linkcode SharedOptions}
 * @returns what to give to `new PushClient`, once
 * @throws {TypeError} if the group is no string
 */
export function shared(options: ClientOptions = {}, sharing: SharedOptions = {}): ClientOptions {
  if (sharing.group !== undefined) check("group", sharing.group, ["a string", isText]);
  const platform = platformOf(sharing);
  const { locks, BroadcastChannel, storage } = platform;
  if (!locks || !BroadcastChannel) return options;
  const { clientId, environment: given, ...rest } = options;
  const around = given ?? browserEnvironment();
  const group = sharing.group ?? clientId ?? "";
  const wakes: Set<() => void> = new Set();
  let isBegun = false;
  let seat: Seat | undefined;
  const environment: Environment = {
    onWake(task) {
      const end = around?.onWake(task);
      wakes.add(task);
      isBegun = true;
      seat?.begin();
      return () => {
        end?.();
        wakes.delete(task);
        isBegun = false;
        seat?.end();
      };
    },
    onHide: (task) =>
      around?.onHide(() => {
        task();
        seat?.flush();
      }) ?? (() => {}),
    ...around?.keep && { keep: keepOf(around.keep) },
  };
  const parts = {
    platform: { locks, BroadcastChannel, ...storage && { storage } },
    options,
    group,
    wake: () => {
      for (const task of [...wakes]) task();
    },
  };
  const WebSocket = class extends TabSocket {
    constructor(url: string) {
      const isFirst = seat === undefined;
      seat ??= new Seat(url, parts);
      if (isFirst && isBegun) seat.begin();
      super(seat);
    }
  };
  return { ...rest, transports: ["websocket"], WebSocket, environment };
}
