import { PushError } from "@push/client/protocol";
import { randomId } from "../clock.ts";
import { harmless } from "../harmless.ts";
import type { Hub } from "../hub.ts";
import type { LongPollConnection } from "../transports/longpoll.ts";
import type { PollEntry, PollEntryParts, PollFate } from "./poll_entry.ts";
import type { PollRecord, PollRecords } from "./poll_records.ts";

/** Where pollers come to. */
export interface PollMovesHost {
  /** The poller of a token, if this node has it. */
  present(hash: string): PollEntry | undefined;
  /** A connection without a session. */
  connect(): [connection: LongPollConnection, fate: PollFate];
  /** This node has a poller now. */
  add(hash: string, parts: PollEntryParts): PollEntry;
}

/** How often a request follows a poller that goes from node to node at the same time… */
export const MAX_TRIES = 20;
/** …and how often it is tried anew with one that does not. */
const MAX_SAME = 3;
/** Milliseconds before the second try, in which another node can write down that it has the poller. */
const SHORTEST_PAUSE = 20;
/** How many are remembered that were about to take a poller: who came first has it. */
const MAX_HEIRS = 8;

/** The holder that is about to take a poller, and those that were before it. */
interface Heir {
  readonly holder: string;
  readonly heirs: readonly string[];
}

/** Takes pollers from other nodes. */
export class PollMoves {
  readonly #hub: Hub;
  readonly #records: PollRecords;
  readonly #host: PollMovesHost;
  /** Pollers that are on their way, by the hash of their tokens. */
  readonly #coming = new Map<string, Promise<PollEntry>>();
  readonly #pauses = new Set<() => void>();

  /**
   * @param hub whose sessions are polled
   * @param records what all nodes know of the pollers
   * @param host where pollers come to
   */
  constructor(hub: Hub, records: PollRecords, host: PollMovesHost) {
    this.#hub = hub;
    this.#records = records;
    this.#host = host;
  }

  /**
   * Takes the poller of a token from the node that has it.
   *
   * @throws {PushError} `unknown_session` if no node has it; `replaced` if somebody else has its
   *   session; what kept it from being taken
   */
  come(hash: string): Promise<PollEntry> {
    let coming = this.#coming.get(hash);
    if (coming === undefined) {
      coming = harmless(this.#come(hash)).finally(() => this.#coming.delete(hash));
      this.#coming.set(hash, coming);
    }
    return coming;
  }

  /**
   * The poller, from this node only if it is here for sure: a note that another node has taken it may
   * be late or lost.
   *
   * @throws {PushError} as {@linkcode PollMoves.come}
   */
  async verified(entry: PollEntry): Promise<PollEntry> {
    const { hash, holder, session } = entry;
    // While the store is away nobody can take it.
    if (this.#hub.context.store.trouble !== undefined) return entry;
    const record = await this.#records.find(hash).catch(() => {});
    if (entry.fate.ended !== undefined) return this.#host.present(hash) ?? await this.come(hash);
    // One that was lost is written down anew.
    if (record === undefined) entry.told = undefined;
    if (record === undefined || record.holder === holder) return entry;
    if (!await this.#hub.holds(session)) return await this.come(hash);
    // A node that was late has written down what was true before.
    entry.told = undefined;
    return entry;
  }

  /** Stops its timers. */
  stop(): void {
    for (const end of [...this.#pauses]) end();
  }

  async #come(hash: string): Promise<PollEntry> {
    const holder = randomId(this.#hub.context.random);
    let from: string | undefined;
    for (let tries = 0, same = 0; tries < MAX_TRIES; tries++) {
      const [record, known] = await Promise.all([
        this.#records.find(hash),
        this.#records.findHeirs(hash),
      ]);
      if (record === undefined) throw unknownToken();
      same = record.holder === from ? same + 1 : 0;
      from = record.holder;
      const heirs = known.from === from ? known.heirs : [];
      try {
        if (same < MAX_SAME) return await this.#take(hash, record, { holder, heirs });
        return await this.#takeFromHeir(hash, record, { holder, heirs });
      } catch (error) {
        if (!isReplaced(error) || same === MAX_SAME) throw error;
      }
      // Another node was faster, and is about to write down that it has the poller.
      await this.#pause(SHORTEST_PAUSE * 2 ** same);
    }
    throw new PushError("unavailable", "The poller is wanted on too many nodes at once.");
  }

  /**
   * Takes a poller from a node that never wrote down that it has it. If there is none, somebody else
   * has the session, and the token is over.
   */
  async #takeFromHeir(hash: string, record: PollRecord, heir: Heir): Promise<PollEntry> {
    for (const from of heir.heirs) {
      if (from === heir.holder) continue;
      try {
        return await this.#take(hash, { ...record, holder: from }, heir);
      } catch (error) {
        if (!isReplaced(error)) throw error;
      }
    }
    throw new PushError("replaced");
  }

  async #take(hash: string, record: PollRecord, heir: Heir): Promise<PollEntry> {
    const { name, minted, instance, attempt, subject, ttl, wire, holder: from } = record;
    const terms = { name, minted, instance, attempt };
    const [connection, fate] = this.#host.connect();
    const { holder } = heir;
    const announced = this.#announce(hash, from, heir);
    const { session } = await attachOrClose(
      connection,
      () => this.#hub.attach({ ...terms, subject, ttl, wire, from, holder }, connection),
    );
    this.#hub.context.metrics.pollsMoved++;
    try {
      // Only now does the other node change nothing any more.
      const [latest, flights] = await Promise.all([
        this.#records.find(hash),
        this.#records.findFlights(from),
        announced,
      ]);
      const { channels } = latest ?? record;
      await this.#records.keep(hash, { ...record, channels, holder });
      await session.resume(channels, connection, flights);
    } catch (error) {
      await this.#hub.detach(session, connection, "lost");
      connection.close("normal");
      throw error;
    }
    const entry = this.#host.add(hash, { session, connection, terms, fate });
    entry.told = entry.names;
    return entry;
  }

  /** Says who is about to take a poller: it may fail between that and writing down that it has it. */
  async #announce(hash: string, from: string, { holder, heirs }: Heir): Promise<void> {
    if (heirs.includes(holder) || heirs.length >= MAX_HEIRS) return;
    await this.#records.keepHeirs(hash, { from, heirs: [...heirs, holder] }).catch(() => {});
  }

  #pause(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        this.#pauses.delete(end);
        cancel();
        resolve();
      };
      const cancel = this.#hub.context.clock.schedule(delay, end);
      this.#pauses.add(end);
    });
  }
}

/** Attaches a session; a connection that gets none is closed. */
export async function attachOrClose<T>(
  connection: LongPollConnection,
  attach: () => Promise<T>,
): Promise<T> {
  try {
    return await attach();
  } catch (error) {
    connection.close("normal");
    throw error;
  }
}

/** What is wrong with a token that nobody knows. */
export function unknownToken(): PushError {
  return new PushError("unknown_session", "The poll token is not known.");
}

/** Whether somebody else has the session. */
export function isReplaced(error: unknown): boolean {
  return error instanceof PushError && error.code === "replaced";
}
