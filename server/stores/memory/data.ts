import { type Json, PushError } from "@push/client/protocol";
import { type RandomBytes, randomEpoch } from "../../clock.ts";
import { MemoryChannels } from "./channels.ts";
import { IdKeys } from "./id_key.ts";
import { MemoryLetters } from "./letters.ts";
import { type Drawn, MemoryLog } from "./log.ts";
import { MemoryRevocations } from "./revocations.ts";
import { type MemorySession, MemorySessions } from "./sessions.ts";
import { MemoryShelf } from "./shelf.ts";
import { Tally } from "./tally.ts";
import type { AppendResult, DeadLetter, DeadLetterQuery, Draft, Retention } from "../store.ts";

// 60 to 130 bytes each where ids have up to 30 characters, so 270 MB at most; in five minutes that is
// 7 000 publishes a second.
const MAX_PUBLISH_IDS = 2 ** 21;

/** What a log is made with. */
export interface LogTerms {
  /** How much of it is kept. */
  readonly retention: Retention;
  /** Source of randomness, for epochs. */
  readonly random: RandomBytes;
}

/** What memory stores that are made with it share. Its members are for them alone. */
export class MemoryData {
  /** Sums over everything below. */
  readonly tally: Tally = new Tally();
  /** Logs. */
  readonly channels: MemoryChannels = new MemoryChannels(this.tally);
  /** Sessions and positions. */
  readonly sessions: MemorySessions = new MemorySessions(this.channels, this.tally);
  /** Dead letters. */
  readonly letters: MemoryLetters = new MemoryLetters(this.tally);
  /** Revocations. */
  readonly revocations: MemoryRevocations = new MemoryRevocations();
  #keys: IdKeys | undefined;

  /** Log of a channel, without what has expired; begins one if need be. Settle it after use. */
  log(
    channel: string,
    now: number,
    { retention, random }: LogTerms,
    metadata: { readonly [key: string]: Json } = {},
    maxStoreBytes: number = retention.maxStoreBytes,
  ): MemoryLog {
    const known = this.channels.get(channel);
    if (known !== undefined) {
      known.expire(now - retention.messageTtl);
      known.expireIds(now - retention.idempotencyWindow);
      return known;
    }
    const log = this.makeLog(channel, randomEpoch(random), metadata, now);
    this.begin(log, maxStoreBytes, now);
    return log;
  }

  /** Makes a log, which is not taken in yet. */
  makeLog(
    name: string,
    epoch: string,
    metadata: { readonly [key: string]: Json },
    now: number,
  ): MemoryLog {
    return new MemoryLog(name, epoch, metadata, now, this.tally, new MemoryShelf());
  }

  /** What spells publish ids: one for all that is in memory, since hashes are compared. */
  keys(random: RandomBytes): IdKeys {
    return this.#keys ??= new IdKeys(random);
  }

  /** Dead letters whose subscription still exists, in the letter's epoch. */
  redrivable(query: DeadLetterQuery, now: number): DeadLetter[] {
    return this.letters.find(
      query,
      ({ session, channel }) => this.sessions.find(session, now)?.positions.get(channel)?.epoch,
    );
  }

  /** A position of a session in a log has moved. A store that writes positions down listens here. */
  moved(_session: MemorySession, _log: MemoryLog): void {}

  /**
   * Works out what an append comes to; changes nothing but what had expired.
   *
   * @throws {PushError} `store_full` if one of the messages cannot be kept
   */
  draw(
    log: MemoryLog,
    drafts: readonly Draft[],
    { retention, random }: LogTerms,
    now: number,
  ): Drawn {
    const { maxChannelBytes, maxStoreBytes } = retention;
    const drawn = log.draw(drafts, now, this.keys(random));
    if (drawn.largest > maxChannelBytes || !this.hasRoom(log, drawn.largest, maxStoreBytes)) {
      this.channels.settle(log, now);
      throw new PushError(
        "store_full",
        `There is no room for a message of ${drawn.largest} bytes.`,
      );
    }
    return drawn;
  }

  /** Stores what was drawn, and lets go of what has no room beside it. */
  add(log: MemoryLog, drawn: Drawn, retention: Retention, now: number): AppendResult {
    log.add(drawn, now);
    this.channels.trim(log, retention);
    while (log.bytes > retention.maxChannelBytes) log.evict();
    this.channels.settle(log, now);
    this.makeRoom(retention.maxStoreBytes, now);
    this.limitIds(log);
    return { ...log.state(), appended: drawn.appended, messages: drawn.messages };
  }

  /** Takes a new log in, and makes room for it. */
  begin(log: MemoryLog, maxStoreBytes: number, now: number): void {
    if (!this.hasRoom(log, 0, maxStoreBytes)) {
      throw new PushError("store_full", "There is no room for another channel.");
    }
    this.channels.add(log);
    this.makeRoom(maxStoreBytes, now);
  }

  /** Whether a message can be kept, once everything is gone that can be let go. */
  hasRoom(log: MemoryLog, bytes: number, maxStoreBytes: number): boolean {
    const { tally } = this;
    return tally.fixed + (log.isHeld ? 0 : log.overhead) + bytes <= maxStoreBytes;
  }

  /** Lets go of what is idle or oldest until the rest fits, or nothing can be let go. */
  makeRoom(maxStoreBytes: number, now: number): void {
    while (this.tally.held > maxStoreBytes) {
      if (this.channels.forgetIdle()) continue;
      const message = this.channels.oldestAt ?? Infinity;
      const letter = this.letters.oldestAt ?? Infinity;
      if (message === Infinity && letter === Infinity) return;
      if (message <= letter) this.channels.evictOldest(now);
      else this.letters.evictOldest();
    }
  }

  /** Forgets publish ids of the channel that has just got some, if there are too many. */
  limitIds(log: MemoryLog): void {
    while (this.tally.publishIds > MAX_PUBLISH_IDS && log.forgetOldestId());
  }
}
