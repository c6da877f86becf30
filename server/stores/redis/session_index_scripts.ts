/**
 * Scripts about the list of all sessions.
 *
 * It is three kinds of sorted sets in one slot: all sessions by the time since when, or until when at
 * most, each has no connection; all by the time of their end; and those of each subject by the first
 * of the two. A session is in its subject's wherever it is in the first, but for what another version
 * has written, or another program: `follow` mends that. A subject's set ends with its last session: it
 * is empty then, or its time is over.
 *
 * @module
 */
import type { Script } from "./script.ts";
import { GUARD } from "./session_lua.ts";

/** How many sessions are read at once. */
export const BATCH = 100;

/**
 * - `sounds()`: moves aside what is no sorted set among all KEYS.
 * - `lasts(own, ends)`: a subject's set is there for longer than a session of it that ends then.
 */
const SETS = `${GUARD}
local HOUR = 3600000
local function sounds()
  for _, key in ipairs(KEYS) do sound(key, 'zset') end
end
local function lasts(own, ends)
  local left = math.max(ends - now(), 0)
  if redis.call('PTTL', own) < left + HOUR / 2 then
    redis.call('PEXPIRE', own, whole(left + HOUR))
  end
end
`;

/** Keeps a place for a session. */
export const RESERVE: Script = {
  name: "reserve",
  lua: `-- Keeps a place for a session, unless there are too many, or too many of its subject.
-- KEYS: sessions, ends, sessions of the subject
-- ARGV: session, most sessions, most of the subject or '' for any number, lease in ms, ttl in ms
-- returns {bad, 'known' | 'new'}, or {bad, 'full' | 'subject_full', 'ended' | 'away', session...}:
--   those that seem to have ended, or else those of the subject that are longest away; none if there
--   would be no room without them
${SETS}
sounds()
local key, own, time = ARGV[2], KEYS[3], now()
local known = redis.call('ZSCORE', KEYS[1], key)
if known then
  redis.call('ZADD', own, known, key)
  lasts(own, tonumber(redis.call('ZSCORE', KEYS[2], key) or known))
  return {bad, 'known'}
end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[3]) + 1
local over_own = redis.call('ZCARD', own) - (tonumber(ARGV[4]) or math.huge) + 1
if over <= 0 and over_own <= 0 then
  local away = time + tonumber(ARGV[5])
  local ends = away + tonumber(ARGV[6])
  redis.call('ZADD', KEYS[1], whole(away), key)
  redis.call('ZADD', KEYS[2], whole(ends), key)
  redis.call('ZADD', own, whole(away), key)
  lasts(own, ends)
  return {bad, 'new'}
end
local told = {bad, over_own > 0 and 'subject_full' or 'full', 'ended'}
-- What has ended is nobody's.
for _, past in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(time), 'LIMIT', 0, ${BATCH})) do
  if over > 0 or redis.call('ZSCORE', own, past) then told[#told + 1] = past end
end
if #told > 3 then return told end
told[3] = 'away'
local count = math.max(over, over_own)
if redis.call('ZCOUNT', own, '-inf', whole(time)) < count then return told end
for _, away in ipairs(redis.call('ZRANGEBYSCORE', own, '-inf', whole(time), 'LIMIT', 0, math.min(count, ${BATCH}))) do
  told[#told + 1] = away
end
return told`,
};

/** Says when sessions have no connection, and when they end. */
export const PLACE: Script = {
  name: "place",
  lua: `-- Says when sessions have no connection, and when they end.
-- flags: allow-oom
-- KEYS: sessions, ends, sessions of a subject...
-- ARGV: for each of the subjects: how many, (session, until, ends)...
-- returns {bad}
${SETS}
sounds()
local untils, all_ends, at = {}, {}, 2
for i = 3, #KEYS do
  local own, last = {}, 0
  for _ = 1, tonumber(ARGV[at]) do
    local key, away, ends = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local n = #own
    own[n + 1], own[n + 2] = away, key
    n = #untils
    untils[n + 1], untils[n + 2] = away, key
    all_ends[n + 1], all_ends[n + 2] = ends, key
    last = math.max(last, tonumber(ends))
    at = at + 3
  end
  at = at + 1
  redis.call('ZADD', KEYS[i], unpack(own))
  lasts(KEYS[i], last)
end
redis.call('ZADD', KEYS[1], unpack(untils))
redis.call('ZADD', KEYS[2], unpack(all_ends))
return {bad}`,
};

/** Takes sessions out of the list. */
export const REMOVE: Script = {
  name: "displace",
  lua: `-- Takes sessions out of the list.
-- flags: allow-oom
-- KEYS: sessions, ends, for each session those of its subject
-- ARGV: session...
-- returns {bad}
${SETS}
sounds()
for i = 2, #ARGV do
  for _, key in ipairs({KEYS[1], KEYS[2], KEYS[i + 1]}) do redis.call('ZREM', key, ARGV[i]) end
end
return {bad}`,
};

/** Some sessions whose time seems to be over. */
export const DUE: Script = {
  name: "due sessions",
  lua: `-- Sessions whose time is over, as far as the list knows.
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

/** A part of the list. */
export const TOUR: Script = {
  name: "tour sessions",
  lua: `-- A part of the list of all sessions.
-- flags: allow-oom
-- KEYS: sessions
-- ARGV: cursor, about how many
-- returns {bad, next cursor, session...}
${GUARD}
sound(KEYS[1], 'zset')
local found = redis.call('ZSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
local told = {bad, found[1]}
for i = 1, #found[2], 2 do told[#told + 1] = found[2][i] end
return told`,
};

/** Mends what the subjects' sets have not heard of. */
export const FOLLOW: Script = {
  name: "follow sessions",
  lua:
    `-- Adds sessions to those of their subjects, where they are not; as the list of all has them.
-- flags: allow-oom
-- KEYS: sessions, ends, sessions of a subject...
-- ARGV: for each of the subjects: how many, session...
-- returns {bad}
${SETS}
sounds()
local at = 2
for i = 3, #KEYS do
  for _ = 1, tonumber(ARGV[at]) do
    at = at + 1
    local key = ARGV[at]
    local away = redis.call('ZSCORE', KEYS[1], key)
    if away and not redis.call('ZSCORE', KEYS[i], key) then
      redis.call('ZADD', KEYS[i], away, key)
      lasts(KEYS[i], tonumber(redis.call('ZSCORE', KEYS[2], key) or away))
    end
  end
  at = at + 1
end
return {bad}`,
};

/** Counts those that live. */
export const COUNT: Script = {
  name: "count sessions",
  lua: `-- Counts the sessions that live, as far as the list knows.
-- flags: allow-oom
-- KEYS: ends
-- returns {bad, count}
${GUARD}
sound(KEYS[1], 'zset')
return {bad, redis.call('ZCOUNT', KEYS[1], '(' .. whole(now()), '+inf')}`,
};
