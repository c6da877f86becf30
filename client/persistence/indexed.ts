import type { OutboxStore } from "./store.ts";

/** As much of an IndexedDB request as is used here: the types of a browser are not there elsewhere. */
interface Request<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}

interface OpenRequest extends Request<Database> {
  onupgradeneeded: (() => void) | null;
  onblocked: (() => void) | null;
}

interface Database {
  onversionchange: (() => void) | null;
  onclose: (() => void) | null;
  createObjectStore(name: string, options: { keyPath: string }): unknown;
  transaction(name: string, mode: "readonly" | "readwrite"): Transaction;
  close(): void;
}

interface Transaction {
  readonly error: unknown;
  oncomplete: (() => void) | null;
  onabort: (() => void) | null;
  objectStore(name: string): {
    getAll(): Request<unknown[]>;
    put(value: unknown): unknown;
    delete(key: string): unknown;
  };
}

/** As much of `indexedDB` as is used here. */
export interface IndexedDBLike {
  /** Opens a database. */
  open(name: string, version: number): unknown;
}

const TABLE = "publishes";

/**
 * Keeps publishes in an IndexedDB, which has room for more than a `localStorage`. It writes within
 * milliseconds, so what was published in the last moment before the page goes may not be kept.
 *
 * @param name of the database. Default `push-outbox`
 * @param factory where databases are. Default `indexedDB`
 */
export function indexedStore(name: string = "push-outbox", factory?: IndexedDBLike): OutboxStore {
  let opening: Promise<Database> | undefined;
  const database = (): Promise<Database> =>
    opening ??= open(factory, name, () => opening = undefined).catch((error) => {
      opening = undefined;
      throw error;
    });
  const change = async (
    task: (table: ReturnType<Transaction["objectStore"]>) => unknown,
  ): Promise<void> => {
    const transaction = (await database()).transaction(TABLE, "readwrite");
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      task(transaction.objectStore(TABLE));
    });
  };
  return {
    async load() {
      const all = (await database()).transaction(TABLE, "readonly").objectStore(TABLE).getAll();
      return await answered(all);
    },
    put: (kept) => change((table) => table.put(kept)),
    remove: (key) => change((table) => table.delete(key)),
  };
}

async function open(
  factory: IndexedDBLike | undefined,
  name: string,
  closed: () => void,
): Promise<Database> {
  const found = factory ?? (globalThis as { readonly indexedDB?: IndexedDBLike }).indexedDB;
  if (!found) throw new TypeError("Cannot keep publishes as there is no indexedDB");
  const request = found.open(name, 1) as OpenRequest;
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: "key" });
  const database = await answered(request);
  // Another page that deletes the database or has a newer version does not wait for this one.
  database.onversionchange = () => {
    database.close();
    closed();
  };
  database.onclose = closed;
  return database;
}

function answered<T>(request: Request<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
