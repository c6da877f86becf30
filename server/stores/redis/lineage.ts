import type { Redis } from "ioredis";
import type { Cancel, Clock } from "../../clock.ts";
import type { RedisKeys } from "./keys.ts";
import { replyCode } from "./link_errors.ts";
import { prepare, type Script } from "./script.ts";

/** Milliseconds between two looks at whether the server still writes at once and is alone. */
const LOOK = 1_000;
/** What must hold so that what was answered is on the disk. */
const AT_ONCE = [["appendonly", "yes"], ["appendfsync", "always"], [
  "no-appendfsync-on-rewrite",
  "no",
]];

/**
 * Leaves a mark in the server's own append-only file and nowhere else: not in its memory, from which
 * replicas are filled, and not in what it sends them. So who finds the mark after a start has read the
 * file of the server that left it, and was not promoted in its place.
 */
const VOUCH: Script = {
  name: "vouch",
  lua: `
-- Notes which earlier runs of the server this one goes on with nothing lost, and leaves the mark for
-- the next one. A run that has or had a replica, or follows another server, vouches for nothing: a
-- server gets another replication id with its first replica, so a run either is alone or never was.
-- flags: allow-oom
-- KEYS: mark, runs
-- ARGV: 2 1 if everything is on the disk before it is answered
-- returns: this run and those before it, newest first, with commas; '' if it vouches for nothing
local MARK, RUNS = KEYS[1], KEYS[2]
local run = string.sub(runid(), 1, 12)
local info = redis.call('INFO', 'replication')
local stats = redis.call('INFO', 'stats')
local isAlone = string.find(info, 'role:master', 1, true)
  and string.match(info, 'connected_slaves:(%d+)') == '0'
  and string.match(info, 'repl_backlog_active:(%d+)') == '0'
  and string.match(info, 'master_replid2:(%w+)') == string.rep('0', 40)
  and string.match(stats, 'total_net_repl_input_bytes:(%d+)') == '0'
local function get(key)
  local got = redis.pcall('GET', key)
  return type(got) == 'string' and got or ''
end
local mark, runs = get(MARK), get(RUNS)
if ARGV[2] ~= '1' or not isAlone then
  if mark ~= '' or runs ~= '' then
    -- Also in the file, where there may be one that is not in the memory.
    redis.call('SET', MARK, '')
    redis.call('DEL', MARK, RUNS)
  end
  return ''
end
local last = string.match(runs, '^%w+')
if last ~= run then
  if mark == '' then
    runs = run
  else
    runs = run .. ',' .. (last == mark and runs or mark)
  end
  runs = string.sub(runs, 1, 16 * 13 - 1)
  redis.call('SET', RUNS, runs)
end
redis.set_repl(redis.REPL_AOF)
redis.call('SET', MARK, run)
redis.set_repl(redis.REPL_NONE)
redis.call('DEL', MARK)
redis.set_repl(redis.REPL_ALL)
return runs
`,
};

/** What {@linkcode Lineage} is made with. */
export interface LineageOptions {
  /** Names of its keys. */
  readonly keys: RedisKeys;
  /** Whether the server never is replaced by another one: no Sentinel, no Cluster. */
  readonly isOne: boolean;
  /** Source of time, between two looks. */
  readonly clock: Clock;
}

/**
 * Which runs of one server follow on each other with nothing lost between: it writes to the disk before
 * it answers, and was started again from its own file. A replica that is filled between a start of the
 * server and the first look at it takes the mark along; every later one does not.
 */
export class Lineage {
  readonly #options: LineageOptions;
  #runs = "";
  #cancel: Cancel | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  /** @param options where the mark is */
  constructor(options: LineageOptions) {
    this.#options = options;
  }

  /** Beginnings of the names of these runs, newest first, with commas; empty if nothing is known. */
  get runs(): string {
    return this.#runs;
  }

  /** The first argument of every script: the offset of the store's time, and what is known of runs. */
  behind(timeOffset: number): string {
    return this.#runs === "" ? `${timeOffset}` : `${timeOffset}!${this.#runs}`;
  }

  /**
   * Looks at a server, and goes on looking while the connection stands. Whoever writes to the server
   * must have waited for the first look: what comes before it is not vouched for.
   *
   * @throws {Error} if the connection fails
   */
  async learn(redis: Redis): Promise<void> {
    this.#cancel?.();
    try {
      await (this.#looking = this.#look(redis));
    } finally {
      // Also where the answer was late: the connection may stand all the same.
      if (!this.#isClosed && redis.status === "ready") {
        this.#cancel = this.#options.clock.schedule(LOOK, () => {
          if (redis.status === "ready") this.learn(redis).catch(() => {});
        });
      }
    }
  }

  /** Ends it; a look that is under way ends with its connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    await this.#looking?.catch(() => {});
  }

  async #look(redis: Redis): Promise<void> {
    const { keys, isOne } = this.#options;
    const { text } = prepare(VOUCH);
    try {
      const isSafe = isOne && await writesAtOnce(redis);
      const answer = await redis.call("eval", text, 2, keys.mark, keys.runs, 0, isSafe ? 1 : 0);
      this.#runs = String(answer);
    } catch (error) {
      this.#runs = "";
      // Who may not ask knows nothing.
      if (replyCode(error) === undefined) throw error;
    }
  }
}

/** Whether the server writes what it is told to the disk before it answers, by what it says. */
async function writesAtOnce(redis: Redis): Promise<boolean> {
  const answer = await redis.call("config", "get", ...AT_ONCE.map(([name]) => name));
  if (!Array.isArray(answer)) return false;
  return AT_ONCE.every(([name, value]) => answer[answer.indexOf(name) + 1] === value);
}
