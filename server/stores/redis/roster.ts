import type { Json } from "@push/client/protocol";
import type { NodeRows, RowChanges } from "../cluster.ts";
import type { RedisKeys } from "./keys.ts";
import type { Argument, RedisLink } from "./link.ts";
import type { Script } from "./script.ts";

/** What is read of a message that a change of rows makes. */
export interface RowsMessage {
  /** Node whose rows changed. */
  readonly node: string;
  /** Version after the change. */
  readonly version: number;
  /** What changed. */
  readonly changes: RowChanges;
}

// Versions of the rows that lapsed are not given again: whoever has seen them would take the rows
// that come after for those.
const PUT = `
local function put(node, lease, known)
  local until_ = redis.call('ZSCORE', KEYS[1], node)
  if until_ and tonumber(until_) <= now() then
    redis.call('DEL', KEYS[3])
    redis.call('HDEL', KEYS[2], node)
    until_ = false
  end
  redis.call('ZADD', KEYS[1], now() + lease, node)
  for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], lease * 20) end
  return until_
end
`;

const RENEW: Script = {
  name: "roster_renew",
  lua: `-- Renews the lease of a node, and removes the nodes whose lease is over.
-- KEYS: nodes by the end of their lease, versions of their rows, rows of this node
-- ARGV: offset, node, lease in milliseconds, key of the rows of a node without its name
-- Returns: whether this node had a lease, then name and version of each node that lives
-- flags: allow-oom
-- Keys of the rows of other nodes are made here; they are of the same slot.
${PUT}
local had = put(ARGV[2], tonumber(ARGV[3]))
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now())) do
  redis.call('ZREM', KEYS[1], node)
  redis.call('HDEL', KEYS[2], node)
  redis.call('DEL', ARGV[4] .. node)
end
local found = {had and 1 or 0}
for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  found[#found + 1] = node
  found[#found + 1] = tonumber(redis.call('HGET', KEYS[2], node) or '0')
end
return found`,
};

const WRITE: Script = {
  name: "roster_write",
  lua: `-- Changes rows of a node and tells all nodes.
-- KEYS: nodes by the end of their lease, versions of their rows, rows of this node
-- ARGV: offset, node, lease in milliseconds, the last version that the node knows, how to publish,
--   topic, the changes as JSON, a number of rows to set, these by key and value, keys to remove
-- Returns: whether this node had a lease and rows of that version; their version now
-- flags: allow-oom
${PUT}
local node, known = ARGV[2], tonumber(ARGV[4])
local had = put(node, tonumber(ARGV[3]))
local version = tonumber(redis.call('HGET', KEYS[2], node) or '0')
local kept = (had or known == 0) and version == known
-- One is left out, so that nobody takes what comes for a continuation.
version = kept and version + 1 or math.max(version, known) + 2
local sets = tonumber(ARGV[8])
local at = 9
for _ = 1, sets do
  redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV do redis.call('HDEL', KEYS[3], ARGV[i]) end
redis.call('HSET', KEYS[2], node, version)
for i = 2, 3 do redis.call('PEXPIRE', KEYS[i], tonumber(ARGV[3]) * 20) end
redis.call(ARGV[5], ARGV[6], '{"rows":' .. ARGV[7] .. ',"version":' .. version .. '}')
return {kept and 1 or 0, version}`,
};

const ROWS: Script = {
  name: "roster_rows",
  lua: `-- Reads the rows of a node.
-- KEYS: nodes by the end of their lease, versions of their rows, rows of the node
-- ARGV: offset, node
-- Returns: version, then key and value of each row; nil if the node does not live
-- flags: no-writes
local until_ = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not until_ or tonumber(until_) <= now() then return false end
local found = redis.call('HGETALL', KEYS[3])
table.insert(found, 1, tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or '0'))
return found`,
};

const LEAVE: Script = {
  name: "roster_leave",
  lua: `-- Removes a node and its rows.
-- KEYS: nodes by the end of their lease, versions of their rows, rows of the node
-- ARGV: offset, node
-- Returns: nothing
-- flags: allow-oom
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[3])
return 0`,
};

