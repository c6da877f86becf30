import { MemoryStore } from "../../server/stores/memory/store.ts";
import type { MemoryStoreOptions } from "../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../server/stores/open.ts";
import { resolveOptions } from "../../server/options/options.ts";
import type { GatewayOptions } from "../../mod.ts";
import type { Era, LogState, Store } from "../../server/stores/store.ts";
import type { ManualClock } from "../../server/testing/mod.ts";

/** The log of an engine that may lose its last writes, and then says how far it goes on. */
export class Engine {
  #store: MemoryStore;
  readonly #options: MemoryStoreOptions;
  readonly #earlier = new Map<string, Era[]>();
  /** Milliseconds that the engine's clock is ahead; it has none if undefined. */
  ahead: number | undefined;
  /** Its clock. */
  readonly #now: () => number;

  constructor(options: MemoryStoreOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
    this.#store = new MemoryStore(options);
  }

  /**
   * Another process takes over, with a new epoch.
   *
   * @param lost messages that it does not have, by channel
   * @param tells whether it says which epoch was before
   * @param isLossy whether it says that it may have lost what was answered
   */
  async failOver(
    lost: { [channel: string]: number },
    tells = true,
    isLossy = false,
  ): Promise<void> {
    const old = this.#store;
    this.#store = new MemoryStore(this.#options);
    const now = this.#time;
    for (const { name, epoch, head } of await old.channels(now)) {
      const base = head - (lost[name] ?? 0);
      const { messages } = await old.read(name, 0, base, now);
      await this.#store.create(name, {}, now);
      if (base > 0) {
        await this.#store.append(name, messages.map((each) => ({ ...each, subject: "" })), now);
      }
      const before = this.#earlier.get(name) ?? [];
      this.#earlier.set(name, tells ? [{ epoch, base, isLossy }, ...before] : []);
    }
  }

  /** A handle on the log, with the sessions of another store. */
  handle(sessions: Store): Store {
    return new Proxy(sessions, {
      get: (_, key) => {
        const name = String(key);
        if (name === "read" || name === "append") {
          return async (channel: string, ...rest: unknown[]) => {
            rest[rest.length - 1] = this.#time;
            const method = Reflect.get(this.#store, name) as (
              ...args: unknown[]
            ) => Promise<object>;
            const result = await method.call(this.#store, channel, ...rest);
            return { ...result, ...this.#more(channel) };
          };
        }
        if (name === "states") {
          return async (channels: string[]) => {
            const states = await this.#store.states(channels, this.#time);
            return states.map((state: LogState | undefined, i) =>
              state && { ...state, ...this.#more(channels[i]) }
            );
          };
        }
        const target = name === "create" || name === "channels" ? this.#store : sessions;
        const value = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  get #time(): number {
    return this.#now() + (this.ahead ?? 0);
  }

  #more(channel: string): Partial<LogState> {
    const earlier = this.#earlier.get(channel);
    return {
      ...(earlier === undefined ? {} : { earlier }),
      ...(this.ahead === undefined ? {} : { time: this.#time }),
    };
  }
}

/** An engine, and a whole store over it for a gateway with these options. */
export function failoverStore(
  options: GatewayOptions,
  clock: Pick<ManualClock, "now">,
): { readonly engine: Engine; readonly store: Store } {
  const { push } = resolveOptions({ ...options, push: { enabled: true, ...options.push } });
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const parts = { retention: retentionOf(push), limits: storeLimitsOf(push), random };
  const engine = new Engine(parts, () => clock.now());
  return { engine, store: engine.handle(new MemoryStore(parts)) };
}
