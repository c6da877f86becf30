import type { Json } from "@push/client/protocol";
import type { Cluster } from "../cluster.ts";
import type { Revocation, RevocationNews } from "../revocations.ts";
import type { AppendResult, ChannelRecord, Draft, LogState, Page } from "../store.ts";
import { RedisBase, type RedisBaseOptions } from "./store_base.ts";

/** What all stores do alike whose logs are in Redis, wherever their sessions are. */
export abstract class LogStore {
  /** The connection, the logs, and what nodes say to each other. */
  protected readonly base: RedisBase;

  /** @param options where Redis is */
  constructor(options: RedisBaseOptions) {
    this.base = new RedisBase(options);
  }

  /** Why operations fail at present, as a sentence. */
  get trouble(): string | undefined {
    return this.base.trouble;
  }

  /** What nodes that share this data say to each other. */
  get cluster(): Cluster {
    return this.base.cluster;
  }

  /** Makes the store's time go on, for tests: Redis has a clock of its own. */
  advance(ms: number): void {
    this.base.link.timeOffset += ms;
  }

  /**
   * Connects and looks at the server.
   *
   * @throws {PushError} `unavailable` if Redis cannot be reached
   * @throws {TypeError} if it is too old, drops what it was given, or has data of another version
   */
  open(): Promise<void> {
    return this.base.open();
  }

  /** Makes sure that a channel exists (see {@linkcode Store.create}). */
  create(channel: string, metadata: { readonly [key: string]: Json }): Promise<boolean> {
    return this.base.log.create(channel, metadata);
  }

  /** Names and states of all channels (see {@linkcode Store.channels}). */
  channels(): Promise<ChannelRecord[]> {
    return this.base.log.channels();
  }

  /** Appends drafts (see {@linkcode Store.append}). */
  append(channel: string, drafts: readonly Draft[]): Promise<AppendResult> {
    return this.base.log.append(channel, drafts);
  }

  /** Reads what comes after a number (see {@linkcode Store.read}). */
  read(channel: string, after: number, limit: number): Promise<Page> {
    return this.base.log.read(channel, after, limit);
  }

  /** States of logs (see {@linkcode Store.states}). */
  states(channels: readonly string[]): Promise<(LogState | undefined)[]> {
    return this.base.log.states(channels);
  }

  /** Keeps a revocation (see {@linkcode Store.revoke}). */
  revoke(revocation: Revocation): Promise<boolean> {
    return this.base.revocations.revoke(revocation);
  }

  /** Revocations that have changed (see {@linkcode Store.revocations}). */
  revocations(known: string | undefined): Promise<RevocationNews> {
    return this.base.revocations.news(known);
  }
}
