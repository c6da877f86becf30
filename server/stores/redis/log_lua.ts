/**
 * Lua that every script about one channel's log begins with. Its keys are always, in this order, the
 * channel's meta, log, floors, and the two hashes of publish ids ({@linkcode logKeys}); `ARGV[2]` is
 * an epoch that a new log, or a log on another run of the server, is to have.
 *
 * The meta hash has
 *
 * - `epoch`, `head`, `oldest`: as in `LogState`;
 * - `run`: the run of the server (`runid()`) in which the epoch holds, `server`: that server's process
 *   and, in a Cluster, its node and that one's configuration epoch, with colons, and `earlier`: the epochs before it that go on in it, newest first, as
 *   `epoch:base,epoch:base`; with `?` behind the base where messages above it may have been answered;
 * - `at`: time of the oldest message; empty if there is none;
 * - `cum`: bytes of all messages that there ever were, and `gone`: of those below `oldest`;
 * - `used`: time of the last use while empty; `kept`: time at which expiry was put off;
 * - `evicted`, `expired`: messages dropped by size and by age;
 * - `created`, `metadata`: as in `ChannelRecord`.
 *
 * An entry of the log has the id `NUMBER-0` and two fields: `m`, a JSON list of its time, the bytes of
 * all messages up to and with it, its publish id, origin and source; and `p`, the payload. With the
 * running sum of bytes a log is cut anywhere after looking at one entry.
 *
 * @module
 */
import type { RedisKeys } from "./keys.ts";
import { LOSS_LUA } from "./log_loss_lua.ts";

/** Keys of every script about a channel's log. A script's own come behind them. */
export function logKeys(keys: RedisKeys, channel: string): string[] {
  return [keys.meta(channel), keys.log(channel), keys.floors(channel), ...keys.ids(channel)];
}

/** Reads a meta hash: `parse(answer to HMGET of FIELDS)` gives a table, or nothing if it is spoiled. */
export const PARSE_LUA = `
local time = now()
local FIELDS = {'epoch', 'head', 'oldest', 'at', 'cum', 'gone', 'run', 'earlier', 'used', 'kept',
  'evicted', 'expired'}
local EPOCH = ARGV[2]

local function whole(text)
  if text and #text < 16 and string.match(text, '^%d+$') then return tonumber(text) end
end
local function int(number)
  return string.format('%d', number)
end
local function parse(raw)
  local c = {
    epoch = raw[1], head = whole(raw[2]), oldest = whole(raw[3]), at = whole(raw[4]),
    cum = whole(raw[5]), gone = whole(raw[6]), run = raw[7], earlier = raw[8] or '',
    used = whole(raw[9]) or time, kept = whole(raw[10]) or 0,
    evicted = whole(raw[11]) or 0, expired = whole(raw[12]) or 0, bad = 0, isNew = 0,
  }
  local ok = c.epoch and #c.epoch <= 32 and string.match(c.epoch, '^[a-z0-9]+$')
    and c.head and c.oldest and c.oldest >= 1 and c.oldest <= c.head + 1 and c.run
    and c.cum and c.gone and c.gone <= c.cum and (c.at or c.oldest > c.head)
  return ok and c
end
local function state(c)
  return c.epoch .. ' ' .. int(c.head) .. ' ' .. int(c.oldest) .. ' ' .. int(time) .. ' '
    .. c.isNew .. ' ' .. int(c.bad) .. ' ' .. c.earlier
end
`;

/** Opens the channel: `open(create)` gives a table, or nil if there is no channel. */
export const OPEN_LUA = `${PARSE_LUA}
local META, LOG, FLOORS = KEYS[1], KEYS[2], KEYS[3]
${LOSS_LUA}-- Sets a key aside that another program has written, so that nothing is destroyed for good.
local function aside(key)
  if redis.call('EXISTS', key) == 1 then
    redis.call('RENAME', key, key .. ':aside')
    redis.call('PEXPIRE', key .. ':aside', 604800000)
  end
end

local function begin(metadata)
  redis.call('UNLINK', META, LOG, KEYS[4], KEYS[5])
  local c = {
    epoch = EPOCH, head = 0, oldest = 1, cum = 0, gone = 0, run = runid(), earlier = '',
    used = time, kept = 0, evicted = 0, expired = 0, bad = 0, isNew = 1,
  }
  redis.call('HSET', META, 'epoch', c.epoch, 'head', 0, 'oldest', 1, 'at', '', 'cum', 0, 'gone', 0,
    'run', c.run, 'server', server(), 'earlier', '', 'used', int(time), 'created', int(time), 'metadata', metadata or '{}')
  -- Positions are of a log that is no more: nothing of this one is settled.
  if redis.call('EXISTS', FLOORS) == 1 then
    local reset = redis.pcall('ZUNIONSTORE', FLOORS, 1, FLOORS, 'WEIGHTS', 0)
    if type(reset) == 'table' then aside(FLOORS) end
  end
  return c
end

-- The server was started or promoted since: its last writes may be lost, and their numbers come anew.
local function renew(c, run)
  local here = server()
  local eras = c.epoch .. ':' .. int(c.head) .. (may_have_lost(c, run, here) and '?' or '')
  local count = 1
  for era in string.gmatch(c.earlier, '[a-z0-9]+:%d+%??') do
    if count == 16 then break end
    eras = eras .. ',' .. era
    count = count + 1
  end
  c.epoch, c.run, c.earlier = EPOCH, run, eras
  redis.call('HSET', META, 'epoch', c.epoch, 'run', run, 'server', here, 'earlier', eras)
  local lost = redis.pcall('ZRANGEBYSCORE', FLOORS, '(' .. int(c.head), '+inf')
  for i = 1, lost.err and 0 or #lost do redis.call('ZADD', FLOORS, c.head, lost[i]) end
end

local function open(create, metadata)
  local raw = redis.pcall('HMGET', META, unpack(FIELDS))
  local c = not raw.err and parse(raw)
  if not c then
    local isForeign = raw.err or raw[1] or raw[2]
    if isForeign then
      aside(META)
      aside(LOG)
    elseif not create then
      return nil
    end
    c = begin(metadata)
    if isForeign then c.bad = 1 end
    return c
  end
  local run = runid()
  if run ~= c.run then renew(c, run) end
  return c
end

local function save(c)
  redis.call('HSET', META, 'head', int(c.head), 'oldest', int(c.oldest), 'at', c.at and int(c.at) or '',
    'cum', int(c.cum), 'gone', int(c.gone), 'used', int(c.used), 'evicted', int(c.evicted),
    'expired', int(c.expired))
end

-- Puts off the end that Redis itself would make of it: only for channels that nobody looks at for long.
local function keep(c, backstop)
  if time - c.kept < backstop / 16 and time >= c.kept then return end
  redis.call('HSET', META, 'kept', int(time))
  redis.call('PEXPIRE', META, backstop)
  redis.call('PEXPIRE', LOG, backstop)
end
`;

