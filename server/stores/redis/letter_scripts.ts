import { LETTERS } from "./letter_lua.ts";
import { POSITIONS } from "./position_lua.ts";
import type { Script } from "./script.ts";
import { GUARD } from "./session_lua.ts";

/** Lists letters. */
export const LIST_SCRIPT: Script = {
  name: "list letters",
  lua: `-- Names of dead letters of a channel that are not too old, oldest first.
-- flags: allow-oom
-- KEYS: letterKeys
-- ARGV: ms that they are kept, session or '', number or '', most
-- returns {bad, (id, time in microseconds)...}
${GUARD}${LETTERS}
local old = (now() - tonumber(ARGV[2])) * 1000
local name, seq, most = ARGV[3], ARGV[4], tonumber(ARGV[5])
local told, offset = {bad}, 0
local function meet(id, score)
  if tonumber(score) <= old then return end
  if seq ~= '' and string.sub(id, 1, #seq + 1) ~= seq .. ':' then return end
  told[#told + 1] = id
  told[#told + 1] = score
end
while #told < 1 + 2 * most do
  local page
  if name ~= '' then
    local from, to = range(name)
    page = redis.call('ZRANGEBYLEX', SESSIONS, from, to, 'LIMIT', offset, 500)
    for _, member in ipairs(page) do
      local id = idIn(name, member)
      meet(id, string.sub(member, -#id - 17, -#id - 2))
    end
    offset = offset + 500
    if #page < 500 then break end
  else
    page = redis.call('ZRANGEBYSCORE', ORDER, '(' .. whole(old), '+inf', 'WITHSCORES', 'LIMIT',
      offset, 500)
    for i = 1, #page, 2 do meet(page[i], page[i + 1]) end
    offset = offset + 500
    if #page < 1000 then break end
  end
end
while #told > 1 + 2 * most do told[#told] = nil end
return told`,
};

/** Counts letters. */
export const COUNT_SCRIPT: Script = {
  name: "count letters",
  lua: `-- Counts the dead letters of a channel that are not too old.
-- flags: allow-oom
-- KEYS: letterKeys
-- ARGV: ms that they are kept
-- returns {bad, count}
${GUARD}${LETTERS}
local old = (now() - tonumber(ARGV[2])) * 1000
return {bad, redis.call('ZCOUNT', ORDER, '(' .. whole(old), '+inf')}`,
};

/** Reads letters. */
export const FETCH_SCRIPT: Script = {
  name: "fetch letters",
  lua: `-- Reads dead letters.
-- flags: allow-oom
-- KEYS: letterKeys
-- ARGV: id...
-- returns {bad, text or nil for each}
${GUARD}${LETTERS}
local told = {bad}
for i = 2, #ARGV do told[i] = redis.call('HGET', DEAD, ARGV[i]) end
return told`,
};

/** Moves letters aside. */
export const DISCARD_SCRIPT: Script = {
  name: "discard letters",
  lua: `-- Takes dead letters out that nobody can read.
-- flags: allow-oom
-- KEYS: letterKeys
-- ARGV: (id, text that was read or '')...
-- returns {bad}
${GUARD}${LETTERS}
for i = 2, #ARGV, 2 do
  local id, text = ARGV[i], redis.call('HGET', DEAD, ARGV[i]) or ''
  if text == ARGV[i + 1] then
    if text ~= '' then
      aside(DEAD, id, text)
    elseif redis.call('ZSCORE', ORDER, id) then
      bad = bad + 1
    end
    take(id)
  end
end
return {bad}`,
};

/** Says which letters can be put back. */
export const ELIGIBLE_SCRIPT: Script = {
  name: "eligible letters",
  lua: `-- Says of dead letters whether their subscription has a position that they can go back to.
-- flags: allow-oom
-- KEYS: positionKeys
-- ARGV: id...
-- returns {bad, 1 or 0 for each}
${POSITIONS}
local told = {0}
for i = 2, #ARGV do
  local name, epoch, seq = about(ARGV[i])
  local p = name and position(name)
  told[i] = p and same(seq, epoch, p.epoch) and 1 or 0
end
told[1] = bad
return told`,
};

/** Puts letters back. */
export const REDRIVE_SCRIPT: Script = {
  name: "redrive",
  lua: `-- Makes dead letters late messages of their subscriptions again.
-- KEYS: positionKeys
-- ARGV: name of the operation, id...
-- returns {bad, id of each that is put back by this operation...}
${POSITIONS}
local op = ARGV[2] .. '\\n'
local told = {0}
for i = 3, #ARGV do
  local id = ARGV[i]
  local name, epoch, seq = about(id)
  local p = name and position(name)
  if p and same(seq, epoch, p.epoch) then
    seq = whole(seq)
    local field = seq .. ':' .. name
    local text = redis.call('HGET', DEAD, id)
    local message = text and string.match(text, '^[^\\n]*\\n(.*)$')
    if message then
      redis.call('HSET', REDRIVEN, field, op .. message)
      local function with(list)
        local rest = {}
        for _, other in ipairs(numbers(list)) do
          if other ~= seq then rest[#rest + 1] = other end
        end
        return rest
      end
      local unseen, held = with(p.unseen), with(p.held)
      unseen[#unseen + 1] = seq
      held[#held + 1] = seq
      p.unseen, p.loaded, p.held = joined(unseen), joined(with(p.loaded)), joined(held)
      write(p)
      take(id)
      told[#told + 1] = id
    elseif not text and string.sub(redis.call('HGET', REDRIVEN, field) or '', 1, #op) == op then
      told[#told + 1] = id
    end
  end
end
told[1] = bad
return told`,
};
