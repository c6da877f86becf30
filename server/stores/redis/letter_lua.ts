/**
 * Lua about the dead letters of one channel.
 *
 * - `DEAD`, a hash: id → `ATTEMPTS REASON AT`, a line break, and the message.
 * - `ORDER`, a sorted set: id by the microsecond at which it came, each a later one than the last.
 * - `SESSIONS`, a sorted set of one score, so that it is sorted by name: `LENGTH:SESSION:TIME:ID`
 *   with the time of `ORDER`, so that those of one session are together, oldest first.
 *
 * An id is `SEQ:LENGTH:EPOCH:SESSION`: a message dies once for a session.
 *
 * @module
 */
import type { DeadLetter } from "../store.ts";
import { escapeName, nameOf, type RedisKeys } from "./keys.ts";
import { readEpoch, writeEpoch } from "./position_text.ts";

/** Keys of {@linkcode LETTERS}. A script's own come behind them. */
export function letterKeys(keys: RedisKeys, channel: string): string[] {
  return [keys.dead(channel), keys.deadOrder(channel), keys.deadSessions(channel)];
}

/** Name of a letter among those of its channel. */
export function letterId(session: string, epoch: string, seq: number): string {
  const name = writeEpoch(epoch);
  return `${seq}:${name.length}:${name}:${escapeName(session)}`;
}

/** What a letter's name says; `undefined` if it is none. */
export function readLetterId(
  id: string,
): Pick<DeadLetter, "session" | "epoch"> & { readonly seq: number } | undefined {
  const [head, seq, length] = /^(\d+):(\d+):/.exec(id) ?? [];
  if (head === undefined) return undefined;
  const end = head.length + Number(length);
  const session = nameOf(id.slice(end + 1));
  const epoch = readEpoch(id.slice(head.length, end));
  if (session === undefined || epoch === undefined || id[end] !== ":") return undefined;
  return { session, epoch, seq: Number(seq) };
}

/** Adds, takes and finds letters. Stands behind `GUARD`. */
export const LETTERS = `
local DEAD, ORDER, SESSIONS = KEYS[1], KEYS[2], KEYS[3]
sound(DEAD, 'hash')
sound(ORDER, 'zset')
sound(SESSIONS, 'zset')
local function about(id)
  local seq, length = string.match(id, '^(%d+):(%d+):')
  if not seq then return nil end
  local start = #seq + #length + 3
  local stop = start + tonumber(length)
  return string.sub(id, stop + 1), string.sub(id, start, stop - 1), tonumber(seq)
end
local function place(session, score, id)
  return #session .. ':' .. session .. ':' .. string.format('%016.0f', score) .. ':' .. id
end
local function range(session)
  local first = #session .. ':' .. session .. ':'
  return '[' .. first, '(' .. first .. '\\255'
end
local function idIn(session, member)
  return string.sub(member, #session + #tostring(#session) + 20)
end
local function take(id)
  local session = about(id)
  local score = redis.call('ZSCORE', ORDER, id)
  if score and session then redis.call('ZREM', SESSIONS, place(session, tonumber(score), id)) end
  redis.call('ZREM', ORDER, id)
  redis.call('HDEL', DEAD, id)
end
local function give(session, id, text)
  take(id)
  local last = redis.call('ZRANGE', ORDER, -1, -1, 'WITHSCORES')
  local score = math.max(now() * 1000, (tonumber(last[2]) or 0) + 1)
  redis.call('HSET', DEAD, id, text)
  redis.call('ZADD', ORDER, whole(score), id)
  redis.call('ZADD', SESSIONS, 0, place(session, score, id))
end
local function limit(session, most)
  local from, to = range(session)
  local over = redis.call('ZLEXCOUNT', SESSIONS, from, to) - most
  local gone = 0
  while gone < over do
    local member = redis.call('ZRANGEBYLEX', SESSIONS, from, to, 'LIMIT', 0, 1)[1]
    local id = idIn(session, member)
    take(id)
    redis.call('ZREM', SESSIONS, member)
    gone = gone + 1
  end
  return gone
end
`;
