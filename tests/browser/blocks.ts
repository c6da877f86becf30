import type { Route, WebSocketRoute } from "playwright-core";
import type { Transport } from "@push/client";
import type { Visit } from "../support/browser.ts";

/** Takes transports away from the pages of a visit, as firewalls and proxies do. */
export class Blocks {
  readonly #blocked = new Set<string>();
  readonly #sockets = new Set<WebSocketRoute>();

  /** Stands between the pages that are opened from now on and the network. */
  static async between(visit: Visit): Promise<Blocks> {
    const blocks = new Blocks();
    await visit.context.routeWebSocket(/.*/, (socket) => blocks.#socket(socket));
    const gate = (name: Transport) => (route: Route) =>
      blocks.#blocked.has(name) ? route.abort() : route.continue();
    await visit.context.route("**/api/push/sse*", gate("sse"));
    await visit.context.route("**/api/push/poll/messages", gate("longpoll"));
    return blocks;
  }

  /** Only these transports are blocked from now on; an open WebSocket is cut if it is. */
  async set(...transports: Transport[]): Promise<void> {
    this.#blocked.clear();
    for (const name of transports) this.#blocked.add(name);
    if (!this.#blocked.has("websocket")) return;
    const open = [...this.#sockets];
    this.#sockets.clear();
    for (const socket of open) await socket.close({ code: 1006 });
  }

  #socket(socket: WebSocketRoute): void {
    if (this.#blocked.has("websocket")) return void socket.close({ code: 1006 });
    const server = socket.connectToServer();
    this.#sockets.add(socket);
    server.onClose((code, reason) => {
      this.#sockets.delete(socket);
      void socket.close({ code, reason });
    });
  }
}
