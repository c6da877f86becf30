/** As much of the Web Locks as is used here. */
export interface TabLocks {
  /**
   * Calls `callback` with the lock, held until its promise settles. With `steal` it is taken from who
   * holds it, whose own request rejects.
   */
  request(
    name: string,
    options: { readonly steal?: boolean; readonly signal?: AbortSignal },
    callback: (lock: unknown) => Promise<void> | void,
  ): Promise<unknown>;
}

/** As much of a `BroadcastChannel` as is used here. */
export interface TabChannel {
  // Every implementation has its own event types; `never` lets all of them pass.
  /** Called with an object whose `data` was posted by another page. */
  onmessage: ((event: never) => unknown) | null;
  /** Tells all other pages. */
  postMessage(message: unknown): void;
  /** Ends it. */
  close(): void;
}

/** As much of `localStorage` as is used here. */
export interface TabStorage {
  /** The text kept under `key`. */
  getItem(key: string): string | null;
  /** Keeps `text` under `key`. */
  setItem(key: string, text: string): void;
  /** Removes what is kept under `key`. */
  removeItem(key: string): void;
}

/** What a page has for sharing a connection. */
export interface TabPlatform {
  /** Default `navigator.locks`. */
  readonly locks?: TabLocks;
  /** Default `BroadcastChannel`. */
  readonly BroadcastChannel?: new (name: string) => TabChannel;
  /** Where the session is kept for the next tab when all are closed. Default `localStorage`. */
  readonly storage?: TabStorage;
}

/** The page's own, where `given` has none. */
export function platformOf(given: TabPlatform): TabPlatform {
  const page = globalThis as unknown as {
    readonly navigator?: { readonly locks?: TabLocks };
    readonly BroadcastChannel?: TabPlatform["BroadcastChannel"];
  };
  const locks = given.locks ?? page.navigator?.locks;
  const BroadcastChannel = given.BroadcastChannel ?? page.BroadcastChannel;
  const storage = given.storage ?? localStorageOf(page);
  return {
    ...locks && { locks },
    ...BroadcastChannel && { BroadcastChannel },
    ...storage && { storage },
  };
}

function localStorageOf(page: object): TabStorage | undefined {
  // A runtime without pages may have one that outlives the program.
  if (!("document" in page)) return undefined;
  try {
    // Reading the property throws where the user has blocked storage.
    return (page as { readonly localStorage?: TabStorage }).localStorage;
  } catch {
    return undefined;
  }
}
