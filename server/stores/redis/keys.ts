/**
 * Every key of the Redis store is built here.
 *
 * What belongs to one channel has one hash tag, what belongs to one session another, so that a script
 * finds all its keys in one slot of a Cluster.
 *
 * @module
 */

/** Builds keys, all of them under one prefix. */
export class RedisKeys {
  readonly #prefix: string;
  readonly #index: string;
  readonly #nodes: string;
  readonly #topicEnd: string;

  /**
   * Builds keys under a prefix.
   *
   * @param prefix what every key begins with; braces in it are escaped, for they would be the hash tag
   * @param db number of the database: keys of two are apart, topics are not unless their names are
   */
  constructor(prefix: string, db: number = 0) {
    this.#prefix = escapeName(prefix);
    this.#topicEnd = db === 0 ? "" : `:${db}`;
    this.#index = `${this.#prefix}{index}:`;
    this.#nodes = `${this.#prefix}{nodes}:`;
  }

  // In the slot of a channel.

  /** Hash: epoch, head and what else the log keeps about itself (`log_lua.ts`). */
  meta(channel: string): string {
    return this.#channel(channel, "meta");
  }

  /** Stream: messages, with their numbers as ids. */
  log(channel: string): string {
    return this.#channel(channel, "log");
  }

  /** Hashes: publish ids of this window and of the one before, in turns. */
  ids(channel: string): readonly [string, string] {
    return [this.#channel(channel, "id:0"), this.#channel(channel, "id:1")];
  }

  /** String: what one append came to. */
  op(channel: string, op: string): string {
    return this.#channel(channel, `op:${op}`);
  }

  /** Hash: positions, by session key. */
  cursors(channel: string): string {
    return this.#channel(channel, "cursors");
  }

  /** Sorted set: session keys by the number up to which they need nothing from the log. */
  floors(channel: string): string {
    return this.#channel(channel, "floors");
  }

  /** Sorted set: session keys by the time at which to see whether they live. */
  check(channel: string): string {
    return this.#channel(channel, "check");
  }

  /** Hash: dead letters. */
  dead(channel: string): string {
    return this.#channel(channel, "dead");
  }

  /** Sorted set: order of the dead letters. */
  deadOrder(channel: string): string {
    return this.#channel(channel, "deadorder");
  }

  /** Sorted set: the dead letters of each session, by name. */
  deadSessions(channel: string): string {
    return this.#channel(channel, "deadsessions");
  }

  /** Hash: redriven messages, by number and session key. */
  redriven(channel: string): string {
    return this.#channel(channel, "redriven");
  }

  /** Topic: notices about the log. */
  notices(channel: string): string {
    return this.#channel(channel, "notices") + this.#topicEnd;
  }

  // In the slot of a session.

  /** Hash: who holds a session. */
  session(key: string): string {
    return `${this.#prefix}{s:${escapeName(key)}}:session`;
  }

  // In the slot of the index.

  /** Sorted set: channels by the time of the next visit. Members as {@linkcode nameOf} reads them. */
  get channels(): string {
    return `${this.#index}channels`;
  }

  /** Hash: what the last visit found in a channel. */
  get sizes(): string {
    return `${this.#index}sizes`;
  }

  /** Sorted set: channels by the time of their oldest message. */
  get ages(): string {
    return `${this.#index}ages`;
  }

  /** Hash: sums over all channels. */
  get totals(): string {
    return `${this.#index}totals`;
  }

  /** Sorted set: sessions by the time since when, or until when at most, each has no connection. */
  get sessions(): string {
    return `${this.#index}sessions`;
  }

  /** Sorted set: sessions by the time of their end, unless they are renewed. */
  get ends(): string {
    return `${this.#index}ends`;
  }

  /** Sorted set: sessions of one subject, as {@linkcode RedisKeys.sessions} has all. */
  sessionsOf(subject: string): string {
    return `${this.#index}sessions:${escapeName(subject)}`;
  }

  /** Sorted set: channels with dead letters, by the time at which one was added last. */
  get letters(): string {
    return `${this.#index}letters`;
  }

  /** String: the run of the server that wrote the file it was started from (`lineage.ts`). */
  get mark(): string {
    return `${this.#index}mark`;
  }

  /** String: runs of the server with nothing lost between them. */
  get runs(): string {
    return `${this.#index}runs`;
  }

  /** String: version of the format. */
  get format(): string {
    return `${this.#index}format`;
  }

  /** String: lease of a node that sweeps one part of the store. */
  sweep(part: string): string {
    return `${this.#index}sweep:${escapeName(part)}`;
  }

  /** Any other key of the index. */
  index(name: string): string {
    return `${this.#index}${escapeName(name)}`;
  }

  // In the slot of the nodes, or of one node.

  /** Any key about all nodes. */
  nodes(name: string): string {
    return `${this.#nodes}${escapeName(name)}`;
  }

  /** Hash: rows of a node. */
  rows(node: string): string {
    return `${this.#nodes}rows:${escapeName(node)}`;
  }

  /** Topic: notes to one node. */
  notes(node: string): string {
    return `${this.#prefix}{n:${escapeName(node)}}:notes${this.#topicEnd}`;
  }

  /** Topic: notes and changes for all nodes. */
  get allNotes(): string {
    return `${this.#nodes}notes${this.#topicEnd}`;
  }

  // In the slot of the revocations.

  /** Any key about revocations. */
  revocations(name: string): string {
    return `${this.#prefix}{revoked}:${escapeName(name)}`;
  }

  // In a slot of its own.

  /** String: a text that is kept for another node. */
  kept(name: string): string {
    return `${this.#prefix}{k:${escapeName(name)}}:text`;
  }

  #channel(channel: string, part: string): string {
    return `${this.#prefix}{c:${escapeName(channel)}}:${part}`;
  }
}

/**
 * A name as a part of a key: no brace, so that hash tags stay whole, and no half of a surrogate pair,
 * which UTF-8 cannot hold. Different names stay different.
 */
export function escapeName(name: string): string {
  return name.replace(
    /[%{}]|\p{Surrogate}/gu,
    (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The name that {@linkcode escapeName} made this of; `undefined` if it did not. */
export function nameOf(escaped: string): string | undefined {
  const name = escaped.replace(
    /%([0-9a-f]{4})/g,
    (_, hex) => String.fromCharCode(parseInt(hex, 16)),
  );
  return escapeName(name) === escaped ? name : undefined;
}
