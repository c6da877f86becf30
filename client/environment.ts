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

/** The page that the client runs in; `undefined` outside of browsers. */
export function browserEnvironment(): Environment | undefined {
  if (typeof document === "undefined" || typeof addEventListener === "undefined") return undefined;
  return {
    onWake(task) {
      const ifVisible = (): void => {
        if (document.visibilityState === "visible") task();
      };
      addEventListener("online", task);
      addEventListener("pageshow", ifPersisted);
      document.addEventListener("visibilitychange", ifVisible);
      return () => {
        removeEventListener("online", task);
        removeEventListener("pageshow", ifPersisted);
        document.removeEventListener("visibilitychange", ifVisible);
      };
      function ifPersisted(event: PageTransitionEvent): void {
        if (event.persisted) task();
      }
    },
    onHide(task) {
      addEventListener("pagehide", task);
      return () => removeEventListener("pagehide", task);
    },
    keep: browserKeep(),
  };
}

function browserKeep(): Keep | undefined {
  let storage: Storage;
  try {
    // Reading the property throws where the user has blocked storage.
    storage = sessionStorage;
  } catch {
    return undefined;
  }
  // A duplicated tab starts with a copy of the storage: without locks the two could not be told apart.
  if (typeof navigator === "undefined" || !navigator.locks) return undefined;
  return {
    read: (key) => storage.getItem(key),
    write: (key, text) => text === null ? storage.removeItem(key) : storage.setItem(key, text),
    lock: (name) =>
      new Promise((resolve) => {
        navigator.locks.request(name, { ifAvailable: true }, (lock) => {
          if (lock === null) return resolve(undefined);
          return new Promise<void>((release) => resolve(() => release()));
        }).catch(() => resolve(undefined));
      }),
  };
}
