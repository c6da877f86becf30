import { CUT_LUA, OPEN_LUA } from "./log_lua.ts";
import type { Script } from "./script.ts";

/**
 * Opens a channel of the index. Where Redis has dropped the log at the end of its time, and positions
 * are left, it begins anew: a channel that is in the index no more is never rid of them.
 */
const LISTED_LUA = `${OPEN_LUA}${CUT_LUA}
local function listed()
  return open(redis.call('EXISTS', FLOORS) == 1)
end
`;

/** Looks after one channel. */
export const TEND: Script = {
  name: "tend",
  lua: `
-- Drops what a channel's log need not keep any more, exactly, and sums up what it has.
-- flags: allow-oom
-- KEYS: meta, log, floors, ids, ids, dead
-- ARGV: 2 epoch if one begins, 3 messageTtl, 4 historySize, 5 historyBytes, 6 maxChannelBytes,
--   7 idempotencyWindow, 8 metaTtl, 9 ms after which Redis may drop an unused channel, 10 most ms until
--   the next visit
-- returns: {state, time of the next visit, messages, bytes, time of the oldest or '', evicted, expired,
--   1 if the channel can be forgotten}; nil if there is no such channel, and no position in it
${LISTED_LUA}
local c = listed()
if not c then return false end
local ttl, metaTtl, oldest = tonumber(ARGV[3]), tonumber(ARGV[8]), c.oldest
expire(c, time - ttl)
bound(c, tonumber(ARGV[6]))
local isLong = trim(c, tonumber(ARGV[4]), tonumber(ARGV[5]), 0)
if c.oldest ~= oldest then save(c) end
keep(c, tonumber(ARGV[9]))

local turn = math.floor(time / tonumber(ARGV[7]))
for k = 4, 5 do
  local stamp = redis.pcall('HGET', KEYS[k], '')
  if type(stamp) == 'string' and (tonumber(stamp) or 0) < turn - 1 then redis.call('UNLINK', KEYS[k]) end
end

local due = time + tonumber(ARGV[10])
local isIdle = 0
if isLong then
  -- Positions move without anybody's saying so here.
  due = time
elseif c.at then
  due = math.min(due, math.max(c.at + ttl, time + 1))
elseif redis.call('EXISTS', FLOORS, KEYS[6]) == 0 then
  if time - c.used > metaTtl then isIdle = 1 end
  due = math.min(due, c.used + metaTtl + 1)
end
return {state(c), int(due), int(c.head - c.oldest + 1), int(c.cum - c.gone), c.at and int(c.at) or '',
  int(c.evicted), int(c.expired), isIdle}
`,
};

/** Drops the oldest messages of one channel, for the sake of all. */
export const EVICT: Script = {
  name: "evict",
  lua: `
-- Drops messages from the front of a log, whoever needs them, but never the newest.
-- flags: allow-oom
-- KEYS: meta, log, floors, ids, ids
-- ARGV: 2 epoch if one begins, 3 bytes after which it is enough, 4 only what was stored at or before
-- returns: {state, messages, bytes, time of the oldest or '', evicted, expired}; nil if there is no
--   such channel, and no position in it
${LISTED_LUA}
local c = listed()
if not c then return false end
local enough, limit = c.gone + tonumber(ARGV[3]), tonumber(ARGV[4])
if c.at and c.at <= limit then
  evict(c, c.head, function(sum, at) return sum >= enough or at > limit end)
  save(c)
end
return {state(c), int(c.head - c.oldest + 1), int(c.cum - c.gone), c.at and int(c.at) or '',
  int(c.evicted), int(c.expired)}
`,
};

/** Forgets a channel. */
export const FORGET: Script = {
  name: "forget channel",
  lua: `
-- Forgets a channel that has no message, no position, no dead letter and was not used for long.
-- flags: allow-oom
-- KEYS: meta, log, floors, ids, ids, dead
-- ARGV: 2 epoch if one begins, 3 metaTtl
-- returns: 1 if there is no such channel now
${OPEN_LUA}
local c = open(false)
if not c then return 1 end
if c.oldest <= c.head or time - c.used <= tonumber(ARGV[3]) then return 0 end
if redis.call('EXISTS', FLOORS, KEYS[6]) ~= 0 then return 0 end
redis.call('UNLINK', META, LOG, KEYS[4], KEYS[5])
return 1
`,
};
