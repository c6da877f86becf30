/**
 * The part of Deno KV that the store uses, and how to come by it: built into Deno where the flag
 * `--unstable-kv` is on, else the npm package, which is the same SQLite behind a native module.
 *
 * @module
 */
import { dirname, resolve } from "node:path";

/** Where a value is. */
export type KvKey = readonly (string | number)[];

/** A value and where it is. Other programs may have put in anything. */
export interface KvEntry {
  /** Where it is. */
  readonly key: readonly unknown[];
  /** The value; `null` if there is none. */
  readonly value: unknown;
  /** Changes with each write; `null` if there is no value. */
  readonly versionstamp: string | null;
}

/** Which values to list. */
export type KvSelector =
  | { readonly prefix: KvKey }
  | { readonly start: KvKey; readonly end: KvKey };

/** Writes that all happen, or none. */
export interface KvAtomic {
  /** Nothing happens unless the value's versionstamp is this one. */
  check(check: { readonly key: KvKey; readonly versionstamp: string | null }): KvAtomic;
  /** Sets a value. */
  set(key: KvKey, value: unknown): KvAtomic;
  /** Deletes a value. */
  delete(key: KvKey): KvAtomic;
  /** Resolves once it is on the disk. */
  commit(): Promise<{ readonly ok: true; readonly versionstamp: string } | { readonly ok: false }>;
}

/** A database. */
export interface KvDatabase {
  /** One value. */
  get(key: KvKey): Promise<KvEntry>;
  /** At most 10 values. */
  getMany(keys: readonly KvKey[]): Promise<readonly KvEntry[]>;
  /** Values in the order of their keys. */
  list(
    selector: KvSelector,
    options: { readonly batchSize: number; readonly limit?: number },
  ): AsyncIterable<KvEntry>;
  /** Begins to write. */
  atomic(): KvAtomic;
  /** Lets it go. */
  close(): void;
}

/** Opens a database, or makes one. */
export type OpenDatabase = (path: string) => Promise<KvDatabase>;

/** Path of a database that lives in memory. */
export const IN_MEMORY = ":memory:";

/** Opens a database with what this process has. */
export const openDatabase: OpenDatabase = (path) => {
  const { openKv } = Deno as { openKv?: (path: string) => Promise<unknown> };
  // The built-in one is not a function but absent while its flag is off.
  if (openKv === undefined) return openPackage(path);
  return openKv(path) as Promise<KvDatabase>;
};

/** Opens a database with the npm package, which needs no flag. */
export const openPackage: OpenDatabase = async (path) => {
  const { openKv } = await import("@deno/kv");
  try {
    return await openKv(path, { implementation: "sqlite" }) as unknown as KvDatabase;
  } catch (error) {
    throw explained(error);
  }
};

/** What the native module of the npm package needs, as Deno asks for it and as a flag is written. */
const NATIVE: readonly (readonly [asked: Deno.PermissionDescriptor, flag: string])[] = [
  [{ name: "ffi" }, "--allow-ffi"],
  [{ name: "read" }, "--allow-read"],
  [{ name: "sys", kind: "cpus" }, "--allow-sys=cpus"],
  [{ name: "sys", kind: "hostname" }, "--allow-sys=hostname"],
  [{ name: "sys", kind: "networkInterfaces" }, "--allow-sys=networkInterfaces"],
];

/** The package says nothing of permissions, but only that it found no native module. */
function explained(error: unknown): unknown {
  if (!(error instanceof Error) || !error.message.includes("napi")) return error;
  const missing = NATIVE
    .filter(([asked]) => Deno.permissions.querySync(asked).state !== "granted")
    .map(([, flag]) => flag);
  if (missing.length === 0) return error;
  const flags = missing.join(", ");
  return new Error(`npm:@deno/kv needs ${flags}; or run again with --unstable-kv`, {
    cause: error,
  });
}

/**
 * Where a file is, whatever it is called: the same for all names of one file.
 *
 * @throws {TypeError} if its folder cannot be used
 */
export async function locate(path: string): Promise<string> {
  const file = resolve(path);
  try {
    return await Deno.realPath(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw cannotOpen(path, reasonOf(error));
  }
  try {
    return resolve(await Deno.realPath(dirname(file)), file.slice(dirname(file).length + 1));
  } catch (error) {
    throw cannotOpen(path, `its folder cannot be used: ${reasonOf(error)}`);
  }
}

/**
 * Makes sure that no other process uses a file: KV itself lets several open it, and they would hear
 * nothing of one another.
 *
 * @param place where the file is
 * @param path what it is called
 * @returns what to close to let the file go
 * @throws {TypeError} if another process uses it
 */
export async function lock(place: string, path: string): Promise<Disposable> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(`${place}.lock`, { create: true, write: true });
  } catch (error) {
    throw cannotOpen(path, reasonOf(error));
  }
  if (await file.tryLock(true)) {
    return {
      [Symbol.dispose]() {
        // Not by closing alone: a process that is being started has the descriptor too until it runs its
        // program. The file stays: removing it would let two processes lock two files of one name.
        file.unlockSync();
        file.close();
      },
    };
  }
  file.close();
  throw cannotOpen(path, "it is in use by another gateway");
}

/** An error of somebody who names a file that cannot be used. */
export function cannotOpen(path: string, why: string, cause?: unknown): TypeError {
  return new TypeError(`Cannot open the store '${path}': ${why}`, { cause });
}

/** What went wrong, in one line: the native module appends a backtrace. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.split("\n", 1)[0];
}
