import { PushError } from "@push/client/protocol";
import type { Claim, Claimed, Renewed } from "../store.ts";
import { nameOf } from "./keys.ts";
import type { RedisPositions } from "./positions.ts";
import type { Script } from "./script.ts";
import { allDone } from "./settle.ts";
import { type Room, SessionIndex, type SessionTimes } from "./session_index.ts";
import type { SessionParts } from "./session_parts.ts";
import {
  BEGIN_SCRIPT,
  CLAIM_SCRIPT,
  CLEAR_SCRIPT,
  END_SCRIPT,
  RELEASE_SCRIPT,
  RENEW_SCRIPT,
} from "./session_scripts.ts";

/** A session and the generation that holds it. */
type Held = { readonly key: string; readonly generation: number };

/** Claims that meet what others clear away at the same moment try again so often. */
const TRIES = 10;
/** Sessions that one script renews, and batches that one sweep ends. */
const BATCH = 100;
const ROUNDS = 50;

/**
 * Who holds which session.
 *
 * The record of a session is one hash in a slot of its own, and what one script does to it is all or
 * nothing. Its positions are in the slots of their channels, and the list of all sessions is in a
 * third; both are led by the record: a session that ends is marked as ended, then its positions go,
 * then the record. Whoever meets a marked record goes on with that.
 */
export class RedisSessions {
  readonly #parts: SessionParts;
  readonly #positions: RedisPositions;
  readonly #index: SessionIndex;
  #operations = 0;
  /** Milliseconds that the store's clock is ahead of this node's, as it was seen last. */
  #ahead: number | undefined;

  /**
   * @param parts what it shares with positions and dead letters
   * @param positions those that end with their sessions
   */
  constructor(parts: SessionParts, positions: RedisPositions) {
    this.#parts = parts;
    this.#positions = positions;
    this.#index = new SessionIndex(parts.link, parts.keys, (bad) => parts.tally.quarantined += bad);
  }

  /**
   * See `Store.claim`. Claims of one subject at the same moment may together forget more of its
   * sessions than they need to, by as many as there are of them.
   */
  async claim(claim: Claim, now: number): Promise<Claimed> {
    let room: Room | undefined;
    for (let tries = 0; tries < TRIES; tries++) {
      const [status, ...rest] = await this.#claim(claim, room !== undefined, now);
      if (status === "ok") return await this.#claimed(claim.key, rest, room, now);
      if (status === "late") {
        // It is answered, so the clocks have come apart.
        this.#ahead = Number(rest[0]) - now;
      } else if (status === "ended") {
        await this.#clear(claim.key, Number(rest[0]), rest.slice(1));
      } else if (status !== "unknown") {
        return refusal(String(status), rest[0]);
      } else if (claim.existing || claim.from !== undefined) {
        return { ok: false, reason: "unknown" };
      } else {
        room = await this.#reserve(claim);
        if (!room.has) return { ok: false, reason: room.reason };
      }
    }
    throw new PushError("unavailable", "Others claim and end this session all the time.");
  }

