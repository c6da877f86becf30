import { parseJson, PushError } from "@push/client/protocol";
import { type Clock, type RandomBytes, randomId } from "../clock.ts";
import type { Cluster } from "../stores/cluster.ts";
import type { Identity } from "./identity.ts";
import { readIdentity } from "./kept_identity.ts";
import { hashSecret } from "./secrets.ts";

/** What {@linkcode Tickets} work with. */
export interface TicketsParts {
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Where all nodes find them; without it they are this process's. */
  readonly cluster?: Cluster;
  /** Milliseconds in which a ticket can be used. */
  readonly ttl: number;
}

/** A ticket that waits to be used. */
interface Kept {
  readonly subject: string;
  /** What it stands for; other nodes find it where all do. */
  readonly text: string | undefined;
  /** Unix milliseconds. */
  readonly until: number;
}

const PREFIX = "ticket:";
const LONGEST = 64;
const MAX_NESTING = 8;
/** Most tickets of this process that wait… */
const MOST_KEPT = 10_000;
/** …and of one subject: the others want some, too. */
const MOST_OF_ONE = 2_500;

/**
 * Tickets: 128 random bits that stand for an identity once, for those who cannot show a token without
 * putting it into an address. Kept by their hash: nothing that is kept lets anyone make one up.
 */
export class Tickets {
  readonly #parts: TicketsParts;
  /** Those of this process by hash, in the order in which they end. */
  readonly #kept = new Map<string, Kept>();
  /** How many of them are a subject's. */
  readonly #counts = new Map<string, number>();

  /** @param parts what they work with */
  constructor(parts: TicketsParts) {
    this.#parts = parts;
  }

  /** Seconds in which a ticket can be used. */
  get ttl(): number {
    return this.#parts.ttl / 1000;
  }

  /**
   * A ticket for an identity.
   *
   * @throws {PushError} `rate_limited` if too many wait, of the subject or in all; as the store
   */
  async issue(identity: Identity): Promise<string> {
    const { random, cluster, clock, ttl } = this.#parts;
    const ticket = randomId(random);
    const hash = hashSecret(ticket);
    const text = JSON.stringify(identity);
    const { subject } = identity;
    this.#forget();
    const count = this.#counts.get(subject) ?? 0;
    if (this.#kept.size >= MOST_KEPT || count >= MOST_OF_ONE) {
      throw new PushError("rate_limited", "Too many tickets wait to be used.");
    }
    this.#counts.set(subject, count + 1);
    const until = clock.now() + ttl;
    this.#kept.set(hash, { subject, text: cluster === undefined ? text : undefined, until });
    await cluster?.keep(PREFIX + hash, text, ttl);
    return ticket;
  }

  /**
   * The identity that a ticket stands for. It is worth nothing after that, whatever comes of it.
   *
   * @throws {PushError} `token_invalid` if it is not known, was used, or is over; `unavailable` as the
   *   store
   */
  async redeem(ticket: string): Promise<Identity> {
    const text = ticket.length > LONGEST ? undefined : await this.#take(hashSecret(ticket));
    const identity = text === undefined ? undefined : readIdentity(parseJson(text, MAX_NESTING));
    if (identity !== undefined) return identity;
    throw new PushError("token_invalid", "The ticket is not known, was used, or is over.");
  }

  async #take(hash: string): Promise<string | undefined> {
    const { cluster } = this.#parts;
    const kept = this.#drop(hash);
    if (cluster !== undefined) {
      return await cluster.take(PREFIX + hash).catch((error) => {
        // It may be spent: another one is needed.
        if (error instanceof PushError && error.code === "outcome_unknown") return undefined;
        throw error;
      });
    }
    return kept === undefined || this.#isOver(kept) ? undefined : kept.text;
  }

  #forget(): void {
    for (const [hash, kept] of this.#kept) {
      if (!this.#isOver(kept)) return;
      this.#drop(hash);
    }
  }

  /** Nobody has longer than a ticket lives: else the clock was set back. */
  #isOver({ until }: Kept): boolean {
    const left = until - this.#parts.clock.now();
    return left <= 0 || left > this.#parts.ttl;
  }

  #drop(hash: string): Kept | undefined {
    const kept = this.#kept.get(hash);
    if (kept === undefined) return undefined;
    this.#kept.delete(hash);
    const count = this.#counts.get(kept.subject)! - 1;
    if (count === 0) this.#counts.delete(kept.subject);
    else this.#counts.set(kept.subject, count);
    return kept;
  }
}
