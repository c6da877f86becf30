import type { JsonObject } from "@push/client/protocol";
import { type Clock, systemClock } from "../../clock.ts";
import type {
  Cluster,
  ClusterListener,
  LogNotice,
  NodeRows,
  RowChanges,
  Stop,
} from "../cluster.ts";
import { Bus } from "./bus.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { decodeNotice } from "./notice.ts";
import { RedisRoster, rowsMessageOf } from "./roster.ts";
import type { Script } from "./script.ts";

/** What a {@linkcode RedisCluster} is made with. */
export interface RedisClusterOptions {
  /** The connection. */
  readonly link: RedisLink;
  /** Names of keys and topics. */
  readonly keys: RedisKeys;
  /** Names this node among the others: random, and another one at each start. */
  readonly node: string;
  /** Milliseconds after which others take a node for dead, at most, after it renewed its lease. */
  readonly lease: number;
  /** Whether sessions and positions are in Redis. */
  readonly sharesSessions: boolean;
  /** Milliseconds between two probes of the connection for subscriptions. Default 5000. */
  readonly probeInterval?: number;
  /** Source of time, for the probes. Default: the machine's. */
  readonly clock?: Clock;
}

const PROBE_INTERVAL = 5_000;

/** Sets aside what another program has written under the name of a text. */
const TEXT = `
local is = redis.call('TYPE', KEYS[1]).ok
if is ~= 'string' and is ~= 'none' then
  redis.call('RENAME', KEYS[1], KEYS[1] .. ':aside')
  redis.call('PEXPIRE', KEYS[1] .. ':aside', 604800000)
end
`;

/**
 * A text is kept as `VERSION@RUN TEXT`, with the run of the server that it was kept in. Where claims are
 * taken without memory left, it must be written down, too, who has a poller now.
 */
const KEEP: Script = {
  name: "keep",
  lua: `-- Keeps a text for so many milliseconds, in the stead of one of no higher version.
-- flags: allow-oom
-- KEYS: version and text
-- ARGV: text, milliseconds, version
-- returns whether it is kept
${TEXT}
local kept = redis.call('GET', KEYS[1])
local version = kept and tonumber(string.match(kept, '^(%d+)[@ ]'))
if version and version > tonumber(ARGV[4]) then return 0 end
redis.call('SET', KEYS[1], ARGV[4] .. '@' .. runid() .. ' ' .. ARGV[2], 'PX', ARGV[3])
return 1`,
};

const KEPT: Script = {
  name: "kept",
  lua: `-- Reads a text.
-- flags: allow-oom
-- KEYS: version and text
-- returns: both; nil if there is none
${TEXT}
return redis.call('GET', KEYS[1])`,
};

/** Another run may be one that has lost that somebody took it. */
const TAKE: Script = {
  name: "take",
  lua: `-- Takes a text: removes it, and gives it if it was kept in this run of the server.
-- flags: allow-oom
-- KEYS: version and text
-- returns: the text; nil if there is none. Where the answer was lost, nobody gets it.
${TEXT}
local kept = redis.call('GETDEL', KEYS[1])
local head, run = string.match(kept or '', '^(%d+@(%w+) )')
if run ~= runid() then return false end
return string.sub(kept, #head + 1)`,
};

/**
 * Milliseconds that Redis takes a node for alive. The others look after a quarter of the lease, or
 * where it is short after a second or a third of it: so a node that died is gone for them, too, within
 * one lease.
 */
function rosterLease(lease: number): number {
  return Math.floor(lease - Math.max(lease / 4, Math.min(1_000, lease / 3)));
}

/** What the nodes that share one Redis say to each other: by its publish/subscribe and some keys. */
export class RedisCluster implements Cluster, AsyncDisposable {
  /** Names this node among the others. */
  readonly node: string;
  /** Milliseconds after which others take a node for dead, at most, after it renewed its lease. */
  readonly lease: number;
  /** Whether sessions and positions are shared. */
  readonly sharesSessions: boolean;
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #bus: Bus;
  readonly #roster: RedisRoster;
  readonly #listeners = new Set<ClusterListener>();
  #closing: Promise<void> | undefined;

