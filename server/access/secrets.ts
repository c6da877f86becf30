import { createHash } from "node:crypto";

/** Hash under which a secret is kept: SHA-256, hexadecimal. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Token of an `Authorization: Bearer …` header (RFC 6750 section 2.1), if it is one. */
export function bearerToken(header: string | null): string | undefined {
  const match = header?.match(/^Bearer +(\S+) *$/i);
  return match?.[1];
}
