import { POSITIONS } from "./position_lua.ts";
import type { Script } from "./script.ts";
import { GUARD } from "./session_lua.ts";

const COMMIT = `
local name, generation, mode, tag, count = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5],
  tonumber(ARGV[6])
local next = {name = name, generation = generation, op = tag .. ':' .. whole(count),
  floor = tonumber(ARGV[7]), sent = ARGV[8], own = ARGV[9], settled = ARGV[10], late = ARGV[11],
  epoch = ARGV[12], loaded = '-', named = mode == 'fresh' and '0' or '1'}
local look, most, messages = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
-- What put a message back, if it was.
local function source(seq)
  local text = redis.call('HGET', REDRIVEN, seq .. ':' .. name) or ''
  return string.match(text, '^([^\\n]*)\\n') or '-'
end
local p = position(name)
if p and p.generation > generation then return {bad, 'fenced'} end
if mode == 'quick' and not (p and p.generation == generation and p.named == '1') then
  return {bad, 'ask'}
end
if p then
  local by, order = string.match(p.op, '^(.*):(%d+)$')
  if by == tag and p.generation == generation and tonumber(order) >= count then
    local told = {bad, 'ok', 0}
    for _, seq in ipairs(p.unseen == '-' and numbers(p.held) or {}) do told[#told + 1] = source(seq) end
    return told
  end
end
-- Perhaps it was forgotten since the session was asked.
if mode == 'named' and not p then return {bad, 'ask'} end
-- Its name was seen, and may be on its way out: only what marks it says that it stays.
if mode == 'named' and p.generation == generation then next.named = p.named end
local goesOn = p and mode ~= 'fresh'
if goesOn and p.epoch == next.epoch and p.floor > next.floor then
  if p.generation ~= generation then
    p.generation, p.named = generation, '1'
    write(p)
  end
  return {bad, 'ok', 0}
end
-- What the holder does not know it cannot have settled.
local unseen, hidden, heard = {}, {}, {}
if goesOn and p.unseen ~= '-' then
  local told, seq = {}, 0
  for distance in string.gmatch(next.late, '(%d+)%.') do
    seq = seq + tonumber(distance)
    told[whole(seq)] = true
  end
  for _, seq in ipairs(numbers(p.unseen)) do
    if not told[seq] and same(tonumber(seq), p.epoch, next.epoch) then
      unseen[#unseen + 1] = seq
      hidden[seq] = true
    else
      heard[#heard + 1] = source(seq)
    end
  end
end
local kept, held = {}, {}
local at = 16
for i = 1, messages do
  local seq, text = ARGV[at], ARGV[at + 1]
  if text == '' and not (goesOn and redis.call('HEXISTS', REDRIVEN, seq .. ':' .. name) == 1) then
    return {bad, 'whole'}
  end
  kept[seq] = true
  held[#held + 1] = seq
  at = at + 2
end
-- Everything is known to be right: from here on it is written.
for i = 1, messages do
  local seq, text = ARGV[14 + 2 * i], ARGV[15 + 2 * i]
  if text ~= '' then
    redis.call('HSET', REDRIVEN, seq .. ':' .. name, source(seq) .. '\\n' .. text)
  end
end
for _, seq in ipairs(unseen) do
  if not kept[seq] then held[#held + 1] = seq end
  kept[seq] = true
end
if p then release(p, kept) end
next.unseen, next.held = joined(unseen), joined(held)
write(next)
pin(next)
redis.call('ZADD', CHECK, 'NX', whole(now() + look), name)
local evicted = 0
if at <= #ARGV then
  for i = at, #ARGV, 2 do
    local _, epoch, seq = about(ARGV[i])
    -- One that was put back since is not given up by who does not know that.
    if not (epoch == next.epoch and hidden[whole(seq)]) then give(name, ARGV[i], ARGV[i + 1]) end
  end
  evicted = limit(name, most)
end
local told = {bad, 'ok', evicted}
if #unseen == 0 then
  for _, op in ipairs(heard) do told[#told + 1] = op end
end
return told`;

