import type { Json } from "@push/client/protocol";
import type { Cancel, Clock } from "../clock.ts";
import type { Cluster } from "../stores/cluster.ts";

/** Who is told of what happens to this node's rows. */
export interface RosterWriterHost {
  /** A write has failed, and is tried again. */
  failed(): void;
  /** The rows were lost, and are about to be written anew. */
  lost(): void;
}

/** Milliseconds between two writes; the first change of a quiet time is written at once. */
const WRITE_INTERVAL = 100;
/** Milliseconds after which a write that failed is tried again. */
const RETRY_DELAY = 1_000;
/** Rows of one write, so that no write is large. */
const MAX_ROWS = 1_000;

/**
 * Writes this node's rows: gathered, one write at a time, and again until they are written. If the
 * rows were lost, because the lease had lapsed or the data was flushed, all are written anew.
 */
export class RosterWriter {
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  readonly #host: RosterWriterHost;
  readonly #rows = new Map<string, Json>();
  #changes = new Map<string, Json>();
  /** Version after the last write that is known to have happened, if there is one to go by… */
  #version: number | undefined = 0;
  /** …and the writes since of which that is not known. */
  #unknown = 0;
  /** Grows with each write that begins or ends. */
  #steps = 0;
  #writing: Promise<void> | undefined;
  #lastWrite = -Infinity;
  #timer: Cancel | undefined;
  #isRunning = false;

  /**
   * @param cluster where the rows are written
   * @param clock source of time
   * @param host who is told of what happens
   */
  constructor(cluster: Cluster, clock: Clock, host: RosterWriterHost) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#host = host;
  }

  /** Names a moment: while it stays the same, no write has begun or ended. */
  get steps(): number {
    return this.#steps;
  }

  /** Begins to write. */
  start(): void {
    this.#isRunning = true;
    this.#schedule(0);
  }

  /** Stops its timer; a write that is under way ends. */
  stop(): void {
    this.#isRunning = false;
    this.#timer?.();
    this.#timer = undefined;
  }

  /** Writes what waits, and stops. */
  async finish(): Promise<void> {
    this.stop();
    await this.#writing;
    while (this.#changes.size > 0 && await this.#writeSome());
  }

  /** Sets a row, or removes it. */
  set(key: string, row: Json | null): void {
    if (row === null) this.#rows.delete(key);
    else this.#rows.set(key, row);
    this.#changes.set(key, row);
    this.#schedule(this.#lastWrite + WRITE_INTERVAL - this.#clock.now());
  }

  /**
   * Compares the version of the rows with what was written; if they were lost, all are written anew.
   *
   * @param version what the cluster says
   * @param steps {@linkcode RosterWriter.steps} when it was asked
   * @returns whether they were lost
   */
  compare(version: number | undefined, steps: number): boolean {
    // A write at the same time finds it out by itself.
    if (steps !== this.#steps || this.#writing !== undefined) return false;
    if (version === undefined || this.#fits(version)) return false;
    // They may go on with any version.
    this.#version = undefined;
    this.#rewrite();
    return true;
  }

  /** Whether a version can be what the writes until now have led to. */
  #fits(version: number): boolean {
    if (this.#version === undefined) return true;
    return version >= this.#version && version <= this.#version + this.#unknown;
  }

  #rewrite(): void {
    this.#unknown = 0;
    this.#host.lost();
    for (const [key, row] of this.#rows) this.#changes.set(key, row);
    this.#schedule(0);
  }

  #schedule(wait: number): void {
    if (!this.#isRunning || this.#timer !== undefined || this.#writing !== undefined) return;
    if (this.#changes.size === 0) return;
    // A jump of the machine's clock must not stop the writing.
    const delay = Math.min(Math.max(wait, 0), WRITE_INTERVAL);
    this.#timer = this.#clock.schedule(delay, () => this.#run());
  }

  #run(): void {
    this.#timer = undefined;
    this.#lastWrite = this.#clock.now();
    this.#writing = this.#writeSome().then((isDone) => {
      this.#writing = undefined;
      if (isDone) return this.#schedule(WRITE_INTERVAL);
      if (!this.#isRunning || this.#timer !== undefined) return;
      this.#timer = this.#clock.schedule(RETRY_DELAY, () => this.#run());
    });
  }

  /** Writes what waits, or a part of it; resolves to whether that worked. */
  async #writeSome(): Promise<boolean> {
    const all = this.#changes;
    const some = new Map<string, Json>();
    for (const [key, row] of all) {
      if (some.size === MAX_ROWS) break;
      some.set(key, row);
      all.delete(key);
    }
    this.#steps++;
    try {
      const version = await this.#cluster.write(some);
      const fits = this.#fits(version - 1);
      this.#version = version;
      this.#unknown = 0;
      if (!fits) this.#rewrite();
      return true;
    } catch {
      this.#unknown++;
      this.#host.failed();
      // What has changed since is newer.
      for (const [key, row] of some) if (!all.has(key)) all.set(key, row);
      return false;
    } finally {
      this.#steps++;
    }
  }
}
