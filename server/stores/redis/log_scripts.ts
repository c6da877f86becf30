import { CUT_LUA, OPEN_LUA, PARSE_LUA } from "./log_lua.ts";
import type { Script } from "./script.ts";

/** Makes sure that a channel exists. */
export const CREATE: Script = {
  name: "create",
  lua: `
-- Makes sure that a channel exists.
-- KEYS: meta, log, floors, ids, ids
-- ARGV: 2 epoch if one begins, 3 metadata as JSON, 4 ms after which Redis may drop an unused channel
-- returns: state
${OPEN_LUA}
local c = open(true, ARGV[3])
keep(c, tonumber(ARGV[4]))
return state(c)
`,
};

/** Reads a part of a log. */
export const READ: Script = {
  name: "read",
  lua: `
-- Reads what comes after a number.
-- flags: allow-oom
-- KEYS: meta, log, floors, ids, ids
-- ARGV: 2 epoch if one begins, 3 messageTtl, 4 metaTtl, 5 ms after which Redis may drop an unused
--   channel, 6 number, 7 most entries, 8 bytes of payloads after which it stops
-- returns: {state, 1 if it stopped before the log's end, entries, entries, …}; nil if there is no such
--   channel, which 'create' makes where there is memory for it
${OPEN_LUA}${CUT_LUA}
local c = open(false)
if not c then return false end
local isExpired = expire(c, time - tonumber(ARGV[3]))
-- A channel that is used is not idle; to note that once in a while is enough.
if c.oldest > c.head and time - c.used > tonumber(ARGV[4]) / 16 then
  c.used = time
  isExpired = true
end
if isExpired then save(c) end
keep(c, tonumber(ARGV[5]))

local from, left, budget = math.max(tonumber(ARGV[6]) + 1, c.oldest), tonumber(ARGV[7]), tonumber(ARGV[8])
local pages = {state(c), 0}
local start = int(from) .. '-0'
local mean = (c.cum - c.gone) / math.max(c.head - c.oldest + 1, 1)
local block = math.max(math.floor(65536 / math.max(mean, 1)), 1)
while from <= c.head and left > 0 do
  if budget <= 0 then break end
  local count = math.min(block, left)
  local got = redis.pcall('XRANGE', LOG, start, int(c.head) .. '-0', 'COUNT', count)
  if got.err then
    aside(LOG)
    got = {}
  end
  pages[#pages + 1] = got
  left = left - #got
  for i = 1, #got do
    local fields = got[i][2]
    for f = 1, #fields do budget = budget - #fields[f] end
  end
  if #got < count then return pages end
  start = '(' .. got[#got][1]
end
pages[2] = 1
return pages
`,
};

/** State of a log. */
export const STATE: Script = {
  name: "state",
  lua: `
-- State of a channel's log, after dropping what has expired.
-- flags: allow-oom
-- KEYS: meta, log, floors, ids, ids
-- ARGV: 2 epoch if one begins, 3 messageTtl, 4 1 to tell all that channels() lists
-- returns: {state} or {state, createdAt, metadata}; nil if there is no such channel
${OPEN_LUA}${CUT_LUA}
local c = open(false)
if not c then return false end
if expire(c, time - tonumber(ARGV[3])) then save(c) end
if ARGV[4] ~= '1' then return {state(c)} end
local more = redis.call('HMGET', META, 'created', 'metadata')
return {state(c), more[1] or '0', more[2] or '{}'}
`,
};

/** States of many logs, where nothing is to be changed. */
export const PEEK: Script = {
  name: "states",
  lua: `
-- Reads the states of many channels.
-- flags: allow-oom
-- KEYS: the meta of each
-- ARGV: 2 messageTtl
-- returns: for each its state, '' if there is no such channel, or '?' if the script 'state' is to be
--   asked, for something has expired, the server has changed, or it cannot be read
${PARSE_LUA}
local run, limit = runid(), time - tonumber(ARGV[2])
local states = {}
for i = 1, #KEYS do
  local raw = redis.pcall('HMGET', KEYS[i], unpack(FIELDS))
  local c = not raw.err and parse(raw)
  if c and c.run == run and (not c.at or c.at > limit) then
    states[i] = state(c)
  else
    states[i] = (c or raw.err or raw[1] or raw[2]) and '?' or ''
  end
end
return states
`,
};

/** Lets a log begin anew after entries that cannot be read. */
export const MEND: Script = {
  name: "mend",
  lua: `
-- Drops entries that another program has put into a log, and, if one of its own is missing or cannot
-- be read, everything up to that one: readers are told by the oldest number, as of any other loss.
-- flags: allow-oom
-- KEYS: meta, log, floors, ids, ids
-- ARGV: 2 epoch if one begins, 3 number that cannot be read or 0, 4 how many cannot, then ids of
--   foreign entries
-- returns: state; nil if there is no such channel
${OPEN_LUA}${CUT_LUA}
local c = open(false)
if not c then return false end
for i = 5, #ARGV do
  local gone = redis.pcall('XDEL', LOG, ARGV[i])
  if gone == 1 then c.bad = c.bad + 1 end
end
local broken = tonumber(ARGV[3])
if broken >= c.oldest and broken <= c.head then
  c.bad = c.bad + tonumber(ARGV[4])
  cut(c, broken + 1)
  save(c)
end
return state(c)
`,
};
