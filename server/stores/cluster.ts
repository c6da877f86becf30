/**
 * What the nodes that share one store say to each other. The log is the truth and all of this a
 * rumour: everything here may be lost, late or repeated, and whoever listens must get along without.
 *
 * @module
 */
import type { Json, JsonObject } from "@push/client/protocol";
import type { LogState, StoredMessage } from "./store.ts";

/** Says that a channel's log has moved. */
export interface LogNotice extends LogState {
  /** The newest messages, ascending up to `head`; none where they were too large to be told. */
  readonly messages: readonly StoredMessage[];
}

/** Changes to the rows of one node: what is set, and `null` for what is removed. */
export type RowChanges = ReadonlyMap<string, Json>;

/** The rows of one node. */
export interface NodeRows {
  /** Grows by one with each change. */
  readonly version: number;
  /** The rows by their keys. */
  readonly rows: ReadonlyMap<string, Json>;
}

/** Stops what it was given for; idempotent. */
export type Stop = () => void;

/** Hears of what other nodes do. Must not throw. */
export interface ClusterListener {
  /** A node, possibly this one, has changed its rows; `version` is that after the change. */
  rows(node: string, version: number, changes: RowChanges): void;
  /** A node has sent a note. */
  note(from: string, note: JsonObject): void;
  /** Notices, notes and changes of rows may have been missed since this was called last. */
  lapse(): void;
}

/** The contract. Every operation may reject as those of a store do. */
export interface Cluster {
  /** Names this node among the others: random, and another one at each start. */
  readonly node: string;
  /** Milliseconds that a node counts as alive after it renewed its lease. */
  readonly lease: number;
  /**
   * Whether sessions and positions are shared. Where only the log is, each node has sessions of its
   * own, and a client that moves brings its positions along.
   */
  readonly sharesSessions: boolean;

  /** Listens to other nodes; resolves once what they say arrives. One listener at a time. */
  listen(listener: ClusterListener): Promise<Stop>;

  /**
   * Follows a channel: resolves once notices flow, so that whoever reads the log from then on misses
   * nothing. Notices of this node's own appends come, too.
   */
  follow(channel: string, listener: (notice: LogNotice) => void): Promise<Stop>;

  /** Sends a note to a node, or to every other one. At most once, to whom it may concern. */
  send(to: string | null, note: JsonObject): Promise<void>;

  // The roster: rows that each node has for as long as it lives.

  /** Keeps this node's lease; resolves to the nodes that live, with the versions of their rows. */
  renew(): Promise<ReadonlyMap<string, number>>;
  /** Changes rows of this node; resolves to their version then. One change at a time. */
  write(changes: RowChanges): Promise<number>;
  /** Rows of a node; `undefined` if it does not live. */
  rows(node: string): Promise<NodeRows | undefined>;

  // What one node keeps for another: what it needs to go on with a long-poller, and tickets.

  /**
   * Keeps a text under a name for so many milliseconds, unless one of a higher version is kept there.
   *
   * @param version from 0 to `Number.MAX_SAFE_INTEGER`. Default 0
   * @returns whether it is kept
   */
  keep(name: string, text: string, ttl: number, version?: number): Promise<boolean>;
  /** The text that was kept under a name; `undefined` if there is none. */
  kept(name: string): Promise<string | undefined>;
  /**
   * Takes the text that was kept under a name: of all who do, on whichever node, one gets it. An engine
   * that may have gone back to an earlier state since it was kept gives it to nobody.
   */
  take(name: string): Promise<string | undefined>;
  /** Keeps it no longer. */
  drop(name: string): Promise<void>;
}
