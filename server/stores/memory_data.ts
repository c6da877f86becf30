import { PushError } from "@push/client/protocol";
import { MemoryChannels } from "./memory_channels.ts";
import { MemoryLetters } from "./memory_letters.ts";
import type { MemoryLog } from "./memory_log.ts";
import { MemorySessions } from "./memory_sessions.ts";
import { Tally } from "./memory_tally.ts";

// About 130 bytes each, so some 270 MB; in five minutes that is 7 000 publishes a second.
const MAX_PUBLISH_IDS = 2 ** 21;

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
