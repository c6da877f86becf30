import type { Hub } from "../hub.ts";
import { revocationsOf, type RevokeQuery } from "./revoking.ts";

/**
 * Revokes, on all nodes; resolves once the store has it.
 *
 * @param query checked
 * @throws {PushError} as the store
 */
export async function carryOut(hub: Hub, query: RevokeQuery): Promise<void> {
  const { clock, audit, settings: { delivery, polling } } = hub.context;
  const away = Math.max(delivery.sessionGrace, 2 * polling.longPollTimeout);
  const { subject, clientId } = query;
  const entries = revocationsOf(query, clock.now(), away);
  for (const { kind, name } of entries) {
    audit.revoked(kind === "token" ? { tokenId: name } : { subject, clientId });
  }
  await Promise.all(entries.map((entry) => hub.revocations.revoke(entry)));
  if (subject !== undefined && clientId !== undefined) await hub.forget(subject, clientId);
}