  /** @param options the connection, and who this node is */
  constructor(options: RedisClusterOptions) {
    const { link, keys, node, lease, sharesSessions, clock = systemClock } = options;
    this.node = node;
    this.lease = lease;
    this.sharesSessions = sharesSessions;
    this.#link = link;
    this.#keys = keys;
    this.#roster = new RedisRoster(link, keys, node, rosterLease(lease));
    this.#bus = new Bus({
      link,
      clock,
      probeTopic: (n) => keys.notes(`${node}:${n}`),
      probeInterval: options.probeInterval ?? PROBE_INTERVAL,
      onLapse: () => {
        for (const listener of this.#listeners) listener.lapse();
      },
    });
  }

  /** Why nothing is heard of other nodes at present, as a sentence; `undefined` while all is. */
  get trouble(): string | undefined {
    return this.#bus.trouble;
  }

  /** Listens to other nodes (see {@linkcode Cluster.listen}). */
  async listen(listener: ClusterListener): Promise<Stop> {
    const hear = (text: string) => this.#hear(text, listener);
    const stops: Stop[] = [];
    try {
      // One after the other: if the second fails, the first must not go on.
      stops.push(await this.#bus.subscribe(this.#keys.notes(this.node), hear));
      stops.push(await this.#bus.subscribe(this.#keys.allNotes, hear));
    } catch (error) {
      for (const stop of stops) stop();
      throw error;
    }
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      for (const stop of stops.splice(0)) stop();
    };
  }

  /** Follows a channel (see {@linkcode Cluster.follow}). */
  follow(channel: string, listener: (notice: LogNotice) => void): Promise<Stop> {
    return this.#bus.subscribe(this.#keys.notices(channel), (text) => {
      const notice = decodeNotice(text);
      // Somebody else has published it. What it may have been about is found by comparing heads.
      if (notice !== undefined) listener(notice);
    });
  }

  /** Sends a note to a node, or to every other one (see {@linkcode Cluster.send}). */
  async send(to: string | null, note: JsonObject): Promise<void> {
    const topic = to === null ? this.#keys.allNotes : this.#keys.notes(to);
    await this.#bus.publish(topic, JSON.stringify({ from: this.node, to, note }));
  }

  /** Keeps this node's lease (see {@linkcode Cluster.renew}). */
  renew(): Promise<ReadonlyMap<string, number>> {
    return this.#roster.renew();
  }

  /** Changes rows of this node (see {@linkcode Cluster.write}). */
  write(changes: RowChanges): Promise<number> {
    return this.#roster.write(changes);
  }

  /** Rows of a node (see {@linkcode Cluster.rows}). */
  rows(node: string): Promise<NodeRows | undefined> {
    return this.#roster.rows(node);
  }

  /** Keeps a text under a name (see {@linkcode Cluster.keep}). */
  async keep(name: string, text: string, ttl: number, version = 0): Promise<boolean> {
    const args = [text, Math.max(Math.ceil(ttl), 1), version];
    return await this.#link.run(KEEP, [this.#keys.kept(name)], args) === 1;
  }

  /** The text that was kept under a name (see {@linkcode Cluster.kept}). */
  async kept(name: string): Promise<string | undefined> {
    const text = await this.#link.run(KEPT, [this.#keys.kept(name)]);
    return typeof text === "string" ? text.slice(text.indexOf(" ") + 1) : undefined;
  }

  /** Takes the text that was kept under a name (see {@linkcode Cluster.take}). */
  async take(name: string): Promise<string | undefined> {
    const text = await this.#link.run(TAKE, [this.#keys.kept(name)]);
    return typeof text === "string" ? text : undefined;
  }

  /** Keeps it no longer (see {@linkcode Cluster.drop}). */
  async drop(name: string): Promise<void> {
    await this.#link.command("del", this.#keys.kept(name));
  }

  /** Leaves the roster, as far as Redis can be reached, and lets every subscription go; idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#listeners.clear();
    // Without it the others wait for the end of the lease.
    await this.#roster.leave().catch(() => {});
    await this.#bus[Symbol.asyncDispose]();
  }

  #hear(text: string, listener: ClusterListener): void {
    const value = objectOf(text);
    if (value === undefined) return;
    const rows = rowsMessageOf(value);
    if (rows !== undefined) {
      listener.rows(rows.node, rows.version, rows.changes);
      return;
    }
    const { from, to, note } = value;
    if (typeof from !== "string" || typeof note !== "object" || note === null) return;
    if (to === null && from === this.node) return;
    listener.note(from, note as JsonObject);
  }
}

function objectOf(text: string): { readonly [key: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}
