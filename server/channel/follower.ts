import type { Cancel } from "../clock.ts";
import type { HubContext } from "../context.ts";
import type { LogView } from "./log_view.ts";
import type { Cluster, LogNotice, Stop } from "../stores/cluster.ts";

/** Whom a follower tells what it hears. */
export interface FollowerHost {
  /** Name of the channel. */
  readonly name: string;
  readonly context: HubContext;
  /** What the channel knows of its log. */
  readonly log: LogView;
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
  /** When somebody last wanted what is heard, in Unix milliseconds. */
  wantedAt: number;
  readonly #host: FollowerHost;
  readonly #cluster: Cluster;
  #stop: Stop | undefined;
  #following: Promise<void> | undefined;
  #wanted = false;
  /** Notices that wait for what comes before them; absent where none does. */
  #ahead: LogNotice[] | undefined;
  #expected = 0;
  #timer: Cancel | undefined;

  /** @param cluster whom to listen to; `host` whom to tell */
  constructor(cluster: Cluster, host: FollowerHost) {
    this.#cluster = cluster;
    this.#host = host;
    this.wantedAt = host.context.clock.now();
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

  /** Follows no more if nobody wanted it since a moment, in Unix milliseconds. */
  weary(since: number): void {
    if (this.wantedAt < since) this.unfollow();
  }

  /** The log has reached this number, and what is missing may be on its way. */
  expect(head: number): void {
    this.#expected = Math.max(this.#expected, head);
    if (this.#expected <= this.#host.log.head) return;
    this.#timer ??= this.#host.context.clock.schedule(PATIENCE, () => {
      this.#timer = undefined;
      this.#ahead = undefined;
      if (this.#host.log.head < this.#expected) this.#host.behind();
    });
  }

  /** Keeps a notice, with its messages up to its head, until what comes before it is there. */
  keep(notice: LogNotice): void {
    const ahead = this.#ahead ??= [];
    if (ahead.length < MAX_AHEAD) ahead.push(notice);
    this.expect(notice.head);
  }

  /** The row has grown: what waited for that is taken in. */
  advanced(): void {
    // Taking one in may take in others, and may end the epoch.
    for (let i = 0; i < this.#waiting; i++) {
      const { head } = this.#host.log;
      const notice = this.#ahead![i];
      if (notice.messages[0].seq > head + 1) continue;
      this.#ahead!.splice(i, 1);
      if (notice.head > head) this.#host.fits(notice);
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
    this.#ahead = undefined;
    this.#expected = 0;
  }

  get #waiting(): number {
    return this.#ahead?.length ?? 0;
  }

  async #follow(): Promise<void> {
    const host = this.#host;
    const stop = await this.#cluster.follow(host.name, (notice) => host.heard(notice));
    if (this.#wanted) this.#stop = stop;
    else stop();
  }
}