  /** See `Store.release`. */
  async release(key: string, generation: number): Promise<boolean> {
    this.#parts.leases.drop(key, generation);
    const [status, ...rest] = await this.#run(RELEASE_SCRIPT, [key], [
      generation,
      this.#operation(),
    ]);
    if (status === "refused") return false;
    if (status === "released") {
      await this.#index.place([{ key, until: Number(rest[0]), ends: Number(rest[1]) }]);
    } else {
      await this.#finish(key, generation, rest.slice(1));
    }
    return true;
  }

  /** See `Store.end`. */
  async end(key: string, generation: number): Promise<boolean> {
    this.#parts.leases.drop(key, generation);
    const args = [generation, this.#operation(), ""];
    const [status, , , ...names] = await this.#run(END_SCRIPT, [key], args);
    if (status !== "ended") return false;
    await this.#finish(key, generation, names);
    return true;
  }

  /** See `Store.renew`. */
  async renew(sessions: readonly Held[], now: number): Promise<Renewed[]> {
    const size = this.#parts.link.isCluster ? 1 : BATCH;
    const chunks: (readonly Held[])[] = [];
    for (let i = 0; i < sessions.length; i += size) chunks.push(sessions.slice(i, i + size));
    const renewed = await Promise.all(chunks.map((chunk) => this.#renew(chunk, now)));
    const times = renewed.flatMap((one) => one.times);
    for (let i = 0; i < times.length; i += BATCH * 5) {
      await this.#index.place(times.slice(i, i + BATCH * 5));
    }
    return renewed.flatMap((one) => one.told);
  }

  /** Ends the sessions whose time is over, with their positions. */
  async sweep(now: number): Promise<void> {
    this.#parts.leases.prune(now);
    for (let round = 0; round < ROUNDS; round++) {
      const { keys, more } = await this.#index.due();
      await allDone(keys.map((key) => this.#letGo(key, "1")));
      if (!more) break;
    }
    await this.#index.follow();
  }

  /** How many there are, and how many were forgotten. */
  async stats(): Promise<{ readonly sessions: number; readonly sessionsForgotten: number }> {
    const { sessionsForgotten } = this.#parts.tally;
    return { sessions: await this.#index.size(), sessionsForgotten };
  }

  async #claim(claim: Claim, begins: boolean, now: number): Promise<unknown[]> {
    const { key, holder, instance, attempt, ttl, secretHash, from, force } = claim;
    const { node, lease, patience } = this.#parts;
    try {
      return await this.#run(begins ? BEGIN_SCRIPT : CLAIM_SCRIPT, [key], [
        holder,
        instance,
        attempt,
        ttl,
        secretHash === undefined ? "" : `=${secretHash}`,
        from === undefined ? "" : `=${from}`,
        node,
        lease,
        begins ? "1" : "",
        force ? "1" : "",
        // Nobody waits for the answer so long.
        this.#ahead === undefined ? "" : Math.ceil(now + this.#ahead + patience),
      ]);
    } catch (error) {
      // It surely did not begin, and gives its place back.
      if (begins && error instanceof PushError && error.code === "store_full") {
        await this.#index.remove(key);
      }
      throw error;
    }
  }

  async #claimed(
    key: string,
    [generation, previous, resumed, until, ends, time, ...names]: readonly unknown[],
    room: Room | undefined,
    now: number,
  ): Promise<Claimed> {
    this.#parts.leases.note(key, Number(generation), now);
    this.#ahead = Number(time) - now;
    if (!(room?.has && room.isNew)) {
      await this.#index.place([{ key, until: Number(until), ends: Number(ends) }]);
    }
    return {
      ok: true,
      generation: Number(generation),
      previous: Number(previous),
      resumed: resumed === "1",
      channels: readNames(names),
    };
  }

  /** Finds room for a new session, if need be by letting one of its subject go that is away. */
  async #reserve({ key, ttl, most: mostOfSubject }: Claim): Promise<Room> {
    const { limits: { maxSessions: most }, lease } = this.#parts;
    const terms = { most, mostOfSubject, lease, ttl };
    for (let tries = 1;; tries++) {
      const room = await this.#index.reserve(key, terms);
      if (room.has || room.away.length === 0 || tries === TRIES) return room;
      // Where the index is wrong, one that lives may be another subject's.
      for (const away of room.away) await this.#letGo(away, room.haveEnded ? "1" : "");
    }
  }

  /** Ends a session without a connection; only if its time is over, or in any case. */
  async #letGo(key: string, onlyIfOver: "1" | ""): Promise<void> {
    const args = ["", this.#operation(), onlyIfOver];
    const [status, ...rest] = await this.#run(END_SCRIPT, [key], args);
    if (status === "lives") {
      // The index was behind.
      await this.#index.place([{ key, until: Number(rest[0]), ends: Number(rest[1]) }]);
    } else if (status === "refused") {
      await this.#index.remove(key);
    } else {
      const [generation, early, ...names] = rest;
      if (early === 1) this.#parts.tally.sessionsForgotten++;
      await this.#finish(key, Number(generation), names);
    }
  }

  async #finish(key: string, generation: number, names: readonly unknown[]): Promise<void> {
    await this.#clear(key, generation, names);
    await this.#index.remove(key);
  }

  /** Removes what an ended session has, and then its record. */
  async #clear(key: string, generation: number, names: readonly unknown[]): Promise<void> {
    await this.#positions.drop(key, generation, readNames(names));
    await this.#run(CLEAR_SCRIPT, [key], [generation]);
  }

  async #renew(
    sessions: readonly Held[],
    now: number,
  ): Promise<{ readonly times: SessionTimes[]; readonly told: Renewed[] }> {
    const { leases, lease } = this.#parts;
    const args = [lease, ...sessions.map(({ generation }) => generation)];
    const answers = await this.#run(RENEW_SCRIPT, sessions.map(({ key }) => key), args);
    const times: SessionTimes[] = [];
    const told: Renewed[] = [];
    for (const [i, { key, generation }] of sessions.entries()) {
      const [until, ends, ...news] = answers[i] as unknown[];
      if (until === undefined || until === "lost") {
        leases.drop(key, generation);
        told.push({ key, held: false, ...(until === "lost" ? { lost: true } : {}), redriven: [] });
        continue;
      }
      leases.note(key, generation, now);
      times.push({ key, until: Number(until), ends: Number(ends) });
      if (news.length > 0) told.push({ key, held: true, redriven: readNames(news) });
    }
    return { times, told };
  }

  /** Names an operation, so that a repeated one is known. */
  #operation(): string {
    return `${this.#parts.node}.${++this.#operations}`;
  }

  async #run(
    script: Script,
    sessions: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown[]> {
    const { link, keys, tally } = this.#parts;
    const names = sessions.map((key) => keys.session(key));
    const [bad, ...rest] = await link.run(script, names, args) as unknown[];
    tally.quarantined += Number(bad);
    return rest;
  }
}

function refusal(status: string, node: unknown): Claimed {
  if (status === "held") return { ok: false, reason: "held", node: String(node) };
  return { ok: false, reason: status === "bad_secret" ? "bad_secret" : "replaced" };
}

function readNames(names: readonly unknown[]): string[] {
  return names.map((name) => nameOf(String(name))).filter((name) => name !== undefined);
}
