import type { HubContext } from "../context.ts";
import { randomId } from "../clock.ts";
import type { Session } from "../session/session.ts";
import type { WriteBehind } from "../session/write_behind.ts";
import type { Leases } from "./leases.ts";
import type { Asker, ForeignClaim, NodesHost } from "./nodes.ts";

/** What is asked when another node wants something. */
export interface HandoverParts {
  readonly context: HubContext;
  readonly writes: WriteBehind;
  readonly leases: Leases;
  /** The session of a key, if a connection of this node has it. */
  attached(key: string): Session | undefined;
  /** Another node or connection has a session now. */
  fenced(session: Session): void;
  /** Lets go of a session that is another's. */
  drop(session: Session): void;
  /** Something was put back into a session's position from its dead letters. */
  redriven(key: string, channel: string): void;
  /** Runs what concerns one session one after the other. */
  inTurn<T>(key: string, task: () => Promise<T>): Promise<T>;
}

/** Milliseconds for which what changes a session may go on before another node gets it. */
const LONGEST_CHANGE = 1_500;

/** What this node does with its sessions when another one asks. */
export class Handover implements NodesHost {
  readonly #parts: HandoverParts;
  /** Ends what waits. */
  readonly #waits = new Set<() => void>();

  /** @param parts what it works with */
  constructor(parts: HandoverParts) {
    this.#parts = parts;
  }

  /** See {@linkcode NodesHost.isBusy}. */
  isBusy(key: string): boolean {
    return this.#parts.attached(key)?.changes !== undefined;
  }

  /** See {@linkcode NodesHost.heldBy}. */
  heldBy({ key, instance, attempt, age }: Asker): Promise<number | "newer" | undefined> {
    const { context, writes, attached, inTurn } = this.#parts;
    return inTurn(key, async () => {
      const session = attached(key);
      if (session !== undefined) {
        const { claim } = session;
        // By a clock that was set back it is not known how long this one has been there.
        const since = context.clock.now() - session.askedAt;
        // A busy node may hear of an attempt after another node has heard of the next one.
        const isNewer = claim?.instance === instance
          ? claim.attempt > attempt
          : since >= 0 && since < age;
        return isNewer ? "newer" : session.generation;
      }
      const unsaved = writes.unsaved(key);
      if (unsaved !== undefined) await writes.store(unsaved);
    });
  }

  /** See {@linkcode NodesHost.yield}. */
  yield(key: string, generation: number): Promise<void> {
    const { writes, leases, attached, drop, inTurn } = this.#parts;
    return inTurn(key, async () => {
      const session = attached(key);
      if (session?.generation !== generation) return;
      const { changes } = session;
      if (changes !== undefined) await this.#within(LONGEST_CHANGE, changes);
      if (attached(key) !== session || session.generation !== generation) return;
      drop(session);
      await writes.store(session);
      // One that ends with its connection is about to get another.
      if (session.ttl > 0) await leases.end(session, "release");
    });
  }

  /** See {@linkcode NodesHost.taken}. */
  taken(key: string, generation: number): void {
    const session = this.#parts.writes.known(key);
    if (session !== undefined && session.generation < generation) this.#parts.fenced(session);
  }

  /** See {@linkcode NodesHost.claimed}. */
  claimed(claim: ForeignClaim, isNewer: (instance: string) => boolean): Promise<boolean> {
    const { context: { store, clock, random }, writes, attached, drop, inTurn } = this.#parts;
    const { key } = claim;
    return inTurn(key, async () => {
      const held = attached(key)?.claim?.instance;
      if (held !== undefined && isNewer(held)) return true;
      const terms = { holder: randomId(random), ttl: 0, existing: true, force: true };
      const claimed = await store.claim({ ...claim, ...terms }, clock.now());
      if (!claimed.ok) return false;
      const session = writes.known(key);
      if (session !== undefined) drop(session);
      await store.end(key, claimed.generation, clock.now());
      return false;
    });
  }

  /** See {@linkcode NodesHost.redriven}. */
  redriven(key: string, channel: string): void {
    this.#parts.redriven(key, channel);
  }

  /** See {@linkcode NodesHost.failed}. */
  failed(): void {
    this.#parts.context.metrics.clusterErrors++;
  }

  /** Waits for nothing any more. */
  stop(): void {
    for (const end of [...this.#waits]) end();
  }

  /** Waits for something, but not longer than so many milliseconds. */
  #within(delay: number, work: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        this.#waits.delete(end);
        cancel();
        resolve();
      };
      const cancel = this.#parts.context.clock.schedule(delay, end);
      this.#waits.add(end);
      work.then(end);
    });
  }
}
