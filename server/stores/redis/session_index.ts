import { escapeName, nameOf, type RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import type { Script } from "./script.ts";
import { GUARD } from "./session_lua.ts";

/** When a session has no connection, and when it ends, unless it is renewed. Store time, ms. */
export interface SessionTimes {
  /** Key of the session. */
  readonly key: string;
  /** Since then, or from then on, it has no connection. */
  readonly until: number;
  /** It ends then. */
  readonly ends: number;
}

/** Whether there is room for one more session. */
export type Room = Place | Crowd;

/** There is. */
interface Place {
  readonly has: true;
  /** Whether the session is new in the index. */
  readonly isNew: boolean;
}

/** There is none. */
interface Crowd {
  readonly has: false;
  /** Sessions that may go: those that have ended, or else those longest away. */
  readonly away: string[];
}

/** How many are read at once. */
const BATCH = 100;

const RESERVE: Script = {
  name: "reserve",
  lua: `-- Keeps a place for a session.
-- KEYS: sessions, ends
-- ARGV: session, most sessions, lease in ms, ttl in ms
-- returns {bad, 'known' | 'new'}, or {bad, 'full', session that may go...}
${GUARD}
sound(KEYS[1], 'zset')
sound(KEYS[2], 'zset')
if redis.call('ZSCORE', KEYS[1], ARGV[2]) then return {bad, 'known'} end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[3]) + 1
if over <= 0 then
  local away = now() + tonumber(ARGV[4])
  redis.call('ZADD', KEYS[1], whole(away), ARGV[2])
  redis.call('ZADD', KEYS[2], whole(away + tonumber(ARGV[5])), ARGV[2])
  return {bad, 'new'}
end
local told = {bad, 'full'}
local count = math.min(over, ${BATCH})
for _, index in ipairs({KEYS[2], KEYS[1]}) do
  local past = redis.call('ZRANGEBYSCORE', index, '-inf', whole(now()), 'LIMIT', 0, count)
  for _, key in ipairs(past) do told[#told + 1] = key end
  if #past > 0 then break end
end
return told`,
};

const PLACE: Script = {
  name: "place",
  lua: `-- Says when sessions have no connection, and when they end.
-- flags: allow-oom
-- KEYS: sessions, ends
-- ARGV: (session, until, ends)...
-- returns {bad}
${GUARD}
sound(KEYS[1], 'zset')
sound(KEYS[2], 'zset')
for i = 2, #ARGV, 3 do
  redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i])
  redis.call('ZADD', KEYS[2], ARGV[i + 2], ARGV[i])
end
return {bad}`,
};

const REMOVE: Script = {
  name: "displace",
  lua: `-- Takes sessions out of the index.
-- flags: allow-oom
-- KEYS: sessions, ends
-- ARGV: session...
-- returns {bad}
${GUARD}
sound(KEYS[1], 'zset')
sound(KEYS[2], 'zset')
for i = 2, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('ZREM', KEYS[2], ARGV[i])
end
return {bad}`,
};

const DUE: Script = {
  name: "due sessions",
  lua: `-- Sessions whose time is over, as far as the index knows.
-- flags: allow-oom
-- KEYS: ends
-- returns {bad, session...}
${GUARD}
sound(KEYS[1], 'zset')
local told = {bad}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now()), 'LIMIT', 0, ${BATCH})) do
  told[#told + 1] = key
end
return told`,
};

const COUNT: Script = {
  name: "count sessions",
  lua: `-- Counts the sessions that live, as far as the index knows.
-- flags: allow-oom
-- KEYS: ends
-- returns {bad, count}
${GUARD}
sound(KEYS[1], 'zset')
return {bad, redis.call('ZCOUNT', KEYS[1], '(' .. whole(now()), '+inf')}`,
};

/**
 * Which sessions there are. The truth is in each session's own record, in another slot; this follows
 * it, a moment later, and is put right when they are found to differ.
 */
export class SessionIndex {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #count: (bad: number) => void;

  /** @param count told of values that were moved aside */
  constructor(link: RedisLink, keys: RedisKeys, count: (bad: number) => void) {
    this.#link = link;
    this.#keys = keys;
    this.#count = count;
  }

  /** Keeps a place for a session, if there is one. */
  async reserve(key: string, most: number, lease: number, ttl: number): Promise<Room> {
    const [kind, ...away] = await this.#run(RESERVE, true, [escapeName(key), most, lease, ttl]);
    if (kind === "full") return { has: false, away: names(away) };
    return { has: true, isNew: kind === "new" };
  }

  /** Follows what has become of sessions. */
  async place(times: readonly SessionTimes[]): Promise<void> {
    if (times.length === 0) return;
    const args = times.flatMap(({ key, until, ends }) => [escapeName(key), until, ends]);
    await this.#run(PLACE, true, args);
  }

  /** Takes a session out. */
  async remove(key: string): Promise<void> {
    await this.#run(REMOVE, true, [escapeName(key)]);
  }

  /** Some whose time seems to be over; `more` if there may be others. */
  async due(): Promise<{ readonly keys: string[]; readonly more: boolean }> {
    const due = await this.#run(DUE, false, []);
    const keys = names(due);
    // What is no name was put there by somebody else.
    if (keys.length < due.length) {
      const foreign = due.map(String).filter((member) => nameOf(member) === undefined);
      this.#count(foreign.length);
      await this.#run(REMOVE, true, foreign);
    }
    return { keys, more: due.length === BATCH };
  }

  /** How many live. */
  async size(): Promise<number> {
    const [count] = await this.#run(COUNT, false, []);
    return Number(count);
  }

  async #run(
    script: Script,
    both: boolean,
    args: readonly (string | number)[],
  ): Promise<unknown[]> {
    const { sessions, ends } = this.#keys;
    const [bad, ...rest] = await this.#link.run(
      script,
      both ? [sessions, ends] : [ends],
      args,
    ) as unknown[];
    this.#count(Number(bad));
    return rest;
  }
}

function names(members: readonly unknown[]): string[] {
  return members.map((member) => nameOf(String(member))).filter((name) => name !== undefined);
}
