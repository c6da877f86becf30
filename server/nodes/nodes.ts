import type { JsonObject } from "@push/client/protocol";
import { type Clock, type RandomBytes, randomId } from "../clock.ts";
import type { Cluster } from "../stores/cluster.ts";
import type { Claim } from "../stores/store.ts";

/** A claim that other nodes are told of, where each has sessions of its own. */
export interface ForeignClaim {
  readonly key: string;
  readonly instance: string;
  readonly attempt: number;
  readonly secretHash?: string;
}

/** Who asks a node to let a session go. */
export interface Asker {
  readonly key: string;
  /** Client object that wants it, and which of its attempts that is. */
  readonly instance: string;
  readonly attempt: number;
  /** Milliseconds for which it has waited. */
  readonly age: number;
}

/** What became of asking a node to let a session go. */
export type Yielded = "yielded" | "silent" | "newer";

/** What other nodes may ask of this one. */
export interface NodesHost {
  /** Whether something changes a session at present, so that letting it go takes a little longer. */
  isBusy(key: string): boolean;
  /**
   * Number of the claim by which a connection of this node holds a session, if one does; or that it is
   * newer than who asks for it.
   */
  heldBy(asker: Asker): Promise<number | "newer" | undefined>;
  /** Lets a session go that is held by this claim. */
  yield(key: string, generation: number): Promise<void>;
  /** A newer claim of a session than this one's was successful elsewhere. */
  taken(key: string, generation: number): void;
  /**
   * Another node has begun a session of its own for a client.
   *
   * @param isNewer whether this node's session is newer that a client object holds
   * @returns whether this node keeps its own for that
   */
  claimed(claim: ForeignClaim, isNewer: (instance: string) => boolean): Promise<boolean>;
  /** Something was put back into a session's position from its dead letters. */
  redriven(session: string, channel: string): void;
  /** A note could not be sent or handled. */
  failed(): void;
}

/** What this node's notes are sent with. */
export interface NodesParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** A claim that the others were told of. */
interface Told {
  readonly claim: ForeignClaim;
  readonly mark: number;
  /** Unix milliseconds. */
  readonly at: number;
}

interface Asked {
  readonly key: string;
  /** Who asks, at present. */
  asker(): Asker;
  /** The holder answers, but needs a little longer. */
  wait(): void;
  done(yielded: Yielded): void;
}

/** Milliseconds that another node has to let a session go. */
const PATIENCE = 250;
/** …and one that says that it is busy with it. */
const LONG_PATIENCE = 2_000;
/** Milliseconds within which the notes of two claims may have crossed. */
const CROSSING = 2_000;

/**
 * The notes between nodes. Each may be late, twice or never, so each names the claim that it is
 * about, and without it things take their way a little later.
 *
 * A session is let go in four notes: the asker's `yield`; the holder's `holds`, with the number of
 * its claim; the asker's `yield` with that number, if it still waits; and `yielded`. So a note that
 * is late by seconds never takes a session from who has it by then. A holder that is about to change
 * the session says `busy` first, and has longer: else two nodes that a poller asks in turns would
 * take it from each other before either has done what it was asked for. Each `yield` says who asks: a
 * holder that is a later attempt of the same client object answers `newer`, and keeps it. Among
 * attempts of different objects it is the one that began later.
 *
 * Where each node has sessions of its own, whoever begins one says `claimed`, and the others let go of
 * theirs. Each claim has a mark above those that its node has heard of: where the notes of two have
 * crossed both nodes find the same one newer, and that one is told again.
 */
export class Nodes {
  readonly #parts: NodesParts;
  readonly #host: NodesHost;
  readonly #asked = new Map<string, Asked>();
  /** Claims that others may not have heard of, by the keys of their sessions, the oldest first. */
  readonly #told = new Map<string, Told>();
  #mark = 0;

  /** @param host what other nodes may ask of this one */
  constructor(parts: NodesParts, host: NodesHost) {
    this.#parts = parts;
    this.#host = host;
  }

  /**
   * Asks another node to let a session go; resolves once it has answered, or had time enough.
   *
   * @param claim what is asked for
   * @param since when that began
   */
  askToYield(
    node: string,
    { key, instance, attempt }: Pick<Claim, "key" | "instance" | "attempt">,
    since: number,
  ): Promise<Yielded> {
    const { clock, random } = this.#parts;
    const ask = randomId(random);
    const asker = () => ({ key, instance, attempt, age: Math.max(clock.now() - since, 0) });
    return new Promise((resolve) => {
      const done = (yielded: Yielded) => {
        this.#asked.delete(ask);
        cancel();
        resolve(yielded);
      };
      const within = (patience: number) => clock.schedule(patience, () => done("silent"));
      let cancel = within(PATIENCE);
      const wait = () => {
        cancel();
        cancel = within(LONG_PATIENCE);
      };
      this.#asked.set(ask, { key, asker, wait, done });
      this.#send(node, { type: "yield", ask, ...asker() });
    });
  }

