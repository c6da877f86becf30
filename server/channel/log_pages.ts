import { Entry } from "./entry.ts";
import type { Page } from "../stores/store.ts";
import type { Stretch } from "./tail.ts";

/** Whose pages are read. */
export interface LogPagesHost {
  /** Name of the channel. */
  readonly name: string;
  /** Reads messages after a number, at most so many; `undefined` if the answer is out of date. */
  read(after: number, limit: number): Promise<Page | undefined>;
  /** A page has been read. */
  loaded(): void;
  /** A page could not be read. */
  unread(): void;
}

/** Most messages that are read at once. */
export const PAGE = 256;
const MAX_PAGES = 32;
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_LOADS = 8;

/**
 * Pages of a log, for subscribers behind the newest messages: however many stand at a place, the log
 * is asked once.
 */
export class LogPages {
  readonly #host: LogPagesHost;
  readonly #pages = new Map<number, Stretch & { readonly bytes: number }>();
  readonly #loading = new Set<number>();

  /** @param host how pages are read */
  constructor(host: LogPagesHost) {
    this.#host = host;
  }

  /** The page with what comes after a number; asks for it if it is not there. */
  at(after: number): Stretch | undefined {
    const start = after - after % PAGE;
    const page = this.#pages.get(start);
    if (page !== undefined && page.to > after) return page;
    this.#load(start);
    return undefined;
  }

  /** Forgets all pages. */
  clear(): void {
    this.#pages.clear();
  }

  async #load(start: number): Promise<void> {
    // Who needs a page that is not read now is pumped again when another one has been.
    if (this.#loading.has(start) || this.#loading.size >= MAX_LOADS) return;
    this.#loading.add(start);
    try {
      const page = await this.#host.read(start, PAGE);
      if (page !== undefined) this.#keep(start, page);
      this.#host.loaded();
    } catch {
      this.#host.unread();
    } finally {
      this.#loading.delete(start);
    }
  }

  #keep(start: number, { epoch, head, messages }: Page): void {
    const { name } = this.#host;
    const entries = messages.map((message) => new Entry(name, epoch, message));
    const full = entries.length === PAGE;
    const to = full ? entries[entries.length - 1].seq : head;
    this.#pages.delete(start);
    const size = messages.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#pages.set(start, { from: start, to, entries, bytes: size });
    // The pages that were read longest ago give way.
    let count = 0;
    let bytes = 0;
    for (const [first, page] of [...this.#pages].reverse()) {
      bytes += page.bytes;
      if (++count > 1 && (count > MAX_PAGES || bytes > MAX_BYTES)) this.#pages.delete(first);
    }
  }
}
