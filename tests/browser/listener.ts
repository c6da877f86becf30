import type { Page } from "playwright-core";
import type { ClientOptions, PushClient, SubscribeOptions } from "@push/client";
import type { Gateway } from "../../mod.ts";

/** What a listener is told to do, as far as it can be sent into a page. */
export interface ListenerOptions {
  /** Default `a`. */
  readonly channel?: string;
  readonly client?: ClientOptions;
  readonly subscribe?: SubscribeOptions<number>;
  /** Key of the local storage that handled messages are added to: it outlives the page. */
  readonly journal?: string;
}

/** What the page holds. */
interface Globals {
  readonly client: PushClient;
  readonly noted: { got: number[]; redelivered: number[]; states: string[]; told: string[] };
}

/** A client in a page that subscribes to one channel of numbers, and notes what happens to it. */
export class Listener {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  /** Begins to connect; resolves at once. */
  static async begin(page: Page, url: string, options: ListenerOptions = {}): Promise<Listener> {
    await page.evaluate(async ({ url, channel = "a", client: given, subscribe, journal }) => {
      const { PushClient } = await import("@push/client");
      const client = new PushClient(url, given);
      const noted: Globals["noted"] = { got: [], redelivered: [], states: [], told: [] };
      Object.assign(globalThis, { client, noted });
      client.on("state", ({ state, transport, code }) => {
        noted.states.push([state, transport ?? code ?? ""].join(" ").trim());
      });
      client.on("gap", ({ seq }) => noted.told.push(`gap up to ${seq}`));
      client.on("error", ({ error }) => noted.told.push(`${error}`));
      client.subscribe<number>(channel, ({ data, redelivered }) => {
        noted.got.push(data);
        if (redelivered) noted.redelivered.push(data);
        if (journal) localStorage[journal] = `${localStorage[journal] ?? ""}${data},`;
      }, subscribe).catch((error) => noted.told.push(`${error}`));
      client.connect().catch((error) => noted.told.push(`${error}`));
    }, { url, ...options });
    return new Listener(page);
  }

  /** Connects, and resolves when messages flow. */
  static async start(page: Page, url: string, options: ListenerOptions = {}): Promise<Listener> {
    const listener = await Listener.begin(page, url, options);
    await page.evaluate(async (channel) => {
      const { client } = globalThis as unknown as Globals;
      await client.connect();
      await client.subscribe(channel).then((another) => another.unsubscribe());
    }, options.channel ?? "a");
    return listener;
  }

  /** Resolves once so many messages were handled; to all of them. */
  async got(count: number): Promise<number[]> {
    await this.#until((noted, count) => noted.got.length >= count, count);
    return (await this.noted()).got;
  }

  /** Resolves once it was in this state, `connected websocket` say, after the first `from` changes. */
  async reached(state: string, from = 0): Promise<void> {
    await this.#until(
      ({ states }, [state, from]) => states.indexOf(state, from) >= 0,
      [state, from] as const,
    );
  }

  /** All that it noted. */
  noted(): Promise<Globals["noted"]> {
    return this.page.evaluate(() => (globalThis as unknown as Globals).noted);
  }

  /** Its name and how it is connected now. */
  now(): Promise<{ clientId?: string; transport?: string; state: string }> {
    return this.page.evaluate(() => {
      const { clientId, transport, state } = (globalThis as unknown as Globals).client;
      return { clientId, transport, state };
    });
  }

  /** Resolves once everything that it handled is acknowledged. */
  async settled(): Promise<void> {
    // Questions are answered in their order, and acknowledgements go ahead of them.
    await this.page.evaluate(async () => {
      const { client } = globalThis as unknown as Globals;
      await new Promise((resolve) => setTimeout(resolve));
      await client.listChannels();
    });
  }

  async #until<T>(holds: (noted: Globals["noted"], arg: T) => boolean, arg: T): Promise<void> {
    try {
      await this.page.waitForFunction(
        `(${holds})(globalThis.noted, ${JSON.stringify(arg)})`,
        undefined,
        { polling: 10 },
      );
    } catch (cause) {
      const noted = await this.noted().catch(() => "nothing");
      throw new Error(`Waited in vain; the page noted ${JSON.stringify(noted)}`, { cause });
    }
  }
}

/** Publishes the numbers from `first` to `last`. */
export async function publish(
  gateway: Gateway,
  first: number,
  last: number,
  channel = "a",
): Promise<void> {
  for (let n = first; n <= last; n++) await gateway.publish(channel, n);
}

/** The numbers from 1 to `last`. */
export function numbers(last: number): number[] {
  return Array.from({ length: last }, (_, i) => i + 1);
}
