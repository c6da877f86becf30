import type { StoreLimits } from "../store.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { SessionLeases } from "./session_leases.ts";

/** What a store has lost, since it was opened. */
export interface SessionTally {
  /** Sessions forgotten because there were too many. */
  sessionsForgotten: number;
  /** Dead letters dropped because a subscription had too many. */
  evicted: number;
  /** Values moved aside because nobody can read them. */
  quarantined: number;
}

/** What sessions, positions and dead letters of one store are made with. */
export interface SessionParts {
  /** Connection. */
  readonly link: RedisLink;
  /** Keys. */
  readonly keys: RedisKeys;
  /** Limits. */
  readonly limits: StoreLimits;
  /** Names this node among the others; random. */
  readonly node: string;
  /** Milliseconds that a session counts as attached after its node renewed it. */
  readonly lease: number;
  /** Milliseconds that somebody waits for the answer to a claim, which does nothing after that. */
  readonly patience: number;
  /** What this node knows of the sessions that it holds. */
  readonly leases: SessionLeases;
  /** What was lost. */
  readonly tally: SessionTally;
}

/** Milliseconds that a session counts as attached after its node renewed it, unless said otherwise. */
const LEASE = 15_000;
/** Milliseconds that somebody waits for an answer, unless said otherwise. */
const PATIENCE = 5_000;

/** Makes what the three share. */
export function sessionParts(
  options:
    & Pick<SessionParts, "link" | "keys" | "limits" | "node">
    & Partial<Pick<SessionParts, "lease" | "patience">>,
): SessionParts {
  const { link, keys, limits, node, lease = LEASE, patience = PATIENCE } = options;
  return {
    link,
    keys,
    limits,
    node,
    lease,
    patience,
    // Half: what was seen is relied on only while nobody else can have taken the session for released.
    leases: new SessionLeases(lease / 2),
    tally: { sessionsForgotten: 0, evicted: 0, quarantined: 0 },
  };
}
