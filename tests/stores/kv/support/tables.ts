import { type KvEntry, type KvKey, openDatabase } from "../../../../server/stores/kv/engine.ts";
import { keyOf, type Table } from "../../../../server/stores/kv/keys.ts";

/** Every entry of a table of a closed store. */
export async function entriesOf(path: string, table: Table): Promise<KvEntry[]> {
  const db = await openDatabase(path);
  try {
    return await Array.fromAsync(db.list({ prefix: keyOf(table) }, { batchSize: 500 }));
  } finally {
    db.close();
  }
}

/** Puts a value into a closed store, as an operator might; without a value it deletes. */
export async function tamper(path: string, key: readonly unknown[], value?: unknown) {
  const db = await openDatabase(path);
  try {
    const atomic = db.atomic();
    if (value === undefined) atomic.delete(key as KvKey);
    else atomic.set(key as KvKey, value);
    await atomic.commit();
  } finally {
    db.close();
  }
}
