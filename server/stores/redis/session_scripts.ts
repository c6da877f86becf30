import type { Script } from "./script.ts";
import { SESSION } from "./session_lua.ts";

const CLAIM = `
local holder, instance, attempt, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local secret, from, node, lease = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])
local creates, forces = ARGV[10] == '1', ARGV[11] == '1'
-- Whoever asked has given up by now, and may have asked elsewhere.
if ARGV[12] ~= '' and now() > tonumber(ARGV[12]) then return {bad, 'late', now()} end
local s = session(KEYS[1])
local function answer()
  local told = {bad, 'ok', s.generation, s.previous, s.resumed, s['until'], s.ends, now()}
  for _, name in ipairs(channels(s)) do told[#told + 1] = name end
  return told
end
if s.exists and not s.lives then
  local told = {bad, 'ended', s.generation}
  for _, name in ipairs(channels(s)) do told[#told + 1] = name end
  -- Positions go before the record that knows of them.
  if #told > 3 or not creates then return told end
elseif not s.exists then
  if not creates then return {bad, 'unknown'} end
else
  if s.secret ~= secret then return {bad, 'bad_secret'} end
  if s.holder == holder then
    if s.attached == '1' and s.node == node then
      s['until'] = now() + lease
      s.ends = s['until'] + s.ttl
      redis.call('HSET', s.key, 'until', whole(s['until']))
      lasts(s)
    end
    return answer()
  end
  if from ~= '' then
    local is_same = s.instance == instance and s.attempt == attempt
    if from ~= '=' .. s.holder and not is_same then return {bad, 'replaced'} end
  elseif s.instance == instance and attempt <= s.attempt then
    return {bad, 'replaced'}
  end
  if s.holds and s.node ~= node and not forces then return {bad, 'held', s.node} end
end
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2] + offset() * 1000
local before = s.exists and s.generation or 0
s.resumed = s.lives and '1' or '0'
s.previous = s.lives and s.generation or 0
s.generation = math.max(before + 1, micros)
s['until'] = now() + lease
s.ends = s['until'] + ttl
if not s.lives then redis.call('DEL', s.key) end
redis.call('HSET', s.key, 'generation', whole(s.generation), 'previous', whole(s.previous),
  'holder', holder, 'node', node, 'instance', instance, 'attempt', whole(attempt),
  'ttl', whole(ttl), 'secret', secret, 'attached', '1', 'until', whole(s['until']),
  'resumed', s.resumed)
lasts(s)
return answer()
`;

/** Takes over a session that lives. */
export const CLAIM_SCRIPT: Script = {
  name: "claim",
  lua: `-- Gives a session to who asks for it, or says why not.
-- flags: allow-oom
-- KEYS: session
-- ARGV: holder, instance, attempt, ttl, secret or '', '=' and the holder before or '', node,
--   lease in ms, whether it may begin, whether to take it from another node, time or '' after which
--   it does nothing
-- returns {bad, 'ok', generation, previous, resumed, until, ends, time, channel...},
--   {bad, 'late', time},
--   {bad, 'ended', generation, channel...} if it has, and is to be cleared away,
--   {bad, 'held', node}, {bad, 'unknown' | 'bad_secret' | 'replaced'}
${SESSION}${CLAIM}`,
};

/** Takes over a session, or begins one: for that there must be memory. */
export const BEGIN_SCRIPT: Script = {
  name: "begin",
  lua: `-- As 'claim', but is refused where Redis has no memory left.
-- KEYS, ARGV, returns: as 'claim'
${SESSION}${CLAIM}`,
};

