import { parseJson, PushError } from "@push/client/protocol";
import { type Clock, type RandomBytes, randomId } from "../clock.ts";
import type { Cluster } from "../stores/cluster.ts";
import { type Identity, readIdentity } from "./identity.ts";
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

interface Kept {
  readonly text: string;
  /** Unix milliseconds. */
  readonly until: number;
}

const PREFIX = "ticket:";
const LONGEST = 64;
const MAX_NESTING = 8;
/** Most tickets that wait in this process. */
const MOST_KEPT = 10_000;

/**
 * Tickets: 128 random bits that stand for an identity once, for those who cannot show a token without
 * putting it into an address. Kept by their hash: nothing that is kept lets anyone make one up.
 */
export class Tickets {
  readonly #parts: TicketsParts;
  /** By hash, in the order in which they end. */
  readonly #kept = new Map<string, Kept>();

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
   * @throws {PushError} `rate_limited` if too many wait; as the store
   */
  async issue(identity: Identity): Promise<string> {
    const { random, cluster, clock, ttl } = this.#parts;
    const ticket = randomId(random);
    const hash = hashSecret(ticket);
    const text = JSON.stringify(identity);
    if (cluster !== undefined) {
      await cluster.keep(PREFIX + hash, text, ttl);
      return ticket;
    }
    this.#forget();
    if (this.#kept.size >= MOST_KEPT) {
      throw new PushError("rate_limited", "Too many tickets wait to be used.");
    }
    this.#kept.set(hash, { text, until: clock.now() + ttl });
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
    const { cluster, clock } = this.#parts;
    if (cluster !== undefined) {
      return await cluster.take(PREFIX + hash).catch((error) => {
        // It may be spent: another one is needed.
        if (error instanceof PushError && error.code === "outcome_unknown") return undefined;
        throw error;
      });
    }
    const kept = this.#kept.get(hash);
    this.#kept.delete(hash);
    return kept !== undefined && clock.now() < kept.until ? kept.text : undefined;
  }

  #forget(): void {
    const now = this.#parts.clock.now();
    for (const [hash, { until }] of this.#kept) {
      if (now < until) return;
      this.#kept.delete(hash);
    }
  }
}
