import { createHash } from "node:crypto";

/** Hash under which a secret is kept: SHA-256, hexadecimal. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/**
 * Token of an `Authorization: Bearer …` header (RFC 6750 section 2.1), if it has one; whatever stands
 * there, so that what is no token is a wrong one, and not none.
 */
export function bearerToken(header: string | null): string | undefined {
  if (header === null || !/^Bearer(?:[ \t]|$)/i.test(header)) return undefined;
  return header.slice("Bearer".length).trim() || undefined;
}
