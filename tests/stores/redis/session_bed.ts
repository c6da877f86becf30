import { PushError } from "@push/client/protocol";
import { systemClock, systemRandom } from "../../../server/clock.ts";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import { RedisLetters } from "../../../server/stores/redis/letters.ts";
import { RedisLink } from "../../../server/stores/redis/link.ts";
import { RedisLog } from "../../../server/stores/redis/log.ts";
import { PositionSweep } from "../../../server/stores/redis/position_sweep.ts";
import { RedisPositions } from "../../../server/stores/redis/positions.ts";
import { type SessionParts, sessionParts } from "../../../server/stores/redis/session_parts.ts";
import { RedisSessions } from "../../../server/stores/redis/sessions.ts";
import type {
  Claim,
  Claimed,
  Cursor,
  DeadLetter,
  Retention,
  StoreLimits,
} from "../../../server/stores/store.ts";
import { redisSettings } from "./support/settings.ts";

/** Retention that drops nothing in a test that does not ask for it. */
const RETENTION: Retention = {
  messageTtl: 3_600_000,
  historySize: 1000,
  historyBytes: 2 ** 22,
  maxChannelBytes: 2 ** 24,
  maxStoreBytes: 2 ** 28,
  metaTtl: 4 * 3_600_000,
  idempotencyWindow: 300_000,
};

const LIMITS: StoreLimits = { maxSessions: 1000, deadLetterTtl: 7_200_000, maxDeadLetters: 100 };

/** How a node is made. */
export interface NodeOptions {
  readonly node?: string;
  readonly limits?: Partial<StoreLimits>;
  readonly retention?: Partial<Retention>;
  readonly prefix?: string;
  readonly cluster?: string;
  /** Whether every script is run twice. */
  readonly twice?: boolean;
}

/** What was sent to Redis. */
export type Sent = Parameters<RedisLink["run"]>;

/** A link that can be cut before a script, sends scripts twice, and notes what it sends. */
export class WatchedLink extends RedisLink {
  /** Names of scripts that are not sent any more: their caller has crashed. */
  readonly cut = new Set<string>();
  /** What was cut: perhaps it was sent, and is carried out later. */
  readonly lost: Sent[] = [];
  /** Whether answers get lost: every script is sent again, and only the second answer is heard. */
  twice = false;
  /** What was sent since this was emptied. */
  readonly sent: Sent[] = [];
  /** The same link, for those who ask once and are heard at once. */
  readonly once: Pick<RedisLink, "run" | "command" | "isCluster"> = {
    run: (...args) => super.run(...args),
    command: (...args) => this.command(...args),
    isCluster: this.isCluster,
  };

  /** By name, scripts of which the next one waits: who is told that it does, and until when. */
  readonly #held = new Map<
    string,
    { readonly reached: () => void; readonly until: Promise<void> }
  >();

  /** See `RedisLink.run`. */
  override async run(...args: Sent): Promise<unknown> {
    const held = this.#held.get(args[0].name);
    if (held !== undefined) {
      this.#held.delete(args[0].name);
      held.reached();
      await held.until;
    }
    if (this.cut.has(args[0].name)) {
      this.lost.push(args);
      throw new PushError("unavailable", `cut at ${args[0].name}`);
    }
    this.sent.push(args);
    if (this.twice) await super.run(...args);
    return await super.run(...args);
  }

  /**
   * Begins something, up to its first script of this name.
   *
   * @returns what it will come to, and what lets it go on
   */
  async holdBack<T>(
    script: string,
    begin: () => Promise<T>,
  ): Promise<[outcome: Promise<T>, goOn: () => void]> {
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const { promise: until, resolve: goOn } = Promise.withResolvers<void>();
    this.#held.set(script, { reached: resolve, until });
    const outcome = begin();
    await Promise.race([reached, outcome]);
    return [outcome, goOn];
  }

  /** Does something, and tells what it has sent by a name. */
  async sentBy(script: string, work: () => Promise<unknown>): Promise<Sent> {
    const from = this.sent.length;
    await work();
    const found = this.sent.slice(from).find(([{ name }]) => name === script);
    if (found === undefined) throw new Error(`Nothing was sent by the name '${script}'`);
    return found;
  }

  /** Sends something again that was sent before. */
  again([script, ...rest]: Sent): Promise<unknown> {
    return super.run(script, ...rest);
  }
}

/** One node's half of a store: sessions, positions and dead letters, with a link of its own. */
export class Node implements AsyncDisposable {
  readonly link: WatchedLink;
  readonly keys: RedisKeys;
  readonly parts: SessionParts;
  readonly positions: RedisPositions;
  readonly sweeper: PositionSweep;
  readonly sessions: RedisSessions;
  readonly letters: RedisLetters;
  readonly log: RedisLog;
  #instances = 0;
  #now = 1_000_000;

