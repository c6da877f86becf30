import { type Code, PushError } from "@push/client/protocol";
import type { Log } from "./log.ts";

/** What is known of somebody who was refused. */
export interface Suspect {
  /** Address of the other end. */
  readonly peer?: string;
  readonly subject?: string;
  readonly clientId?: string;
}

/** Characters of the id of a token that are told. */
const SHOWN_ID = 12;

/** Refusals that were told, where most was known of them. */
const TOLD = new WeakSet<PushError>();

/** What refusals are about. */
type Kind = "identity" | "action" | "limit";

/** What a refusal with a code is about; any other code refuses no identity or action. */
const KINDS: ReadonlyMap<Code, Kind> = new Map<Code, Kind>([
  ["token_required", "identity"],
  ["token_invalid", "identity"],
  ["token_expired", "identity"],
  ["bad_secret", "identity"],
  ["forbidden", "action"],
  ["rate_limited", "limit"],
  ["frame_too_large", "limit"],
  ["message_too_large", "limit"],
  ["metadata_too_large", "limit"],
  ["nesting_too_deep", "limit"],
  ["channel_name_too_long", "limit"],
  ["handshake_timeout", "limit"],
]);

function kindOf(code: Code): Kind | undefined {
  return KINDS.get(code) ?? (code.startsWith("too_many_") ? "limit" : undefined);
}

/** What was revoked: whatever of it is named. */
export interface Revoked {
  readonly subject?: string;
  readonly clientId?: string;
  /** What a revocation calls a token; never the token. */
  readonly tokenId?: string;
}

/**
 * One line for each refused identity or action. No method takes a token, and whoever calls one hands
 * over none: a code says why somebody was refused.
 */
export class Audit {
  readonly #log: Log;

  /** @param log where the lines go */
  constructor(log: Log) {
    this.#log = log;
  }

  /** Somebody could not show who they are: no token, a wrong, expired or revoked one, a bad secret. */
  identityRefused(code: Code, who: Suspect, action?: string): void {
    this.#log.write("identity.refused", { code, ...picked(who), action });
  }

  /** Somebody who is known wanted to do what they may not. */
  actionRefused(code: Code, who: Suspect, action: string, channel?: string): void {
    this.#log.write("action.refused", { code, ...picked(who), action, channel });
  }

  /**
   * Somebody was refused: told if that is about an identity, an action or a limit, and only once
   * of one error, however often it is caught on its way.
   *
   * @param action what was asked for: a frame's type, or a route
   */
  refused(error: unknown, who: Suspect, action: string, channel?: string): void {
    if (!(error instanceof PushError) || TOLD.has(error)) return;
    TOLD.add(error);
    const { code } = error;
    const kind = kindOf(code);
    if (kind === "identity") this.identityRefused(code, who, action);
    else if (kind === "action") this.actionRefused(code, who, action, channel);
    else if (kind === "limit") this.limitHit(code, who, action, channel);
  }

  /** A page of another origin sent a request. */
  originRefused(origin: string | null, who: Suspect, path: string): void {
    const named = origin ?? undefined;
    this.#log.write("origin.refused", {
      code: "origin_not_allowed",
      ...picked(who),
      origin: named,
      path,
    });
  }

  /** A request named a host that is none of the gateway's. */
  hostRefused(host: string | null, who: Suspect, path: string): void {
    const named = host ?? undefined;
    this.#log.write("host.refused", {
      code: "host_not_allowed",
      ...picked(who),
      host: named,
      path,
    });
  }

  /** Somebody reached a limit; the code says which. */
  limitHit(code: Code, who: Suspect, action?: string, channel?: string): void {
    this.#log.write("limit.hit", { code, ...picked(who), action, channel });
  }

  /** Something was revoked. */
  revoked({ subject, clientId, tokenId }: Revoked): void {
    // A token's hash would tell it, if it is one that can be guessed; its beginning does not.
    const short = tokenId?.slice(0, SHOWN_ID);
    this.#log.write("token.revoked", { subject, clientId, tokenId: short });
  }
}

/** Only what may be told, whatever else an object holds. */
function picked({ peer, subject, clientId }: Suspect): Suspect {
  return { peer, subject, clientId };
}
