import type { Json } from "@push/client/protocol";
import { isObject } from "../dialog/fields.ts";
import { checkGrants } from "./grants.ts";
import type { Grant, Identity } from "./identity.ts";
import { isSubject } from "./subject.ts";

/** An identity as JSON carries it; `undefined` if it is none: what was kept may be of anybody's. */
export function readIdentity(value: Json | undefined): Identity | undefined {
  if (!isObject(value)) return undefined;
  const { subject, grants, expiresAt, issuedAt, tokenId } = value;
  if (!isSubject(subject) || !(tokenId === undefined || isSubject(tokenId))) return undefined;
  if (!isTimeOrNothing(expiresAt) || !isTimeOrNothing(issuedAt)) return undefined;
  let read: Grant[] | undefined;
  try {
    if (grants !== undefined) read = checkGrants(grants);
  } catch {
    return undefined;
  }
  return {
    subject,
    ...(read === undefined ? {} : { grants: read }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(issuedAt === undefined ? {} : { issuedAt }),
    ...(tokenId === undefined ? {} : { tokenId }),
  };
}

function isTimeOrNothing(value: unknown): value is number | undefined {
  return value === undefined || typeof value === "number";
}
