import type { RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import type { Script } from "./script.ts";

/** Channels of a dead node that are looked at in one step. */
const BATCH = 500;

const FLOOR: Script = {
  name: "floor",
  lua: `-- Says up to which number the sessions of one node need nothing of a log.
-- flags: allow-oom
-- KEYS: meta, floors
-- ARGV: offset, member, then epoch and number of each epoch that positions are in; none for none
-- Returns: nothing
local epoch, earlier = '', ''
local meta = redis.pcall('HMGET', KEYS[1], 'epoch', 'earlier')
if not meta.err then epoch, earlier = meta[1] or '', meta[2] or '' end
local lowest
for i = 3, #ARGV, 2 do
  local number = tonumber(ARGV[i + 1])
  if ARGV[i] ~= epoch then
    local found = false
    for era, base in string.gmatch(earlier, '([a-z0-9]+):(%d+)') do
      number = math.min(number, tonumber(base))
      if era == ARGV[i] then
        found = true
        break
      end
    end
    if not found then number = 0 end
  end
  lowest = math.min(lowest or number, number)
end
if lowest then redis.pcall('ZADD', KEYS[2], string.format('%d', lowest), ARGV[2])
else redis.pcall('ZREM', KEYS[2], ARGV[2]) end
return 0`,
};

const HOLD: Script = {
  name: "hold",
  lua: `-- Keeps the lease of a node that has floors, and tells whose is over.
-- flags: allow-oom
-- KEYS: nodes by the end of their lease
-- ARGV: offset, node, lease in milliseconds
-- Returns: whether this node had a lease, then names of nodes without
local had = redis.call('ZSCORE', KEYS[1], ARGV[2])
if had and tonumber(had) <= now() then had = false end
redis.call('ZADD', KEYS[1], string.format('%d', now() + tonumber(ARGV[3])), ARGV[2])
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now(), 'LIMIT', 0, 10)
table.insert(over, 1, had and 1 or 0)
return over`,
};

const OVER: Script = {
  name: "over",
  lua: `-- Tells which nodes' leases are over.
-- flags: no-writes
-- KEYS: nodes by the end of their lease
-- Returns: their names
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now(), 'LIMIT', 0, 10)`,
};

/**
 * Entries of whole nodes among the floors of logs: of gateways that have their sessions themselves. Each
 * has a list of the channels that it has entries in, for whoever removes them when it has died.
 */
export class NodeFloors {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;

  /** @param link the connection */
  constructor(link: RedisLink, keys: RedisKeys) {
    this.#link = link;
    this.#keys = keys;
  }

  /** Keeps a node's lease; tells whether it had one, and whose are over. */
  async hold(
    name: string,
    lease: number,
  ): Promise<{ readonly had: boolean; readonly over: string[] }> {
    const answer = await this.#link.run(HOLD, [this.#holders], [name, lease]);
    const [had, ...over] = answer as (string | number)[];
    return { had: had === 1, over: over.map(String) };
  }

  /** Says that a node has, or is about to have, entries in channels. */
  async list(name: string, channels: readonly string[]): Promise<void> {
    await this.#link.command("sadd", this.#listOf(name), ...channels);
  }

  /** It has none there any more. */
  async unlist(name: string, channels: readonly string[]): Promise<void> {
    await this.#link.command("srem", this.#listOf(name), ...channels);
  }

  /**
   * Says what a node needs of a channel.
   *
   * @param needs by epoch, the highest number that it does not need; empty for nothing at all
   */
  async tell(
    channel: string,
    name: string,
    needs: readonly (readonly [epoch: string, settled: number])[],
  ): Promise<void> {
    const keys = [this.#keys.meta(channel), this.#keys.floors(channel)];
    await this.#link.run(FLOOR, keys, [`node:${name}`, ...needs.flat()]);
  }

  /** Removes everything of a node. */
  async bury(name: string): Promise<void> {
    while (true) {
      const command = this.#link.command("srandmember", this.#listOf(name), BATCH);
      const channels = await command as string[];
      if (channels.length === 0) break;
      await Promise.all(channels.map((channel) => this.tell(channel, name, [])));
      await this.unlist(name, channels);
    }
    await this.#link.command("zrem", this.#holders, name);
  }

  /** Removes what nodes have left that died, also where no node has sessions of its own any more. */
  async sweep(): Promise<void> {
    const over = await this.#link.run(OVER, [this.#holders]) as string[];
    for (const name of over) await this.bury(name);
  }

  get #holders(): string {
    return this.#keys.nodes("holders");
  }

  #listOf(name: string): string {
    return this.#keys.nodes(`floors:${name}`);
  }
}