  /** Tells a node that a session was taken from it. */
  tellTaken(node: string, key: string, generation: number): void {
    this.#send(node, { type: "taken", key, generation });
  }

  /** Tells the others that this node has begun a session of its own. */
  tellClaimed(claim: ForeignClaim): void {
    const now = this.#parts.clock.now();
    for (const [key, { at }] of this.#told) {
      if (Math.abs(now - at) <= CROSSING) break;
      this.#told.delete(key);
    }
    const mark = this.#mark = Math.max(this.#mark + 1, now);
    const told = { claim, mark, at: now };
    this.#told.delete(claim.key);
    this.#told.set(claim.key, told);
    this.#sendClaimed(null, told);
  }

  /** Tells the others what was put back from dead letters. */
  tellRedriven(session: string, channel: string, seqs: readonly number[]): void {
    this.#send(null, { type: "redriven", session, channel, seqs: [...seqs] });
  }

  /** A node has sent a note. One that makes no sense is passed over. */
  hear(from: string, note: JsonObject): void {
    this.#handle(from, note).catch(() => this.#host.failed());
  }

  /** Waits for nobody any more. */
  stop(): void {
    for (const { done } of [...this.#asked.values()]) done("silent");
  }

  async #handle(from: string, note: JsonObject): Promise<void> {
    const { type, key, ask, generation, instance, attempt, session, channel } = note;
    if (type === "redriven" && typeof session === "string" && typeof channel === "string") {
      return this.#host.redriven(session, channel);
    }
    if (typeof key !== "string") return;
    if (type === "claimed" && typeof instance === "string" && typeof attempt === "number") {
      return await this.#claimed(from, { key, instance, attempt }, note);
    }
    if (type === "taken" && typeof generation === "number") {
      return this.#host.taken(key, generation);
    }
    if (typeof ask !== "string") return;
    if (type === "yield") {
      if (typeof instance !== "string" || typeof attempt !== "number") return;
      const age = typeof note.age === "number" ? note.age : 0;
      return await this.#yield(from, ask, { key, instance, attempt, age }, generation);
    }
    const asked = this.#asked.get(ask);
    if (asked?.key !== key) return;
    if (type === "yielded" || type === "newer") asked.done(type);
    else if (type === "busy") asked.wait();
    else if (type === "holds" && typeof generation === "number") {
      this.#send(from, { type: "yield", ask, generation, ...asked.asker() });
    }
  }

  async #claimed(
    from: string,
    terms: Omit<ForeignClaim, "secretHash">,
    { secret, mark: marked }: JsonObject,
  ): Promise<void> {
    const secretHash = typeof secret === "string" ? secret : undefined;
    const mark = typeof marked === "number" ? marked : Infinity;
    if (mark !== Infinity) this.#mark = Math.max(this.#mark, mark);
    const { key, instance } = terms;
    let own: Told | undefined;
    const isNewer = (held: string): boolean => {
      own = this.#told.get(key);
      if (own?.claim.instance !== held || held === instance) return false;
      // Whoever guesses a secret is told nothing.
      if (own.claim.secretHash !== secretHash) return false;
      if (Math.abs(this.#parts.clock.now() - own.at) > CROSSING) return false;
      return own.mark === mark ? held > instance : own.mark > mark;
    };
    const isKept = await this.#host.claimed({ ...terms, secretHash }, isNewer);
    if (isKept && own !== undefined) this.#sendClaimed(from, own);
  }

  #sendClaimed(to: string | null, { claim, mark }: Told): void {
    const { key, instance, attempt, secretHash } = claim;
    const note: JsonObject = { type: "claimed", key, instance, attempt, mark };
    // A client id that another gateway minted is nobody's to take without its secret.
    if (secretHash !== undefined) note.secret = secretHash;
    this.#send(to, note);
  }

  async #yield(from: string, ask: string, asker: Asker, generation: unknown): Promise<void> {
    const { key } = asker;
    if (this.#host.isBusy(key)) this.#send(from, { type: "busy", key, ask });
    const held = await this.#host.heldBy(asker);
    if (held === "newer") return this.#send(from, { type: "newer", key, ask });
    if (held !== undefined && typeof generation !== "number") {
      return this.#send(from, { type: "holds", key, ask, generation: held });
    }
    if (typeof generation === "number") await this.#host.yield(key, generation);
    this.#send(from, { type: "yielded", key, ask });
  }

  #send(to: string | null, note: JsonObject): void {
    this.#parts.cluster.send(to, note).catch(() => this.#host.failed());
  }
}
