/**
 * Scripts about the index: which channels there are, when each is to be looked after, and sums over
 * all. They may lag behind the logs; nothing but sweeping and counting rests on them.
 *
 * @module
 */
import type { Script } from "./script.ts";

/** Takes channels that are due. */
export const DUE: Script = {
  name: "due channels",
  lua: `
-- Takes the channels that are longest due for a visit. They are due again after a while, in case that
-- whoever took them is gone.
-- flags: allow-oom
-- KEYS: channels, sizes, ages, totals
-- ARGV: 2 most of them, 3 ms until they are due again, 4 due at or before then, or '' for now
-- returns: {time of the store, time until they are due again, name, name, …}
local time = now()
-- Sets keys aside that another program has written. The index fills again as channels are used.
for k, kind in ipairs({'zset', 'hash', 'zset', 'hash'}) do
  local is = redis.call('TYPE', KEYS[k]).ok
  if is ~= 'none' and is ~= kind then
    redis.call('RENAME', KEYS[k], KEYS[k] .. ':aside')
    redis.call('PEXPIRE', KEYS[k] .. ':aside', 604800000)
  end
end
local before = ARGV[4] == '' and time or tonumber(ARGV[4])
local again = string.format('%d', time + ARGV[3])
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', before), 'LIMIT', 0, ARGV[2])
for i = 1, #names do redis.call('ZADD', KEYS[1], 'XX', again, names[i]) end
return {string.format('%d', before), again, unpack(names)}
`,
};

/** Lists a channel, or notes that it is to be visited. */
export const LIST: Script = {
  name: "list",
  lua: `
-- Lists a channel, or notes that it is to be visited sooner.
-- flags: allow-oom
-- KEYS: channels
-- ARGV: 2 its name, 3 time of the visit
-- returns: 1 if it is new
return redis.call('ZADD', KEYS[1], 'LT', ARGV[3], ARGV[2])
`,
};

/** Notes what visits have found. */
export const TALLY: Script = {
  name: "tally",
  lua: `
-- Notes what visits to channels have found.
-- flags: allow-oom
-- KEYS: channels, sizes, ages, totals
-- ARGV: for each channel from 2 on: its name, until when it was taken or '' if it was not, time of the
--   next visit, messages, bytes, time of the oldest or '', evicted, expired
-- returns: bytes of all
local sums = {0, 0, 0, 0}
local names = {'messages', 'bytes', 'evicted', 'expired'}
for i = 2, #ARGV, 8 do
  local name = ARGV[i]
  local found = {tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), tonumber(ARGV[i + 6]), tonumber(ARGV[i + 7])}
  local old = {string.match(redis.call('HGET', KEYS[2], name) or '', '^(%d+) (%d+) (%d+) (%d+)$')}
  for k = 1, 4 do
    local was = tonumber(old[k] or 0)
    -- What only grows was begun anew if it is less than before.
    if k > 2 and found[k] < was then was = 0 end
    sums[k] = sums[k] + found[k] - was
  end
  redis.call('HSET', KEYS[2], name, string.format('%d %d %d %d', unpack(found)))
  if ARGV[i + 5] == '' then
    redis.call('ZREM', KEYS[3], name)
  else
    redis.call('ZADD', KEYS[3], ARGV[i + 5], name)
  end
  if ARGV[i + 1] ~= '' then
    local score = tonumber(redis.call('ZSCORE', KEYS[1], name) or '')
    -- An earlier time was noted meanwhile: the log has moved, and is to be seen again.
    if not score or score >= tonumber(ARGV[i + 1]) then redis.call('ZADD', KEYS[1], ARGV[i + 2], name) end
  end
end
for k = 1, 4 do
  if sums[k] ~= 0 then redis.call('HINCRBY', KEYS[4], names[k], string.format('%d', sums[k])) end
end
return tonumber(redis.call('HGET', KEYS[4], 'bytes') or 0)
`,
};

/** Finds the channels with the oldest messages. */
export const OLDEST: Script = {
  name: "oldest channels",
  lua: `
-- Finds the channels with the oldest messages.
-- flags: allow-oom
-- KEYS: ages
-- ARGV: 2 how many
-- returns: {name, time of its oldest message, name, time, …}, oldest first
return redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1, 'WITHSCORES')
`,
};

/** Takes channels out of the index. */
export const UNLIST: Script = {
  name: "unlist",
  lua: `
-- Takes channels out of the index.
-- flags: allow-oom
-- KEYS: channels, sizes, ages, totals
-- ARGV: names from 2 on
-- returns: how many were listed
local count = 0
for i = 2, #ARGV do
  local name = ARGV[i]
  local messages, bytes = string.match(redis.call('HGET', KEYS[2], name) or '', '^(%d+) (%d+) ')
  if messages then
    redis.call('HINCRBY', KEYS[4], 'messages', string.format('%d', -messages))
    redis.call('HINCRBY', KEYS[4], 'bytes', string.format('%d', -bytes))
  end
  redis.call('HDEL', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
  count = count + redis.call('ZREM', KEYS[1], name)
end
return count
`,
};
