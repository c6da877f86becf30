import { IN_MEMORY, locate } from "./engine.ts";
import { type FileTerms, KvFile } from "./file.ts";

interface Use {
  readonly file: Promise<KvFile>;
  users: number;
  closing?: Promise<void>;
}

/** Files that this process has open, by where they are. */
const uses = new Map<string, Use>();

/** A file for as long as a handle uses it. */
export interface Lease {
  readonly file: KvFile;
  /** Lets the file go; the last handle closes it. */
  end(): Promise<void>;
}

/**
 * A file, opened if no handle of this process has it open.
 *
 * @throws {TypeError} if it cannot be used
 */
export async function lease(path: string, terms: FileTerms): Promise<Lease> {
  if (path === IN_MEMORY) {
    const file = await KvFile.open(undefined, path, terms);
    return { file, end: () => file.close() };
  }
  const inMemory = path.startsWith(IN_MEMORY);
  const place = inMemory ? path : await locate(path);
  let use = uses.get(place);
  while (use?.closing !== undefined) {
    await use.closing;
    use = uses.get(place);
  }
  if (use === undefined) {
    use = { file: KvFile.open(inMemory ? undefined : place, path, terms), users: 0 };
    uses.set(place, use);
  }
  use.users++;
  return { file: await opened(place, use), end: () => leave(place, use) };
}

async function opened(place: string, use: Use): Promise<KvFile> {
  try {
    return await use.file;
  } catch (error) {
    if (uses.get(place) === use) uses.delete(place);
    throw error;
  }
}

async function leave(place: string, use: Use): Promise<void> {
  if (--use.users > 0) return;
  use.closing = use.file.then((file) => file.close()).finally(() => uses.delete(place));
  await use.closing;
}
