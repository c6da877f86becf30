import { PushError } from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import type { Nodes, Yielded } from "./nodes.ts";
import type { Claim, Claimed } from "../stores/store.ts";

/** A claim that was successful. */
export type Granted = Claimed & { readonly ok: true };

/** Milliseconds after which a claim is asked for again whose outcome is unknown. */
const ASK_AGAIN = [100, 200, 400, 600, 700];
/** How many nodes are asked for one session: it may move meanwhile. */
const MAX_ROUNDS = 3;

/** Asks the store for sessions, and the node that has one for its release. */
export class Claims {
  readonly #context: HubContext;
  readonly #nodes: Nodes | undefined;

  /** @param nodes the other nodes, if there are any */
  constructor(context: HubContext, nodes: Nodes | undefined) {
    this.#context = context;
    this.#nodes = nodes;
  }

  /**
   * Claims a session.
   *
   * @param since when its client asked for it, in Unix milliseconds: of two client objects the one that
   *   asked later keeps it, of two attempts of one the later attempt
   * @throws {PushError} `replaced`, `bad_secret`, `unknown_session`, `too_many_sessions`; as the store
   */
  async claim(claim: Claim, since: number = this.#context.clock.now()): Promise<Granted> {
    let claimed: Claimed;
    try {
      claimed = await this.#context.store.claim(claim, this.#context.clock.now());
    } catch (error) {
      claimed = await this.#askAgain(claim, error);
    }
    if (claimed.ok) {
      this.#tell(claim);
      return claimed;
    }
    if (claimed.reason === "held") {
      // One that goes on for its holder takes nothing from anybody, and one that only ends what is
      // there is no client's.
      const isClients = claim.from === undefined && claim.existing !== true;
      if (isClients) this.#context.limits.checkTakeover(claim.key);
      return await this.#takeFrom(claimed.node, claim, since);
    }
    const { from, ...fresh } = claim;
    const { cluster } = this.#context.store;
    // The one that it goes on for is in another node's memory: here it begins anew.
    const isElsewhere = from !== undefined && cluster?.sharesSessions === false;
    if (claimed.reason === "unknown" && isElsewhere) return await this.claim(fresh);
    throw refusal(claimed.reason);
  }

  async #takeFrom(holder: string, claim: Claim, since: number): Promise<Granted> {
    let node = holder;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const yielded = await this.#askToYield(node, claim, since);
      if (yielded === "newer") throw new PushError("replaced");
      const claimed = await this.#ask(claim);
      if (claimed.ok) return claimed;
      if (claimed.reason !== "held") throw refusal(claimed.reason);
      if (claimed.node === node) break;
      // Another one was faster: which of the two is newer, its node can say.
      node = claimed.node;
    }
    const claimed = await this.#ask({ ...claim, force: true });
    if (!claimed.ok) throw refusal(claimed.reason);
    this.#nodes?.tellTaken(node, claim.key, claimed.generation);
    return claimed;
  }

  async #askToYield(node: string, claim: Claim, since: number): Promise<Yielded> {
    const { roster, store: { cluster } } = this.#context;
    if (node === cluster?.node || roster?.isAlive(node) === false) return "silent";
    // Without its flush, what was acknowledged last would be sent again.
    return await this.#nodes?.askToYield(node, claim, since) ?? "silent";
  }

  /** Where each node has sessions of its own, the others let go of theirs. */
  #tell(claim: Claim): void {
    if (this.#context.store.cluster?.sharesSessions === false) this.#nodes?.tellClaimed(claim);
  }

  /** Asks the store, and again where it is not known what came of it. */
  #ask(claim: Claim): Promise<Claimed> {
    const { store, clock } = this.#context;
    return store.claim(claim, clock.now()).catch((error) => this.#askAgain(claim, error));
  }

  /** Asks again with the same holder, if it is not known what came of it. */
  async #askAgain(claim: Claim, failure: unknown): Promise<Claimed> {
    const { store, clock } = this.#context;
    let error = failure;
    for (const wait of ASK_AGAIN) {
      if (!(error instanceof PushError) || error.code !== "outcome_unknown") break;
      await new Promise<void>((resolve) => clock.schedule(wait, resolve));
      try {
        return await store.claim(claim, clock.now());
      } catch (again) {
        error = again;
      }
    }
    throw error;
  }
}

function refusal(reason: (Claimed & { ok: false })["reason"]): PushError {
  switch (reason) {
    case "replaced":
      return new PushError("replaced");
    case "bad_secret":
      return new PushError("bad_secret");
    case "unknown":
      return new PushError("unknown_session");
    case "full":
      return new PushError(
        "too_many_sessions",
        "The gateway holds all sessions that it may (maxSessions), and none of this subject is away.",
      );
    case "subject_full":
      return new PushError(
        "too_many_sessions",
        "Every session that one subject may have (maxSessionsPerSubject) is attached.",
      );
    case "held":
      return new PushError("unavailable", "Another node holds the session.");
  }
}
