import type { Cancel, Clock } from "../clock.ts";
import type { Cluster, LogNotice, Stop } from "../stores/cluster.ts";

/** What a follower tells its channel. */
export interface FollowerParts {
  readonly channel: string;
  readonly cluster: Cluster;
  readonly clock: Clock;
  /** Highest number of the row that the channel has. */
  head(): number;
  /** A notice of another node, or of this one. */
  heard(notice: LogNotice): void;
  /** Takes in a notice that fits the row by now. */
  fits(notice: LogNotice): void;
  /** The row did not close: what is missing must be read. */
  behind(): void;
}

/** Milliseconds in which what is missing in a row may still come by itself. */
const PATIENCE = 20;
/** Most notices that wait for what comes before them. */
const MAX_AHEAD = 64;

/**
 * What one channel hears of other nodes. Notices come late, twice, out of order or never: one that
 * is ahead of the row waits a moment for what is missing, and then the log is read.
 */
export class Follower {
  readonly #parts: FollowerParts;
  #stop: Stop | undefined;
  #following: Promise<void> | undefined;
  #wanted = false;
  #ahead: LogNotice[] = [];
  #expected = 0;
  #timer: Cancel | undefined;

  /** @param parts whom to listen to, and whom to tell */
  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** Whether notices flow. */
  get isFollowing(): boolean {
    return this.#stop !== undefined;
  }

  /** Highest number that the log is known to have reached, in the present epoch. */
  get expected(): number {
    return this.#expected;
  }

  /**
   * Resolves once notices flow.
   *
   * @throws {PushError} as the cluster
   */
  follow(): Promise<void> {
    this.#wanted = true;
    if (this.#stop !== undefined) return Promise.resolve();
    return this.#following ??= this.#follow().finally(() => this.#following = undefined);
  }

  /** Follows no more. */
  unfollow(): void {
    this.#wanted = false;
    this.#stop?.();
    this.#stop = undefined;
    this.reset();
  }

  /** The log has reached this number, and what is missing may be on its way. */
  expect(head: number): void {
    this.#expected = Math.max(this.#expected, head);
    if (this.#expected <= this.#parts.head()) return;
    this.#timer ??= this.#parts.clock.schedule(PATIENCE, () => {
      this.#timer = undefined;
      this.#ahead = [];
      if (this.#parts.head() < this.#expected) this.#parts.behind();
    });
  }

  /** Keeps a notice, with its messages up to its head, until what comes before it is there. */
  keep(notice: LogNotice): void {
    if (this.#ahead.length < MAX_AHEAD) this.#ahead.push(notice);
    this.expect(notice.head);
  }

  /** The row has grown: what waited for that is taken in. */
  advanced(): void {
    for (let i = 0; i < this.#ahead.length; i++) {
      const head = this.#parts.head();
      const notice = this.#ahead[i];
      if (notice.messages[0].seq > head + 1) continue;
      this.#ahead.splice(i, 1);
      if (notice.head > head) this.#parts.fits(notice);
      // An earlier one may fit now.
      i = -1;
    }
    // A read may have brought a part only.
    this.expect(0);
  }

  /** Another epoch has begun: what was heard means nothing any more. */
  reset(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#ahead = [];
    this.#expected = 0;
  }

  async #follow(): Promise<void> {
    const { cluster, channel, heard } = this.#parts;
    const stop = await cluster.follow(channel, heard);
    if (this.#wanted) this.#stop = stop;
    else stop();
  }
}
