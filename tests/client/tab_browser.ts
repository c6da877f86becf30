import { type Cancel, type ClientOptions, type Clock, PushClient } from "@push/client";
import { shared, type SharedOptions, type TabLocks } from "@push/client/tabs";

// Without one that stays, Deno 2.9 refuses what is posted just after the last of others was closed.
new BroadcastChannel("stays");

type Grant = (lock: unknown) => Promise<void> | void;

interface Waiting {
  readonly page: Page;
  readonly grant: () => void;
}

/** A browser with tabs of one origin: locks and storage are common, and a tab can be killed. */
export class TabBrowser {
  readonly storage: Map<string, string> = new Map();
  readonly #held: Map<string, Page> = new Map();
  readonly #robbed: Map<string, (error: unknown) => void> = new Map();
  readonly #queues: Map<string, Waiting[]> = new Map();
  readonly #pages: Set<Page> = new Set();

  /** Opens a tab. */
  open(): Page {
    const page = new Page(this);
    this.#pages.add(page);
    return page;
  }

  /** The tab that has the connection. */
  get leader(): Page | undefined {
    return [...this.#pages].find((page) => page.isAlive && page.sockets.size > 0);
  }

  /** Kills every tab. */
  closeAll(): void {
    for (const page of [...this.#pages]) page.kill();
  }

  /** Takes a lock for a page, as the Web Locks do. */
  async request(page: Page, name: string, options: RequestOptions, callback: Grant): Promise<void> {
    const { steal = false, signal } = options;
    if (steal) {
      this.#robbed.get(name)?.(new DOMException("stolen", "AbortError"));
      this.#held.delete(name);
      this.#queues.get(name)?.unshift({ page, grant: () => {} });
      if (this.#queues.get(name)) this.#grant(name);
    } else {await new Promise<void>((resolve, reject) => {
        const waiting = { page, grant: resolve };
        const queue = this.#queues.get(name) ?? [];
        this.#queues.set(name, queue);
        queue.push(waiting);
        signal?.addEventListener("abort", () => {
          const index = queue.indexOf(waiting);
          if (index < 0) return;
          queue.splice(index, 1);
          reject(signal.reason);
        });
        this.#grant(name);
      });}
    const robbed = Promise.withResolvers<never>();
    this.#robbed.set(name, robbed.reject);
    try {
      await Promise.race([callback({ name }), robbed.promise]);
    } finally {
      if (this.#held.get(name) === page) {
        this.#held.delete(name);
        this.#grant(name);
      }
    }
  }

  /** A page is gone, and its locks with it. */
  release(page: Page): void {
    this.#pages.delete(page);
    for (const queue of this.#queues.values()) {
      for (let i = queue.length - 1; i >= 0; i--) if (queue[i].page === page) queue.splice(i, 1);
    }
    for (const [name, holder] of [...this.#held]) {
      if (holder !== page) continue;
      this.#held.delete(name);
      this.#grant(name);
    }
  }

  #grant(name: string): void {
    if (this.#held.has(name)) return;
    const next = this.#queues.get(name)?.shift();
    if (!next) return;
    this.#held.set(name, next.page);
    next.grant();
  }
}

type RequestOptions = Parameters<TabLocks["request"]>[1];

/** A tab: what runs in it ends when it is killed. */
export class Page {
  readonly sockets: Set<WebSocket> = new Set();
  readonly #browser: TabBrowser;
  readonly #channels: Set<BroadcastChannel> = new Set();
  readonly #timers: Set<Cancel> = new Set();
  readonly #gone = new AbortController();
  isAlive = true;
  /** Whether it is suspended: it hears nothing. */
  isFrozen = false;

  constructor(browser: TabBrowser) {
    this.#browser = browser;
  }

  /** Options for a client that shares. */
  options(options: ClientOptions = {}, sharing: SharedOptions = {}): ClientOptions {
    return shared(
      { WebSocket: this.#socketClass(), fetch: this.#fetch, clock: this.#clock(), ...options },
      { ...this.platform, ...sharing },
    );
  }

  /** A client that shares. */
  client(url: string, options: ClientOptions = {}): PushClient {
    return new PushClient(url, this.options(options));
  }

  /** What the page has for sharing. */
  get platform(): SharedOptions {
    const { storage } = this.#browser;
    const channels = this.#channels;
    const isFrozen = (): boolean => this.isFrozen;
    return {
      locks: {
        request: (name, options, callback) => this.#browser.request(this, name, options, callback),
      },
      BroadcastChannel: class extends BroadcastChannel {
        constructor(name: string) {
          super(name);
          channels.add(this);
          this.addEventListener("message", (event) => {
            if (isFrozen()) event.stopImmediatePropagation();
          });
        }
        override postMessage(message: unknown): void {
          if (channels.has(this)) super.postMessage(message);
        }
        override close(): void {
          channels.delete(this);
          super.close();
        }
      },
      storage: {
        getItem: (key) => storage.get(key) ?? null,
        setItem: (key, text) => void storage.set(key, text),
        removeItem: (key) => void storage.delete(key),
      },
    };
  }

  /** The tab is gone from one moment to the next. */
  kill(): void {
    this.isAlive = false;
    this.#gone.abort();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    for (const channel of [...this.#channels]) channel.close();
    for (const socket of this.sockets) {
      socket.onopen =
        socket.onmessage =
        socket.onclose =
        socket.onerror =
          null;
      socket.close(4999);
    }
    this.#browser.release(this);
  }

  readonly #fetch: NonNullable<ClientOptions["fetch"]> = (input, init) => {
    const signals = [this.#gone.signal, ...init.signal ? [init.signal] : []];
    return fetch(input, { ...init, signal: AbortSignal.any(signals) });
  };

  #socketClass(): NonNullable<ClientOptions["WebSocket"]> {
    const { sockets } = this;
    return class extends WebSocket {
      constructor(url: string) {
        super(url);
        sockets.add(this);
        this.addEventListener("close", () => sockets.delete(this));
      }
    };
  }

  #clock(): Clock {
    return {
      now: () => Date.now(),
      schedule: (delay, task) => {
        if (!this.isAlive) return () => {};
        const handle = setTimeout(() => {
          this.#timers.delete(cancel);
          task();
        }, delay);
        const cancel = (): void => {
          this.#timers.delete(cancel);
          clearTimeout(handle);
        };
        this.#timers.add(cancel);
        return cancel;
      },
    };
  }
}