/** Says that a session has no connection. */
export const RELEASE_SCRIPT: Script = {
  name: "release",
  lua: `-- The session has no connection since now. One without ttl ends.
-- flags: allow-oom
-- KEYS: session
-- ARGV: generation, name of this operation
-- returns {bad, 'refused'}, {bad, 'released', until, ends}, {bad, 'ended', generation, channel...}
${SESSION}
local s = session(KEYS[1])
if not s.exists or s.generation ~= tonumber(ARGV[2]) then return {bad, 'refused'} end
if s.ended == '' then
  if not s.lives then return {bad, 'refused'} end
  if s.ttl > 0 then
    if s.holds then s['until'] = now() end
    s.ends = s['until'] + s.ttl
    redis.call('HSET', s.key, 'attached', '0', 'until', whole(s['until']))
    lasts(s)
    return {bad, 'released', s['until'], s.ends}
  end
  finish(s, ARGV[3])
end
local told = {bad, 'ended', s.generation}
for _, name in ipairs(channels(s)) do told[#told + 1] = name end
return told`,
};

/** Ends a session. */
export const END_SCRIPT: Script = {
  name: "end",
  lua: `-- Ends a session, or goes on with the end of one; what it has is cleared away next.
-- flags: allow-oom
-- KEYS: session
-- ARGV: generation, or '' for any that has no connection; name of this operation;
--   '1' to end only what has ended by itself
-- returns {bad, 'refused'}, {bad, 'lives', until, ends},
--   {bad, 'ended', generation, whether before its time, channel...}
${SESSION}
local s = session(KEYS[1])
if not s.exists then return {bad, 'refused'} end
if ARGV[2] ~= '' and s.generation ~= tonumber(ARGV[2]) then return {bad, 'refused'} end
local early = s.ended == ARGV[3]
if s.lives then
  if ARGV[4] == '1' or (ARGV[2] == '' and s.holds) then
    return {bad, 'lives', s['until'], s.ends}
  end
  finish(s, ARGV[3])
  early = true
elseif ARGV[2] ~= '' and s.ended == '' then
  return {bad, 'refused'}
end
local told = {bad, 'ended', s.generation, early and 1 or 0}
for _, name in ipairs(channels(s)) do told[#told + 1] = name end
return told`,
};

/** Removes a session that has ended. */
export const CLEAR_SCRIPT: Script = {
  name: "clear",
  lua: `-- Removes the record of a session that has ended, after its positions.
-- flags: allow-oom
-- KEYS: session
-- ARGV: generation
-- returns {bad, whether there is none now}
${SESSION}
local s = session(KEYS[1])
if not s.exists then return {bad, 1} end
if s.lives or s.generation ~= tonumber(ARGV[2]) then return {bad, 0} end
redis.call('DEL', s.key)
return {bad, 1}`,
};

/** Keeps the leases of sessions. */
export const RENEW_SCRIPT: Script = {
  name: "renew",
  lua: `-- Keeps the leases of sessions; one that was over goes on.
-- flags: allow-oom
-- KEYS: session...
-- ARGV: lease in ms, generation...
-- returns {bad, {} for one that another has, {'lost'} for one that nobody has, or an older claim,
--   {until, ends, channel with news...}, ...}
${SESSION}
local told = {bad}
for i, key in ipairs(KEYS) do
  local s = session(key)
  local one = {}
  -- An older one than was granted: a server that stands in for another has not heard of the newest.
  if s.exists and s.generation < tonumber(ARGV[i + 2]) or
    not s.lives and not (s.exists and s.generation > tonumber(ARGV[i + 2])) then
    one = {'lost'}
  elseif s.lives and s.generation == tonumber(ARGV[i + 2]) then
    if s.attached == '1' then
      s['until'] = now() + tonumber(ARGV[2])
      s.ends = s['until'] + s.ttl
      redis.call('HSET', key, 'until', whole(s['until']))
      lasts(s)
    end
    one = {s['until'], s.ends}
    if s.news ~= '' then
      local all = redis.call('HGETALL', key)
      for n = 1, #all, 2 do
        if string.sub(all[n], 1, 2) == 'c:' and all[n + 1] ~= '' then
          one[#one + 1] = string.sub(all[n], 3)
        end
      end
      if #one == 2 then redis.call('HDEL', key, 'news') end
    end
  end
  told[i + 1] = one
end
told[1] = bad
return told`,
};