const CONTRACT = `-- KEYS: positionKeys
-- ARGV: session, generation, mode, node, its number of this commit, floor, sent, own,
--   settled, late, epoch, ms until somebody sees whether the session lives, most letters,
--   count of redriven messages, (number, message or '' if it is there)..., (letter id, letter)...
-- Modes: 'quick' for a position that is known to be the session's; 'named' for one that the
--   session was seen to name; 'fresh' for one that it does not name, or that is gone: what is there
--   is of an earlier session.
-- returns {bad, 'ok', letters that had no room, if nothing is unseen now: what had put back what
--   was unseen before...}, {bad, 'fenced'},
--   {bad, 'ask'} if the session is to be asked first, or a position that it names is not there,
--   {bad, 'whole'} if redriven messages are to be sent, for they are not there`;

/** Stores a position that is there already: also where Redis has no memory left. */
export const COMMIT_SCRIPT: Script = {
  name: "commit",
  lua: `-- Stores where a session stands, and what it gave up there.
-- flags: allow-oom
${CONTRACT}
${POSITIONS}${COMMIT}`,
};

/** Stores a position that is new, or comes with dead letters: for that there must be memory. */
export const GROW_SCRIPT: Script = {
  name: "commit more",
  lua: `-- As 'commit', but is refused where Redis has no memory left.
${CONTRACT}
${POSITIONS}${COMMIT}`,
};

/** Reads a position for the holder of its session. */
export const LOAD_SCRIPT: Script = {
  name: "load",
  lua: `-- Reads a position for the newest holder: from now on older ones are refused.
-- flags: allow-oom
-- KEYS: positionKeys
-- ARGV: session, generation
-- returns {bad, 'none'}, {bad, 'lost'} if nobody can read it, {bad, 'fenced'},
--   {bad, 'ok', position, (number, redriven message)...}
${POSITIONS}
local generation = tonumber(ARGV[3])
local p = position(ARGV[2])
if p == nil then return {bad, 'none'} end
if p == false then return {bad, 'lost'} end
if p.generation > generation then return {bad, 'fenced'} end
if p.generation ~= generation or p.unseen ~= '-' then
  local loaded, has = numbers(p.loaded), {}
  for _, seq in ipairs(loaded) do has[seq] = true end
  for _, seq in ipairs(numbers(p.unseen)) do
    if not has[seq] then loaded[#loaded + 1] = seq end
  end
  p.generation, p.unseen, p.loaded = generation, '-', joined(loaded)
  write(p)
end
local told = {bad, 'ok', p.text}
for _, seq in ipairs(numbers(p.held)) do
  local text = redis.call('HGET', REDRIVEN, seq .. ':' .. p.name)
  if text then
    told[#told + 1] = seq
    told[#told + 1] = string.match(text, '^[^\\n]*\\n(.*)$') or ''
  end
end
return told`,
};

/** Says of a position whether its session is sure to name the channel. */
export const MARK_SCRIPT: Script = {
  name: "mark",
  lua: `-- Says of a position whether its session is sure to name the channel.
-- flags: allow-oom
-- KEYS: positionKeys
-- ARGV: session, generation, '1' or '0', node, its number of the commit that is named, or of this step
-- returns {bad, 'ok' | 'none' | 'fenced'}, {bad, 'late'} if it was changed after that number
${POSITIONS}
local p, generation = position(ARGV[2]), tonumber(ARGV[3])
if not p then return {bad, 'none'} end
if p.generation > generation then return {bad, 'fenced'} end
local by, order = string.match(p.op, '^(.*):(%d+)$')
if p.generation == generation and by == ARGV[5] and tonumber(order) > tonumber(ARGV[6]) then
  return {bad, 'late'}
end
local op = ARGV[5] .. ':' .. ARGV[6]
if ARGV[4] == '0' then
  p.generation, p.named, p.op = generation, '0', op
  write(p)
elseif p.generation == generation and p.op == op and p.named == '0' then
  p.named = '1'
  write(p)
end
return {bad, 'ok'}`,
};