/** Who lives, and what each says of itself, in Redis. */
export class RedisRoster {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #node: string;
  readonly #lease: number;
  // Highest version of this node's rows that was heard of; 0 before the first.
  #version = 0;
  #isLost = false;

  /**
   * @param node name of this node
   * @param lease milliseconds that it counts as alive after each renewal
   */
  constructor(link: RedisLink, keys: RedisKeys, node: string, lease: number) {
    this.#link = link;
    this.#keys = keys;
    this.#node = node;
    this.#lease = lease;
  }

  /**
   * Keeps this node's lease (see `Cluster.renew`). A version of 0 for this node says that its rows are
   * gone, because its lease was over or the data was lost: it must write them all again.
   */
  async renew(): Promise<ReadonlyMap<string, number>> {
    const rowsOfAny = this.#keys.rows("");
    const reply = await this.#run(RENEW, this.#node, [this.#lease, rowsOfAny]) as unknown[];
    const [had, ...rest] = reply as (string | number)[];
    const nodes = new Map<string, number>();
    for (let i = 0; i < rest.length; i += 2) nodes.set(String(rest[i]), Number(rest[i + 1]));
    const version = nodes.get(this.#node) ?? 0;
    if ((had === 0 || version !== this.#version) && this.#version > 0) this.#isLost = true;
    if (this.#isLost) nodes.set(this.#node, 0);
    this.#isLost = false;
    return nodes;
  }

  /** Changes rows of this node (see `Cluster.write`). */
  async write(changes: RowChanges): Promise<number> {
    const sets: Argument[] = [];
    const removals: Argument[] = [];
    for (const [key, row] of changes) {
      if (row === null) removals.push(key);
      else sets.push(key, JSON.stringify(row));
    }
    const [kept, version] = await this.#run(WRITE, this.#node, [
      this.#lease,
      this.#version,
      this.#link.isCluster ? "SPUBLISH" : "PUBLISH",
      this.#keys.allNotes,
      JSON.stringify([this.#node, [...changes]]),
      sets.length / 2,
      ...sets,
      ...removals,
    ]) as [number, number];
    if (kept === 0) this.#isLost = true;
    this.#version = version;
    return version;
  }

  /** Rows of a node (see `Cluster.rows`). */
  async rows(node: string): Promise<NodeRows | undefined> {
    const reply = await this.#run(ROWS, node, []) as [number, ...string[]] | null;
    if (reply === null) return undefined;
    const [version, ...rest] = reply;
    const rows = new Map<string, Json>();
    for (let i = 0; i < rest.length; i += 2) {
      const row = jsonOf(rest[i + 1]);
      if (row !== undefined) rows.set(rest[i], row);
    }
    return { version, rows };
  }

  /** Takes this node out, so that nobody waits for its lease to end. */
  async leave(): Promise<void> {
    await this.#run(LEAVE, this.#node, []);
  }

  #run(script: Script, node: string, args: Argument[]): Promise<unknown> {
    const keys = [this.#keys.nodes("leases"), this.#keys.nodes("versions"), this.#keys.rows(node)];
    return this.#link.run(script, keys, [node, ...args]);
  }
}

/** Reads a message of {@linkcode RedisRoster.write}; `undefined` if it is none. */
export function rowsMessageOf(value: { readonly [key: string]: unknown }): RowsMessage | undefined {
  const { rows, version } = value;
  if (!Array.isArray(rows) || typeof version !== "number") return undefined;
  const [node, changes] = rows;
  if (typeof node !== "string" || !Array.isArray(changes)) return undefined;
  const isChange = (entry: unknown): entry is [string, Json] =>
    Array.isArray(entry) && entry.length === 2 && typeof entry[0] === "string";
  return changes.every(isChange) ? { node, version, changes: new Map(changes) } : undefined;
}

function jsonOf(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Somebody else has written it.
  }
}