/** Says how a session stands, and which channels it names. */
export const LOOK_SCRIPT: Script = {
  name: "look",
  lua:
    `-- Says whether a session lives, and which of these channels it names. Its holder goes by that:
-- a name that it was about to end before stays from now on.
-- flags: allow-oom
-- KEYS: session
-- ARGV: generation, node and its number of this look, or '' and '' where another asks; channel...
-- returns {bad, generation or 0 if it does not live, ends, for each channel: nil, or '', or its news}
${SESSION}
local s = session(KEYS[1])
if not s.lives then return {bad, 0, 0} end
if s.generation == tonumber(ARGV[2]) and not isLate(s, 'look', ARGV[3]) then note(s, 'look', ARGV[3]) end
local told = {bad, s.generation, s.ends}
for i = 4, #ARGV do told[#told + 1] = redis.call('HGET', s.key, 'c:' .. ARGV[i]) end
return told`,
};

/** Names channels in a session. */
export const NAME_SCRIPT: Script = {
  name: "name",
  lua: `-- Adds channels, whose positions are stored already, to those of a session.
-- KEYS: session
-- ARGV: generation, node and its number of the first of these positions, channel...
-- returns {bad, 'ok' | 'fenced'}, {bad, 'late'} if names were changed after that number
${SESSION}
local s = session(KEYS[1])
if not s.lives or s.generation ~= tonumber(ARGV[2]) then return {bad, 'fenced'} end
if isLate(s, 'change', ARGV[3]) then return {bad, 'late'} end
note(s, 'change', ARGV[3])
for i = 4, #ARGV do redis.call('HSETNX', s.key, 'c:' .. ARGV[i], '') end
return {bad, 'ok'}`,
};

/** Takes a channel from those that a session names. */
export const UNNAME_SCRIPT: Script = {
  name: "unname",
  lua: `-- Takes a channel, whose position goes next, from those of a session.
-- flags: allow-oom
-- KEYS: session
-- ARGV: generation, node and its number of this change, channel
-- returns {bad, 'ok' | 'fenced'}, {bad, 'late'} if names were changed, or gone by, after that number
${SESSION}
local s = session(KEYS[1])
if not s.lives or s.generation ~= tonumber(ARGV[2]) then return {bad, 'fenced'} end
if isLate(s, 'change', ARGV[3]) or isLate(s, 'look', ARGV[3]) then return {bad, 'late'} end
note(s, 'change', ARGV[3])
redis.call('HDEL', s.key, 'c:' .. ARGV[4])
return {bad, 'ok'}`,
};

/** Tells a session's holder of redriven messages. */
export const NEWS_SCRIPT: Script = {
  name: "news",
  lua: `-- Says in a session that messages were put back into positions of it.
-- KEYS: session
-- ARGV: name of the operation, channel...
-- returns {bad}
${SESSION}
local s = session(KEYS[1])
if not s.lives then return {bad} end
for i = 3, #ARGV do
  if redis.call('HEXISTS', s.key, 'c:' .. ARGV[i]) == 1 then
    redis.call('HSET', s.key, 'c:' .. ARGV[i], ARGV[2], 'news', '1')
  end
end
return {bad}`,
};

/** Says that a session's holder knows its news. */
export const HEARD_SCRIPT: Script = {
  name: "heard",
  lua: `-- The holder of a session has loaded what was put back. What came later stays news.
-- flags: allow-oom
-- KEYS: session
-- ARGV: (channel, its news as they were before it was loaded)...
-- returns {bad}
${SESSION}
local s = session(KEYS[1])
for i = 2, #ARGV, 2 do
  local field = 'c:' .. ARGV[i]
  if redis.call('HGET', s.key, field) == ARGV[i + 1] then redis.call('HSET', s.key, field, '') end
end
return {bad}`,
};