/** Drops messages from the front of a log: `cut`, `expire`, `trim`, `evict`. None of them saves. */
export const CUT_LUA = `
-- The first entry from a number on: its id, and its time, sum and size if it is one of ours.
local function entry(c, seq)
  local got = redis.pcall('XRANGE', LOG, int(seq) .. '-0', int(c.head) .. '-0', 'COUNT', 1)
  if got.err then
    aside(LOG)
    return nil
  end
  local e = got[1]
  if not e then return nil end
  local f = e[2]
  if #f == 4 and f[1] == 'm' and f[3] == 'p' and string.match(e[1], '^%d+%-0$') then
    local at, cum = string.match(f[2], '^%[(%d+),(%d+),')
    at, cum = whole(at), whole(cum)
    local bytes = #f[4] + 64
    if at and cum and cum <= c.cum and cum - bytes >= c.gone then return e[1], at, cum, bytes end
  end
  return e[1]
end

-- Makes a number the oldest. Where it cannot be read, or is missing, the one after it.
local function cut(c, to)
  for _ = 1, 1000 do
    if to > c.head then break end
    local id, at, cum, bytes = entry(c, to)
    if not id then
      c.bad = c.bad + c.head + 1 - to
      break
    end
    local seq = tonumber(string.match(id, '^%d+'))
    if at then
      c.bad = c.bad + seq - to
      c.oldest, c.at, c.gone = seq, at, cum - bytes
      redis.call('XTRIM', LOG, 'MINID', '=', id)
      return
    end
    c.bad = c.bad + seq - to + 1
    to = seq + 1
  end
  c.oldest, c.at, c.gone, c.used = c.head + 1, nil, c.cum, time
  redis.call('UNLINK', LOG)
end

-- Bytes of all messages before a number, and its time; of the next one there is, if it is missing.
local function before(c, seq)
  if seq > c.head then return c.cum, math.huge end
  local id, at, cum, bytes = entry(c, seq)
  if not id then return c.cum, math.huge end
  if not at then return before(c, tonumber(string.match(id, '^%d+')) + 1) end
  return cum - bytes, at
end

-- The lowest number from c.oldest + 1 to last for which ok(bytes before it, its time), or last.
local function first(c, last, ok)
  local low, high, step = c.oldest, last, 1
  while low + step < last do
    if ok(before(c, low + step)) then
      high = low + step
      break
    end
    low = low + step
    step = step * 2
  end
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if ok(before(c, middle)) then high = middle else low = middle end
  end
  return high
end

-- Drops what was stored at or before a time. Times are taken to ascend.
local function expire(c, limit)
  if not c.at or c.at > limit or c.oldest > c.head then return false end
  local from = c.oldest
  cut(c, first(c, c.head + 1, function(_, at) return at > limit end))
  c.expired = c.expired + c.oldest - from
  return true
end

-- The highest number that no living subscriber needs.
local function settled()
  local got = redis.pcall('ZRANGE', FLOORS, 0, 0, 'WITHSCORES')
  if got.err then return 0 end
  return got[2] and (tonumber(got[2]) or 0) or math.huge
end

-- Drops what is beyond the history and needed by nobody, once there is more than a slack of it.
-- Whether the log is longer than its history still.
local function trim(c, size, bytes, slack)
  local function over(share)
    return c.head - c.oldest + 1 > size + math.floor(size * share)
      or c.cum - c.gone > bytes + math.floor(bytes * share)
  end
  if c.oldest > c.head or not over(slack) then return over(0) end
  local last = math.min(settled(), c.head) + 1
  if last <= c.oldest then return true end
  local to = math.max(c.head - size + 1, c.oldest)
  if c.cum - c.gone > bytes then
    to = math.max(to, first(c, c.head + 1, function(sum) return c.cum - sum <= bytes end))
  end
  cut(c, math.min(to, last))
  return over(0)
end

-- Drops the oldest, whoever needs them, until ok(bytes before the oldest, its time).
local function evict(c, last, ok)
  if c.oldest > c.head or last <= c.oldest then return end
  local from = c.oldest
  cut(c, first(c, last, ok))
  c.evicted = c.evicted + math.max(c.oldest - math.max(from, settled() + 1), 0)
end

local function bound(c, bytes)
  if c.cum - c.gone <= bytes then return end
  evict(c, c.head + 1, function(sum) return c.cum - sum <= bytes end)
end
`;
