import { PushError } from "@push/client/protocol";
import { harmless } from "../harmless.ts";
import type { Hub } from "../hub.ts";
import type { LongPollConnection } from "../transports/longpoll.ts";
import type { PollEntry, PollEntryParts, PollFate } from "./poll_entry.ts";
import type { Session } from "../session/session.ts";
import { hasEnded, type PollRecord, type PollRecords } from "./poll_records.ts";

/** Where pollers come to. */
export interface PollMovesHost {
  /** The poller of a token, if this node has it. */
  present(hash: string): PollEntry | undefined;
  /** A connection without a session. */
  connect(): [connection: LongPollConnection, fate: PollFate];
  /** This node has a poller now. */
  add(hash: string, parts: PollEntryParts): PollEntry;
}

/** How often a request follows a poller that goes from node to node at the same time. */
export const MAX_TRIES = 20;
/** Milliseconds before the second try, and before later ones. */
const SHORTEST_PAUSE = 10;
const LONGEST_PAUSE = 160;

/** Takes pollers from other nodes. */
export class PollMoves {
  readonly #hub: Hub;
  readonly #records: PollRecords;
  readonly #host: PollMovesHost;
  /** Pollers that are on their way, by the hash of their tokens. */
  readonly #coming = new Map<string, Promise<PollEntry>>();
  readonly #pauses = new Set<() => void>();
  #isStopped = false;

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
    if (record === undefined || !hasEnded(record) && record.holder === holder) return entry;
    if (!await this.#hub.holds(session)) return await this.come(hash);
    // A node that was late has written down what was true before.
    entry.told = undefined;
    return entry;
  }

  /** Stops its timers. */
  stop(): void {
    this.#isStopped = true;
    for (const end of [...this.#pauses]) end();
  }

  async #come(hash: string): Promise<PollEntry> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const record = await this.#records.find(hash);
      if (record === undefined || hasEnded(record)) throw unknownToken();
      const entry = await this.#take(hash, record);
      if (entry !== undefined) return entry;
      await this.#pause(Math.min(SHORTEST_PAUSE * 2 ** tries, LONGEST_PAUSE));
    }
    throw wantedElsewhere();
  }

  /**
   * Takes a poller, whichever connection of the same attempt has its session by now: what the record
   * says of that may be late.
   *
   * @returns nothing if another node takes it meanwhile
   * @throws {PushError} `replaced` if somebody else has its session
   */
  async #take(hash: string, record: PollRecord): Promise<PollEntry | undefined> {
    const { name, minted, instance, attempt, since, identity, ttl, wire, holder: from } = record;
    const terms = { name, minted, instance, attempt, since };
    const [connection, fate] = this.#host.connect();
    const { session } = await attachOrClose(
      connection,
      () => this.#hub.attach({ ...terms, identity, ttl, wire, from }, connection),
    );
    this.#hub.context.metrics.pollsMoved++;
    let channels: readonly string[];
    try {
      // Only now does the other node change nothing any more.
      const [latest, flights] = await Promise.all([
        this.#records.find(hash),
        this.#records.findFlights(from),
      ]);
      ({ channels } = latest === undefined || hasEnded(latest) ? record : latest);
      if (fate.ended !== undefined) throw new PushError("replaced");
      const { holder, generation } = session;
      const isKept = await this.#records.keep(hash, { ...record, channels, holder, generation });
      if (!isKept) throw await this.#lost(hash, session, connection);
      await session.resume(channels, connection, flights);
    } catch (error) {
      await this.#hub.detach(session, connection, "lost");
      connection.close("normal");
      if (isReplaced(error)) return undefined;
      throw error;
    }
    const entry = this.#host.add(hash, { session, connection, terms, fate });
    // Where its right to one is lost, others are to know that, too.
    const isUnchanged = entry.names === [...channels].sort().join(" ");
    entry.told = isUnchanged ? entry.names : undefined;
    return entry;
  }

  /** Why a poller that was taken is not kept: it has ended meanwhile, or goes on elsewhere. */
  async #lost(hash: string, session: Session, connection: LongPollConnection): Promise<PushError> {
    const record = await this.#records.find(hash);
    if (record === undefined || !hasEnded(record)) return new PushError("replaced");
    await this.#hub.detach(session, connection, record.forgets ? "forget" : "left");
    return unknownToken();
  }

  #pause(delay: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
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

/** Other nodes take a poller again and again. */
export function wantedElsewhere(): PushError {
  return new PushError("unavailable", "The poller is wanted on too many nodes at once.");
}

/** Whether somebody else has the session. */
export function isReplaced(error: unknown): boolean {
  return error instanceof PushError && error.code === "replaced";
}