  private constructor(port: number, options: NodeOptions) {
    const { node = "a", limits, retention, prefix = "t:", cluster } = options;
    const where = cluster === undefined ? { port } : { cluster };
    this.link = new WatchedLink({ settings: redisSettings({ ...where, maxConnections: 20 }) });
    this.keys = new RedisKeys(prefix);
    this.link.twice = options.twice ?? false;
    const { link, keys } = this;
    this.parts = sessionParts({ link, keys, limits: { ...LIMITS, ...limits }, node });
    this.positions = new RedisPositions(this.parts);
    this.sweeper = new PositionSweep(this.parts);
    this.sessions = new RedisSessions(this.parts, this.positions);
    this.letters = new RedisLetters(this.parts);
    const random = systemRandom;
    this.log = new RedisLog({
      link: link.once,
      keys,
      retention: { ...RETENTION, ...retention },
      random,
      clock: systemClock,
    });
  }

  /** A node on a server of this port, or on a Cluster. */
  static async open(port: number, options: NodeOptions = {}): Promise<Node> {
    const node = new Node(port, options);
    try {
      await node.link.open();
      await node.log.open();
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
    return node;
  }

  /** The time that the node goes by. */
  get now(): number {
    return this.#now;
  }

  /** Lets time pass, for the node and for its store. Other nodes have their own. */
  pass(ms: number): void {
    this.#now += ms;
    this.link.timeOffset += ms;
  }

  /** Claims a session for another connection of another client object each time. */
  claim(key: string, terms: Partial<Claim> = {}): Promise<Claimed> {
    const which = `${this.parts.node}${++this.#instances}`;
    const claim = { key, holder: `h${which}`, instance: `i${which}`, attempt: 1, ttl: 60_000 };
    return this.sessions.claim({ ...claim, ...terms }, this.#now);
  }

  /** Claims a session, which must succeed; resolves to the generation. */
  async attach(key: string, terms: Partial<Claim> = {}): Promise<number> {
    const claimed = await this.claim(key, terms);
    if (!claimed.ok) throw new Error(`The claim of '${key}' was refused: ${claimed.reason}`);
    return claimed.generation;
  }

  /** Stores a position. */
  async stand(
    key: string,
    generation: number,
    channel: string,
    floor: number,
    rest: Partial<Cursor> = {},
    deadLetters: readonly DeadLetter[] = [],
  ): Promise<boolean> {
    const { epoch } = await this.log.read(channel, 0, 1);
    const cursor = { epoch, floor, sent: floor, own: 0, settled: [], late: [], ...rest };
    return this.positions.commit(key, generation, [{ channel, cursor, deadLetters }], this.#now);
  }

  /** Loads a position. */
  async position(key: string, generation: number, channel: string): Promise<Cursor | undefined> {
    const loaded = await this.positions.load(key, generation, [channel]);
    return loaded?.[0];
  }

  /** Appends so many small messages. */
  async publish(channel: string, count: number): Promise<void> {
    const one = { subject: "anonymous", origin: null, source: null, payload: "{}" };
    await this.log.append(channel, Array.from({ length: count }, () => one));
  }

  /** A dead letter of a message that is in the log. */
  async letter(session: string, channel: string, seq: number): Promise<DeadLetter> {
    const { epoch, messages: [message] } = await this.log.read(channel, seq - 1, 1);
    return { session, channel, epoch, message, attempts: 4, reason: "timeout", at: this.#now };
  }

  /** Runs a command on Redis. */
  ask(name: string, ...args: (string | number)[]): Promise<unknown> {
    return this.link.command(name, ...args);
  }

  /** Closes the link. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.log.close();
    await this.link[Symbol.asyncDispose]();
  }
}

/** What a test does with two nodes. */
export type OnTwoNodes = (a: Node, b: Node) => Promise<void>;

/** Runs tests on stores of their own, each with two nodes; `letter` begins the names of their keys. */
export function onTwoNodes(redis: { readonly port: number }, letter: string) {
  let tests = 0;
  return (run: OnTwoNodes, options: NodeOptions = {}) => async (): Promise<void> => {
    const prefix = `${letter}${++tests}:`;
    await using a = await Node.open(redis.port, { ...options, prefix });
    await using b = await Node.open(redis.port, { ...options, prefix, node: "b" });
    await run(a, b);
  };
}

/** Why a claim was refused. */
export async function refusal(claimed: ReturnType<Node["claim"]>): Promise<string> {
  const answer = await claimed;
  return answer.ok ? "not refused" : answer.reason;
}
