import type { KvLetter, KvLetters } from "./letters.ts";
import type { KvReader } from "./reader.ts";
import type { DeadLetter } from "../store.ts";

/** Parts that payloads come from. */
export interface PayloadParts {
  readonly reader: KvReader;
  readonly data: { readonly letters: KvLetters };
}

/** Dead letters as they were given, each with its payload. One whose payload is gone is none. */
export async function withPayloads(
  parts: PayloadParts,
  letters: readonly KvLetter[],
): Promise<DeadLetter[]> {
  const found = await Promise.all(letters.map(async (letter) => {
    const payload = await payloadOf(parts, letter);
    return payload === undefined ? [] : [letter.plain(payload)];
  }));
  return found.flat();
}

/**
 * Has payloads in memory while something is done with the letters that take no time.
 *
 * @param find the letters, which may be others from one moment to the next
 * @param work is begun when all of them have their payloads
 */
export async function holdingPayloads<T>(
  parts: PayloadParts,
  find: () => readonly KvLetter[],
  work: () => Promise<T>,
): Promise<T> {
  const filled = new Set<KvLetter>();
  try {
    while (true) {
      const hollow = find().filter((letter) => !filled.has(letter));
      if (hollow.length === 0) return await work();
      await Promise.all(hollow.map(async (letter) => {
        const payload = await payloadOf(parts, letter);
        if (payload === undefined) return;
        letter.fill(payload);
        filled.add(letter);
      }));
    }
  } finally {
    for (const letter of filled) letter.fill("");
  }
}

async function payloadOf(
  { reader, data }: PayloadParts,
  letter: KvLetter,
): Promise<string | undefined> {
  const payload = await reader.payload(letter);
  if (payload === undefined) data.letters.discard(letter);
  return payload;
}
