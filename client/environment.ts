/**
 * What a browser tells about the page: whether it is back, whether it is about to go, and a place
 * that survives a reload. Elsewhere there is none of it.
 *
 * @module
 */

/** A place for text that survives a reload of the page. */
export interface Keep {
  /** The text kept under `key`. */
  read(key: string): string | null;
  /** Keeps `text` under `key`, or removes it. */
  write(key: string, text: string | null): void;
  /**
   * Holds `name` against every other page of this browser.
   *
   * @returns what gives the name back, or `undefined` if another page holds it
   */
  lock(name: string): Promise<(() => void) | undefined>;
}

/** The page around the client. */
export interface Environment {
  /** Calls `task` when the network or the page is back. @returns what ends that */
  onWake(task: () => void): () => void;
  /** Calls `task` when the page is about to go. @returns what ends that */
  onHide(task: () => void): () => void;
  /** Absent where nothing survives a reload, or nothing tells duplicated pages apart. */
  readonly keep?: Keep | undefined;
}

/** As much of a page as is used here: the types of a browser are not there elsewhere. */
interface Page {
  readonly document?: EventTarget & { readonly visibilityState: string };
  readonly sessionStorage: {
    getItem(key: string): string | null;
    setItem(key: string, text: string): void;
    removeItem(key: string): void;
  };
  readonly navigator: {
    readonly locks?: {
      request(
        name: string,
        options: { ifAvailable: boolean },
        callback: (lock: unknown) => Promise<void> | void,
      ): Promise<unknown>;
    };
  };
}

let environment: Environment | undefined;

/** The page that all clients here run in; `undefined` outside of browsers. */
export function browserEnvironment(): Environment | undefined {
  const page = globalThis as unknown as Page;
  const { document } = page;
  if (!document) return undefined;
  return environment ??= {
    onWake: (task) =>
      listening((options) => {
        addEventListener("online", task, options);
        // A page that comes out of the back/forward cache has lost its connection.
        addEventListener("pageshow", (event) => {
          if ((event as Event & { persisted?: boolean }).persisted) task();
        }, options);
        document.addEventListener("visibilitychange", () => {
          if (document.visibilityState === "visible") task();
        }, options);
      }),
    onHide: (task) => listening((options) => addEventListener("pagehide", task, options)),
    keep: browserKeep(page),
  };
}

/** Adds listeners. @returns what removes them */
function listening(add: (options: AddEventListenerOptions) => void): () => void {
  const over = new AbortController();
  add({ signal: over.signal });
  return () => over.abort();
}

function browserKeep(page: Page): Keep | undefined {
  const { locks } = page.navigator;
  // A duplicated tab starts with a copy of the storage: without locks the two could not be told apart.
  if (!locks) return undefined;
  try {
    // Reading the property throws where the user has blocked storage.
    const storage = page.sessionStorage;
    return {
      read: (key) => storage.getItem(key),
      write: (key, text) => text === null ? storage.removeItem(key) : storage.setItem(key, text),
      lock: (name) =>
        new Promise((resolve) => {
          locks.request(
            name,
            { ifAvailable: true },
            (lock) => lock ? new Promise<void>((release) => resolve(release)) : resolve(undefined),
          ).catch(() => resolve(undefined));
        }),
    };
  } catch {
    return undefined;
  }
}
