import { PushError } from "@push/client/protocol";
import { MAX_TOKEN } from "../access/authenticator.ts";
import type { Identity } from "../access/identity.ts";
import { carryOut } from "../access/revoke.ts";
import { faultOf, MAX_REVOKED, revocationInfo, type RevokeQuery } from "../access/revoking.ts";
import { isSubject } from "../access/subject.ts";
import { clientIdField, refuse, secondsField, stringField } from "../dialog/fields.ts";
import type { Hub } from "../hub.ts";
import { demandAdmin } from "./api.ts";
import { type Body, json } from "./respond.ts";

const MAX_ID = 255;

/** `POST /api/push/revoke` */
export async function revoke(
  hub: Hub,
  _url: URL,
  { frame }: Body,
  identity: Identity,
): Promise<Response> {
  await demandAdmin(hub, identity);
  const query: RevokeQuery = {
    token: stringField(frame, "token", MAX_TOKEN),
    tokenId: subjectField(frame, "token_id"),
    subject: subjectField(frame, "subject"),
    clientId: clientIdField(frame),
    for: secondsField(frame, "for", MAX_REVOKED),
  };
  const wrong = faultOf(query);
  if (wrong !== undefined) throw new PushError("bad_request", wrong);
  await carryOut(hub, query);
  return json({ ok: true });
}

/** `GET /api/push/revocations` */
export async function revocations(
  hub: Hub,
  _url: URL,
  _body: Body,
  identity: Identity,
): Promise<Response> {
  await demandAdmin(hub, identity);
  const listed = hub.revocations.all().map(revocationInfo);
  return json({
    revocations: listed.map(({ tokenId, clientId, ...more }) => ({
      ...(tokenId === undefined ? {} : { token_id: tokenId }),
      ...(clientId === undefined ? {} : { client_id: clientId }),
      ...more,
    })),
  });
}

function subjectField(frame: Body["frame"], field: string): string | undefined {
  const value = stringField(frame, field, MAX_ID);
  if (value === undefined || isSubject(value)) return value;
  refuse(field, `${MAX_ID} printable characters at most`, value);
}
