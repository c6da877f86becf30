import { escapeName, nameOf } from "./keys.ts";
import type { Script } from "./script.ts";
import { GUARD } from "./session_lua.ts";
import type { SessionParts } from "./session_parts.ts";

/** A channel that may have dead letters. */
export interface LetterChannel {
  /** Its name. */
  readonly channel: string;
  /** Time of the next visit, as stored. */
  readonly visit: string;
}

/** Milliseconds between two visits: longer than any commit is on its way. */
const PAUSE = 60_000;
/** How many are visited in one sweep. */
const BATCH = 100;

const ANNOUNCE: Script = {
  name: "announce letters",
  lua:
    `-- Says that channels have dead letters, or are about to. There are never more of them than channels.
-- flags: allow-oom
-- KEYS: letters
-- ARGV: channel...
-- returns {bad}
${GUARD}
sound(KEYS[1], 'zset')
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], whole(now() + ${PAUSE}), ARGV[i]) end
return {bad}`,
};

const DUE: Script = {
  name: "letters to visit",
  lua: `-- Channels with dead letters that are to be visited.
-- flags: allow-oom
-- KEYS: letters
-- returns {bad, (channel, visit)...}
${GUARD}
sound(KEYS[1], 'zset')
local told = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now()), 'WITHSCORES', 'LIMIT', 0, ${BATCH})
table.insert(told, 1, bad)
return told`,
};

const VISITED: Script = {
  name: "letters visited",
  lua:
    `-- Puts off the next visit of a channel, or forgets it if it had no letters and has not got any.
-- flags: allow-oom
-- KEYS: letters
-- ARGV: channel, visit, letters
-- returns {bad}
${GUARD}
if ARGV[4] ~= '0' then
  redis.call('ZADD', KEYS[1], 'XX', whole(now() + ${PAUSE}), ARGV[2])
elseif redis.call('ZSCORE', KEYS[1], ARGV[2]) == ARGV[3] then
  redis.call('ZREM', KEYS[1], ARGV[2])
end
return {bad}`,
};

const ALL: Script = {
  name: "letters",
  lua: `-- Every channel that may have dead letters.
-- flags: allow-oom
-- KEYS: letters
-- returns {bad, channel...}
${GUARD}
sound(KEYS[1], 'zset')
local told = redis.call('ZRANGE', KEYS[1], 0, -1)
table.insert(told, 1, bad)
return told`,
};

/** Which channels have dead letters. One is announced before it gets any, and may have none. */
export class LetterIndex {
  readonly #parts: SessionParts;

  /** @param parts what it shares */
  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /** Says that channels have dead letters, or are about to. */
  async announce(channels: readonly string[]): Promise<void> {
    if (channels.length > 0) await this.#run(ANNOUNCE, channels.map(escapeName));
  }

  /** Some that are to be visited. */
  async due(): Promise<LetterChannel[]> {
    const due = await this.#run(DUE, []);
    const found: LetterChannel[] = [];
    for (let i = 0; i < due.length; i += 2) {
      const channel = nameOf(String(due[i]));
      const visit = String(due[i + 1]);
      if (channel !== undefined) found.push({ channel, visit });
      else await this.#run(VISITED, [String(due[i]), visit, 0]);
    }
    return found;
  }

  /** One was visited, and has so many letters. */
  async visited({ channel, visit }: LetterChannel, letters: number): Promise<void> {
    await this.#run(VISITED, [escapeName(channel), visit, letters]);
  }

  /** All of them. */
  async channels(): Promise<string[]> {
    const all = await this.#run(ALL, []);
    return all.map((name) => nameOf(String(name))).filter((name) => name !== undefined);
  }

  async #run(script: Script, args: readonly (string | number)[]): Promise<unknown[]> {
    const { link, keys, tally } = this.#parts;
    const [bad, ...rest] = await link.run(script, [keys.letters], args) as unknown[];
    tally.quarantined += Number(bad);
    return rest;
  }
}
