/**
 * Lua about the positions in one channel.
 *
 * A position is a field of the hash `CURSORS`, by session:
 *
 * `1 GENERATION NAMED OP FLOOR SENT OWN UNSEEN LOADED HELD SETTLED LATE EPOCH`
 *
 * - `GENERATION`: that which last wrote or loaded it.
 * - `NAMED`: 0 while its session may not name the channel: one that begins, or is being forgotten.
 * - `OP`: who committed it, and the number that it gave that commit, so that a repeated or belated one
 *   is known, and a belated end of what was there before.
 * - `UNSEEN`: numbers of messages that were put back and not loaded; `LOADED`: and loaded, but not
 *   committed since.
 * - `HELD`: numbers of messages kept whole in `REDRIVEN`.
 * - `SETTLED`, `LATE`: see `position_text.ts`.
 *
 * `REDRIVEN` has, by `SEQ:SESSION`, what put the message back, a line break, and the message.
 *
 * @module
 */
import type { RedisKeys } from "./keys.ts";
import { letterKeys, LETTERS } from "./letter_lua.ts";
import { GUARD } from "./session_lua.ts";

/** Keys of {@linkcode POSITIONS}. */
export function positionKeys(keys: RedisKeys, channel: string): string[] {
  return [
    ...letterKeys(keys, channel),
    keys.cursors(channel),
    keys.floors(channel),
    keys.check(channel),
    keys.redriven(channel),
    keys.meta(channel),
  ];
}

/** Reads and writes positions. */
export const POSITIONS = `${GUARD}${LETTERS}
local CURSORS, FLOORS, CHECK, REDRIVEN, META = KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
sound(CURSORS, 'hash')
sound(FLOORS, 'zset')
sound(CHECK, 'zset')
sound(REDRIVEN, 'hash')
local SHAPE = '^1 (%d+) ([01]) (%S+) (%d+) (%d+) (%d+) ([%d,-]+) ([%d,-]+) ([%d,-]+) ([%d,-]+) '
  .. '([%d.r,-]+) (.*)$'
local function numbers(text)
  local list = {}
  for seq in string.gmatch(text, '%d+') do list[#list + 1] = seq end
  return list
end
local function joined(list)
  if #list == 0 then return '-' end
  return table.concat(list, ',')
end
-- Gives the position of a session; nil if there is none, and false if nobody can read it.
local function position(name)
  local text = redis.call('HGET', CURSORS, name)
  if not text then return nil end
  local p = {name = name, text = text}
  p.generation, p.named, p.op, p.floor, p.sent, p.own, p.unseen, p.loaded, p.held, p.settled,
    p.late, p.epoch = string.match(text, SHAPE)
  if not p.generation or #p.generation > 16 or #p.floor > 16 then
    aside(CURSORS, name, text)
    redis.call('HDEL', CURSORS, name)
    return false
  end
  p.generation, p.floor = tonumber(p.generation), tonumber(p.floor)
  return p
end
local function write(p)
  p.text = '1 ' .. table.concat({whole(p.generation), p.named, p.op, whole(p.floor), p.sent, p.own,
    p.unseen, p.loaded, p.held, p.settled, p.late, p.epoch}, ' ')
  redis.call('HSET', CURSORS, p.name, p.text)
end
local log
local function about_log()
  if log then return log end
  local got = redis.pcall('HMGET', META, 'epoch', 'earlier')
  log = {epoch = not got.err and got[1] or '', bases = {}}
  for epoch, base in string.gmatch(not got.err and got[2] or '', '([a-z0-9]+):(%d+)') do
    log.bases[epoch] = log.bases[epoch] or tonumber(base)
  end
  return log
end
-- Whether a number of one epoch means the same in another.
local function same(seq, from, to)
  if from == to then return true end
  local l = about_log()
  return to == l.epoch and l.bases[from] ~= nil and seq <= l.bases[from]
end
-- What the log keeps for a position: everything above this number.
local function pin(p)
  local lowest = p.floor
  local seq = 0
  for distance, mark in string.gmatch(p.late, '(%d+)%.%d+(r?)') do
    seq = seq + tonumber(distance)
    if mark == '' then
      lowest = math.min(lowest, seq - 1)
      break
    end
  end
  local l = about_log()
  if p.epoch ~= l.epoch then lowest = math.min(lowest, l.bases[p.epoch] or 0) end
  redis.call('ZADD', FLOORS, whole(lowest), p.name)
end
local function release(p, kept)
  for _, seq in ipairs(numbers(p.held)) do
    if not kept[seq] then redis.call('HDEL', REDRIVEN, seq .. ':' .. p.name) end
  end
end
local function remove(name, p)
  if p then release(p, {}) end
  redis.call('HDEL', CURSORS, name)
  redis.call('ZREM', FLOORS, name)
  redis.call('ZREM', CHECK, name)
end
`;
