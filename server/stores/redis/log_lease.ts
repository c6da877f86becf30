import type { Script } from "./script.ts";

/** Takes a lease. A script, as a plain command is refused while Redis is out of memory. */
export const TAKE_LEASE: Script = {
  name: "take lease",
  lua: `
-- Takes a lease that nobody has.
-- flags: allow-oom
-- KEYS: lease
-- ARGV: 2 who takes it, 3 ms until it ends
-- returns: 1 if it was free
if redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end
return 0
`,
};

/** Gives a lease back. */
export const LET_GO: Script = {
  name: "end lease",
  lua: `
-- Gives a lease back.
-- flags: allow-oom
-- KEYS: lease
-- ARGV: 2 who has it
-- returns: 1 if that was so
if redis.call('GET', KEYS[1]) == ARGV[2] then return redis.call('UNLINK', KEYS[1]) end
return 0
`,
};
