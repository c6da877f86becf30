/**
 * Lua that several scripts about sessions, positions and dead letters begin with.
 *
 * @module
 */

/**
 * What every one of them needs.
 *
 * - `bad`: how many values were moved aside because nobody can read them. Each script returns it
 *   first.
 * - `sound(key, kind)`: moves aside what has another type than `kind`.
 * - `aside(key, field, value)`: keeps a value that cannot be read where an operator finds it.
 * - `whole(number)`: a number as digits, which Lua itself would round.
 */
export const GUARD = `
local bad = 0
local WEEK = 604800000
local function whole(number) return string.format('%.0f', number) end
local function sound(key, kind)
  local found = redis.call('TYPE', key).ok
  if found == kind or found == 'none' then return end
  redis.call('RENAME', key, key .. ':aside')
  redis.call('PEXPIRE', key .. ':aside', WEEK)
  bad = bad + 1
end
local function aside(key, field, value)
  local kept = key .. ':aside'
  sound(kept, 'hash')
  redis.call('HSET', kept, field, value)
  redis.call('PEXPIRE', kept, WEEK)
  bad = bad + 1
end
`;

/**
 * How a session is read and written.
 *
 * A session is a hash. `generation`, `previous`, `holder`, `node`, `instance`, `attempt`, `ttl` and
 * `secret` are those of the newest claim; `attached` is 1 until it is released; `until` is the time
 * at which the lease of an attached one is over, or at which it was released: in either case it has
 * no connection since then, and ends `ttl` later. `ended` names what ended it before its time. A
 * field `c:CHANNEL` for each channel that has a position: empty, or what put messages back that the
 * holder has not loaded; `news` is there if one may not be empty. `change` is the generation and node
 * that changed these names last, and the number that it gave that change, and `look` the same of who
 * looked at them last to go on from there: so that a belated change is known.
 */
export const SESSION = `${GUARD}
local HOUR = 3600000
local FIELDS = {'generation', 'previous', 'holder', 'node', 'instance', 'attempt', 'ttl', 'secret',
  'attached', 'until', 'ended', 'resumed', 'news'}
local function session(key)
  sound(key, 'hash')
  local values = redis.call('HMGET', key, unpack(FIELDS))
  local s = {}
  for i, field in ipairs(FIELDS) do s[field] = values[i] or '' end
  s.key = key
  s.exists = s.generation ~= '' or redis.call('EXISTS', key) == 1
  if not s.exists then return s end
  for _, field in ipairs({'generation', 'previous', 'attempt', 'ttl', 'until'}) do
    local number = tonumber(s[field])
    if number == nil or number < 0 or number ~= number then
      -- What is left of it lives on for a while, so that its channels are not lost with it.
      bad = bad + 1
      number = 0
      if field == 'ttl' then number = HOUR end
      if field == 'until' then number = now() end
      redis.call('HSET', key, field, whole(number))
    end
    s[field] = number
  end
  s.ends = s['until'] + s.ttl
  s.lives = s.ended == '' and now() < s.ends
  s.holds = s.lives and s.attached == '1' and now() < s['until']
  return s
end
local function lasts(s)
  redis.call('PEXPIRE', s.key, whole(math.max(s.ends - now(), 0) + HOUR))
end
local function channels(s)
  local names = {}
  for _, field in ipairs(redis.call('HKEYS', s.key)) do
    if string.sub(field, 1, 2) == 'c:' then names[#names + 1] = string.sub(field, 3) end
  end
  return names
end
-- Whether a step of a holder, 'NODE NUMBER', comes after a later one that it has noted in a field.
local function isLate(s, field, step)
  local last = redis.call('HGET', s.key, field) or ''
  local generation, by, number = string.match(last, '^(%d+) (%S+) (%d+)$')
  local node, order = string.match(step, '^(%S+) (%d+)$')
  return tonumber(generation) == s.generation and by == node and tonumber(order) < tonumber(number)
end
local function note(s, field, step)
  redis.call('HSET', s.key, field, whole(s.generation) .. ' ' .. step)
end
local function finish(s, op)
  redis.call('HSET', s.key, 'ended', op, 'attached', '0')
  redis.call('PEXPIRE', s.key, HOUR)
end
`;
