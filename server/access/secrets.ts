import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";

/** Hash under which a secret is kept: SHA-256, hexadecimal. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Whether two hashes of secrets are the same: comparing takes the same time for all. */
export function isSameHash(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one, "hex"), Buffer.from(other, "hex"));
}

/** Token of an `Authorization: Bearer …` header (RFC 6750 section 2.1), if it is one. */
export function bearerToken(header: string | null): string | undefined {
  const match = header?.match(/^Bearer +(\S+) *$/i);
  return match?.[1];
}
