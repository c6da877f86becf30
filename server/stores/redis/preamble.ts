import type { Script } from "./script.ts";

/**
 * Lua that stands before every script.
 *
 * - `now()`: the store's time in milliseconds: Redis's own, and `offset()`, which is in `ARGV[1]`.
 * - `runs()`: the runs of the server with nothing lost between them, as far as the caller knows, by the
 *   beginnings of their names, the present one first, with commas (`lineage.ts`); empty if none are known.
 * - `runid()`: names this run of this server as the one that takes writes. It is another one after a
 *   restart and after each promotion of a replica, also when a server is promoted for a second time
 *   within one life of its process; so it is the replication id and not `run_id`. It costs 1.5 µs.
 */
export const PREAMBLE = `
local function offset()
  return tonumber(string.match(ARGV[1], '^[^!]*'))
end
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000) + offset()
end
local function runs()
  return string.match(ARGV[1], '!(.*)$') or ''
end
local function runid()
  local info = redis.call('INFO', 'replication')
  return string.match(info, 'master_replid:(%w+)')
    or string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end
`;

/**
 * A script as it is sent: with its flags, and the preamble. A line `-- flags: allow-oom` in the
 * header lets a script run, and write, while Redis is out of memory; every other script is refused
 * then before it does anything.
 */
export function preambled({ lua }: Script): string {
  const flags = /^-- flags: ([a-z, -]+)$/m.exec(lua)?.[1];
  return `#!lua${flags === undefined ? "" : ` flags=${flags}`}\n${PREAMBLE}${lua}`;
}
