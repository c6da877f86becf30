import { systemClock } from "../../../../server/clock.ts";
import { Revocations } from "../../../../server/nodes/revocations.ts";
import type { RedisStore } from "../../../../server/stores/redis/store.ts";
import type { Revocation } from "../../../../server/stores/revocations.ts";

/** A revocation of a subject, for an hour. */
export function revocation(name: string, parts: Partial<Revocation> = {}): Revocation {
  const now = Date.now();
  return { kind: "subject", name, at: now, until: now + 3_600_000, ...parts };
}

/** Names that a store tells. */
export async function namesOf(store: RedisStore): Promise<string[]> {
  const { entries } = await store.revocations(undefined);
  return entries.map(({ name }) => name).sort();
}

/** What a node knows that hears no notes. */
export async function deafNode(store: RedisStore): Promise<Revocations & AsyncDisposable> {
  const revocations = new Revocations({ store, clock: systemClock, failed: () => {} });
  await revocations.start();
  return Object.assign(revocations, {
    [Symbol.asyncDispose]: () => Promise.resolve(revocations.stop()),
  });
}