/** Removes a position. */
export const DROP_SCRIPT: Script = {
  name: "drop",
  lua: `-- Removes a position that this generation, or one before it, left.
-- flags: allow-oom
-- KEYS: positionKeys
-- ARGV: session, generation; if what this generation committed later stays: node, its number of then
-- returns {bad, whether there is none now}
${POSITIONS}
local p, generation = position(ARGV[2]), tonumber(ARGV[3])
if p and p.generation > generation then return {bad, 0} end
if p and p.generation == generation and ARGV[4] then
  local by, order = string.match(p.op, '^(.*):(%d+)$')
  if by == ARGV[4] and tonumber(order) > tonumber(ARGV[5]) then return {bad, 0} end
end
remove(ARGV[2], p)
return {bad, 1}`,
};

/** Positions whose sessions are to be looked at. */
export const DUE_SCRIPT: Script = {
  name: "due positions",
  lua: `-- Lets go of old dead letters, and says which positions' sessions are to be looked at.
-- flags: allow-oom
-- KEYS: positionKeys
-- ARGV: ms that dead letters are kept, most positions and letters at once
-- returns {bad, letters left, letters gone, (session, position)...}
${POSITIONS}
local most = tonumber(ARGV[3])
local old = whole((now() - tonumber(ARGV[2])) * 1000)
local gone = redis.call('ZRANGEBYSCORE', ORDER, '-inf', old, 'LIMIT', 0, most)
for _, id in ipairs(gone) do take(id) end
local count = redis.call('HLEN', CURSORS)
if redis.call('ZCARD', CHECK) < count or redis.call('ZCARD', FLOORS) < count then
  -- A part was lost: each position is looked at soon, and holds what it needs again.
  for _, name in ipairs(redis.call('HKEYS', CURSORS)) do
    redis.call('ZADD', CHECK, 'NX', whole(now()), name)
    if not redis.call('ZSCORE', FLOORS, name) then
      local p = position(name)
      if p then pin(p) end
    end
  end
end
local told = {0, redis.call('ZCARD', ORDER), #gone}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', CHECK, '-inf', whole(now()), 'LIMIT', 0, most)) do
  local p = position(name)
  if p then
    told[#told + 1] = name
    told[#told + 1] = p.text
  else
    remove(name, p)
  end
end
told[1] = bad
return told`,
};

/** What came of looking at sessions. */
export const SETTLE_SCRIPT: Script = {
  name: "settle positions",
  lua: `-- Removes positions whose sessions have ended, and says when to look at the others again.
-- flags: allow-oom
-- KEYS: positionKeys
-- ARGV: (session, position as it was, time of the next look or '' if it is dead)...
-- returns {bad, positions removed}
${POSITIONS}
local gone = 0
for i = 2, #ARGV, 3 do
  if ARGV[i + 2] ~= '' then
    -- One that lives by its lease alone is not looked at as often as that is renewed.
    local next = math.max(tonumber(ARGV[i + 2]), now() + 60000)
    redis.call('ZADD', CHECK, 'XX', whole(next), ARGV[i])
  else
    local p = position(ARGV[i])
    if not p or p.text == ARGV[i + 1] then
      remove(ARGV[i], p)
      gone = gone + 1
    end
  end
end
return {bad, gone}`,
};

/** Goes through all channels, some at a time. */
export const SCAN_SCRIPT: Script = {
  name: "scan channels",
  lua: `-- Names the next channels to go through, unless another node did so a moment ago.
-- flags: allow-oom
-- KEYS: lease, place, channels
-- ARGV: ms of the lease, how many
-- returns {bad, channel...}
${GUARD}
-- One without an end is none of ours.
if redis.call('PTTL', KEYS[1]) == -1 then redis.call('UNLINK', KEYS[1]) end
sound(KEYS[2], 'string')
sound(KEYS[3], 'zset')
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[2]) then return {bad} end
local from = string.match(redis.call('GET', KEYS[2]) or '', '^%d+$') or '0'
local scan = redis.call('ZSCAN', KEYS[3], from, 'COUNT', ARGV[3])
redis.call('SET', KEYS[2], scan[1])
local told = {bad}
for i = 1, #scan[2], 2 do told[#told + 1] = scan[2][i] end
return told`,
};
