/**
 * Scripts about revocations, all of which are in one slot.
 *
 * - `ENTRIES`, a hash: `KIND:NAME` → `AT UNTIL`.
 * - `ENDS`, a sorted set: the same names by their ends.
 * - `ORDER`, a sorted set: the same names, each by the number of its last change.
 * - `STATE`, a hash: the number of the last `change`, and an `epoch`, which is another one whenever
 *   numbers do not say any more what was told: nodes read everything then.
 *
 * @module
 */
import type { RedisKeys } from "./keys.ts";
import type { Script } from "./script.ts";
import { GUARD } from "./session_lua.ts";

/** Keys of both scripts. */
export function revocationKeys(keys: RedisKeys): string[] {
  return ["entries", "ends", "order", "state"].map((name) => keys.revocations(name));
}

// What is not whole, because it was lost or another program has changed it, is made anew from the entries.
// Even where there are none there is an epoch, so that the loss of the first one is noticed, too.
const REVOCATIONS = `${GUARD}
local ENTRIES, ENDS, ORDER, STATE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
sound(ENTRIES, 'hash')
sound(ENDS, 'zset')
sound(ORDER, 'zset')
sound(STATE, 'hash')
local function times(value) return string.match(value or '', '^(%d+) (%d+)$') end
local function rebuild()
  redis.call('DEL', ENDS, ORDER, STATE)
  local all, change = redis.call('HGETALL', ENTRIES), 0
  for i = 1, #all, 2 do
    local at, until_ = times(all[i + 1])
    if at then
      change = change + 1
      redis.call('ZADD', ENDS, until_, all[i])
      redis.call('ZADD', ORDER, change, all[i])
    else
      aside(ENTRIES, all[i], all[i + 1])
      redis.call('HDEL', ENTRIES, all[i])
    end
  end
  -- No two within a microsecond: whoever has the mark of another one must not take it for this.
  local time = redis.call('TIME')
  redis.call('HSET', STATE, 'epoch', time[1] .. '-' .. time[2], 'change', change)
end
local count = redis.call('HLEN', ENTRIES)
local state = redis.call('HMGET', STATE, 'epoch', 'change')
if bad > 0 or redis.call('ZCARD', ENDS) ~= count or redis.call('ZCARD', ORDER) ~= count
  or not (state[1] and string.match(state[2] or '', '^%d+$')) then
  rebuild()
  state = redis.call('HMGET', STATE, 'epoch', 'change')
end
local function forget()
  for _, field in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', whole(now()), 'LIMIT', 0, 1000)) do
    redis.call('HDEL', ENTRIES, field)
    redis.call('ZREM', ENDS, field)
    redis.call('ZREM', ORDER, field)
  end
end
`;

/** Keeps a revocation. */
export const REVOKE: Script = {
  name: "revoke",
  lua: `-- Keeps a revocation until its end; of one that is known already the later times stay.
-- flags: allow-oom
-- KEYS: entries, ends, order, state
-- ARGV: offset, kind and name, at, until, most that are kept
-- Returns: values set aside; 1 if it is kept, 0 if its end is past, -1 if there is no room
${REVOCATIONS}
local field, at, until_, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if tonumber(until_) <= now() then return {bad, 0} end
forget()
local known, last = times(redis.call('HGET', ENTRIES, field))
if known then
  if tonumber(known) >= tonumber(at) and tonumber(last) >= tonumber(until_) then return {bad, 1} end
  if tonumber(known) > tonumber(at) then at = known end
  if tonumber(last) > tonumber(until_) then until_ = last end
elseif redis.call('HLEN', ENTRIES) >= most then
  return {bad, -1}
end
redis.call('HSET', ENTRIES, field, at .. ' ' .. until_)
redis.call('ZADD', ENDS, until_, field)
redis.call('ZADD', ORDER, redis.call('HINCRBY', STATE, 'change', 1), field)
return {bad, 1}`,
};

/** Tells what is new. */
export const NEWS: Script = {
  name: "revocations",
  lua: `-- Tells which revocations have changed since some were told, a part of them at a time.
-- flags: allow-oom
-- KEYS: entries, ends, order, state
-- ARGV: offset, run and epoch that were told, number of the last change that was told, most to tell
-- Returns: values set aside, run and epoch now, number of the last change that is told, whether it
--   goes on from what was told, whether there are more, then kind and name, at and until of each
${REVOCATIONS}
forget()
local mark = runid() .. '.' .. state[1]
local change = tonumber(state[2])
local last, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local goes_on = mark == ARGV[2] and last <= change
if not goes_on then last = 0 end
if goes_on and last == change then return {bad, mark, whole(last), 1, 0} end
local found = redis.call('ZRANGEBYSCORE', ORDER, '(' .. whole(last), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local told = {}
for i = 1, #found, 2 do
  local value = redis.call('HGET', ENTRIES, found[i])
  local at, until_ = times(value)
  last = tonumber(found[i + 1])
  if at then
    told[#told + 1] = found[i]
    told[#told + 1] = at
    told[#told + 1] = until_
  elseif value then
    -- The next one who asks finds one too few, and everything is told anew.
    aside(ENTRIES, found[i], value)
    redis.call('HDEL', ENTRIES, found[i])
  end
end
local has_more = #found == 2 * most
if not has_more then last = math.max(last, change) end
return {bad, mark, whole(last), goes_on and 1 or 0, has_more and 1 or 0, unpack(told)}`,
};
