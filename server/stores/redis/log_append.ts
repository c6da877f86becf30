import { CUT_LUA, OPEN_LUA } from "./log_lua.ts";
import type { Script } from "./script.ts";

/** Appends drafts to a channel's log. */
export const APPEND: Script = {
  name: "append",
  lua: `
-- Appends drafts to a channel's log, all or none, and tells whoever follows the channel. Creates the
-- channel. Done once for each op: repeated, it answers the same with the state as it is then.
-- KEYS: meta, log, floors, ids, ids, op
-- ARGV: 2 epoch if one begins, 3 messageTtl, 4 historySize, 5 historyBytes, 6 maxChannelBytes,
--   7 bytes of the largest message allowed, 8 idempotencyWindow, 9 ms that the op is remembered,
--   10 ms after which Redis may drop an unused channel, 11 PUBLISH or SPUBLISH, 12 topic, 13 1 if the
--   notice may carry the messages, and for each draft its publish id with its subject or '', what the
--   entry says of it, its payload
-- returns: {state, 'FIRST TIME INDEX:NUMBER INDEX:NUMBER …'}: number of the first draft stored, when,
--   and the drafts (from 0) that were published before, with their numbers; 'full' if one is too large
${OPEN_LUA}${CUT_LUA}
local OP, WINDOW, FIRST = KEYS[6], tonumber(ARGV[8]), 14
local KEYS, ARGV, call, format = KEYS, ARGV, redis.call, string.format

local c = open(true)
local done = redis.pcall('GET', OP)
if type(done) == 'string' then return {state(c), done} end

-- Publish ids: where they were published, by those of them that are remembered.
local turn = math.floor(time / WINDOW)
local current = KEYS[4 + turn % 2]
local known = {}
local asked = {''}
for i = FIRST, #ARGV, 3 do
  if ARGV[i] ~= '' then asked[#asked + 1] = ARGV[i] end
end
local stamp
for k = 4, 5 do
  if redis.call('EXISTS', KEYS[k]) == 1 and (#asked > 1 or KEYS[k] == current) then
    for from = 1, #asked, 4000 do
      local to = math.min(from + 3999, #asked)
      local got = redis.pcall('HMGET', KEYS[k], unpack(asked, from, to))
      if got.err then
        aside(KEYS[k])
        c.bad = c.bad + 1
        break
      end
      for i = from, to do
        local value = got[i - from + 1]
        if i == 1 then
          if KEYS[k] == current then stamp = tonumber(value or '') end
        elseif value then
          local seq, at = string.match(value, '^(%d+):(%d+)$')
          seq, at = whole(seq), whole(at)
          if seq and at > time - WINDOW then known[asked[i]] = int(seq) end
        end
      end
    end
  end
end

-- What it comes to, before anything is written.
local largest = tonumber(ARGV[7])
local ids, repeats, stored = {}, {}, {}
local seq = c.head
local stamped = ':' .. int(time)
for i = FIRST, #ARGV, 3 do
  local id = ARGV[i]
  if id ~= '' and known[id] then
    repeats[#repeats + 1] = ' ' .. (i - FIRST) / 3 .. ':' .. known[id]
  else
    if #ARGV[i + 2] + 64 > largest then return 'full' end
    seq = seq + 1
    stored[#stored + 1] = i
    if id ~= '' then
      known[id] = int(seq)
      local k = #ids
      ids[k + 1] = id
      ids[k + 2] = known[id] .. stamped
    end
  end
end

local start = c.head
local tell, tells = {''}, ARGV[13] == '1'
local cum = c.cum
local opening = '[' .. int(time) .. ','
for n = 1, #stored do
  local i = stored[n]
  local payload = ARGV[i + 2]
  cum = cum + #payload + 64
  local m = opening .. format('%d,', cum) .. ARGV[i + 1] .. ']'
  local number = format('%d-0', start + n)
  if n > 1 then
    call('XADD', LOG, number, 'm', m, 'p', payload)
  elseif redis.pcall('XADD', LOG, number, 'm', m, 'p', payload).err then
    -- Something else is there, or stands behind what should be the newest.
    if call('TYPE', LOG).ok == 'stream' then
      repeat
        local foreign = call('XRANGE', LOG, '(' .. int(c.head) .. '-0', '+', 'COUNT', 1000)
        for f = 1, #foreign do call('XDEL', LOG, foreign[f][1]) end
        c.bad = c.bad + #foreign
      until #foreign == 0
      call('XSETID', LOG, int(c.head) .. '-0', 'ENTRIESADDED', int(c.head), 'MAXDELETEDID', '0-0')
    else
      aside(LOG)
      c.bad = c.bad + 1
      c.oldest, c.at, c.gone = c.head + 1, nil, c.cum
    end
    call('XADD', LOG, number, 'm', m, 'p', payload)
  end
  if tells then
    tell[2 * n] = m
    tell[2 * n + 1] = payload
  end
end

if #ids > 0 then
  if not stamp or stamp < turn then
    redis.call('UNLINK', current)
    redis.call('HSET', current, '', int(turn))
    redis.call('PEXPIRE', current, 3 * WINDOW)
  end
  for from = 1, #ids, 4000 do
    redis.call('HSET', current, unpack(ids, from, math.min(from + 3999, #ids)))
  end
end

if #stored > 0 then
  if c.oldest > c.head then
    c.at = time
    redis.call('PEXPIRE', LOG, ARGV[10])
  end
  c.head, c.cum = start + #stored, cum
  expire(c, time - tonumber(ARGV[3]))
  trim(c, tonumber(ARGV[4]), tonumber(ARGV[5]), 0.125)
  bound(c, tonumber(ARGV[6]))
  save(c)
end
keep(c, tonumber(ARGV[10]))

local answer = int(start + 1) .. ' ' .. int(time) .. table.concat(repeats)
redis.call('SET', OP, answer, 'PX', ARGV[9])
if #stored > 0 then
  tell[1] = 'push1 ' .. c.epoch .. ' ' .. int(c.head) .. ' ' .. int(c.oldest) .. ' ' .. int(time) .. ' ' .. c.earlier
  redis.call(ARGV[11], ARGV[12], table.concat(tell, '\\30'))
end
return {state(c), answer}
`,
};
