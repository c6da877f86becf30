import type { ClientOptions, Transport } from "@push/client";

/** Where a line leads. */
export interface LineEnd {
  readonly ws: string;
  readonly http: string;
}

/**
 * The line between one client and its gateways: it leads to one of them at a time, transports can
 * be taken away in mid-stream, and answers can be lost.
 */
export class Line {
  /** Gives the gateway that the next socket or request is led to. */
  end: () => LineEnd;
  /** Whether the answer of a request to this path is lost. */
  loses: (path: string) => boolean = () => false;
  /** Whether streams of events are held back until they end, as some proxies do. */
  isGathering = false;
  readonly #blocked = new Set<Transport>();
  readonly #cuts = new Map<Transport, Set<() => void>>([
    ["websocket", new Set()],
    ["sse", new Set()],
    ["longpoll", new Set()],
  ]);

  /** @param end the gateway that it leads to at first */
  constructor(end: LineEnd) {
    this.end = () => end;
  }

  /** What the client is given. */
  get options(): Pick<ClientOptions, "WebSocket" | "fetch"> {
    const open = (): WebSocket => this.#open();
    const Opened = function () {
      return open();
    };
    return {
      WebSocket: Opened as unknown as ClientOptions["WebSocket"],
      fetch: (url, init) => this.#fetch(url, init),
    };
  }

  /** Takes transports away, also what is open of them, and gives all others back. */
  block(...transports: Transport[]): void {
    this.#blocked.clear();
    for (const transport of transports) {
      this.#blocked.add(transport);
      this.cut(transport);
    }
  }

  /** Ends what is open of a transport, as a network does that breaks. */
  cut(transport: Transport): void {
    for (const cut of [...this.#cuts.get(transport)!]) cut();
  }

  #open(): WebSocket {
    if (this.#blocked.has("websocket")) throw new Error("WebSockets are blocked.");
    const socket = new WebSocket(this.end().ws);
    const cuts = this.#cuts.get("websocket")!;
    const cut = (): void => {
      const { onclose } = socket;
      cuts.delete(cut);
      socket.onclose = socket.onmessage = null;
      socket.onerror = () => {};
      // Any code but 1000, which would be a goodbye.
      socket.close(3000);
      onclose?.call(socket, new CloseEvent("close", { code: 1006 }));
    };
    cuts.add(cut);
    socket.addEventListener("close", () => cuts.delete(cut));
    return socket;
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const path = new URL(url).pathname;
    const transport = path.endsWith("/sse")
      ? "sse"
      : path.endsWith("/messages")
      ? "longpoll"
      : undefined;
    if (transport && this.#blocked.has(transport)) throw new TypeError(`${path} is blocked.`);
    const abort = new AbortController();
    const cut = (): void => abort.abort(new TypeError("The connection was reset."));
    const cuts = transport && this.#cuts.get(transport);
    cuts?.add(cut);
    const signal = AbortSignal.any([abort.signal, init.signal!]);
    signal.addEventListener("abort", () => cuts?.delete(cut));
    const response = await fetch(`${this.end().http}${path}`, { ...init, signal });
    if (transport !== "sse" || this.isGathering) {
      // Read before it is lost: the gateway has done what it was asked for.
      const text = await response.text();
      cuts?.delete(cut);
      if (this.loses(path)) throw new TypeError("The connection was reset.");
      return new Response(text, response);
    }
    return response;
  }
}
