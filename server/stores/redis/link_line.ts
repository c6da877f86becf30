import type { Redis } from "ioredis";
import type { Cancel, Clock, RandomBytes } from "../../clock.ts";
import { unavailable } from "./link_errors.ts";

/** What a {@linkcode Line} is made with. */
export interface LineOptions {
  /** What is at the other end, for people: `Redis at 127.0.0.1:6379`. */
  readonly peer: string;
  /**
   * Makes a connection that is not begun, and does not reconnect by itself. Rejects if there is
   * nothing to connect to at present; at once when the signal is raised.
   */
  make(signal: AbortSignal): Promise<Redis>;
  /** Whether a fresh connection is of use; else why not, as the end of a sentence. */
  admit(redis: Redis): Promise<string | undefined>;
  /** Source of time, for the waits between attempts. */
  readonly clock: Clock;
  /** Source of randomness, for the same. */
  readonly random: RandomBytes;
  /** A connection stands, and can be used from now on. */
  onReady?(redis: Redis): void;
  /** A connection that stood is lost, or an attempt failed. */
  onLost?(): void;
}

const FIRST_WAIT = 100;
const LONGEST_WAIT = 2_000;
const SHORTEST_WAIT = 10;
const LOST = "the connection was lost";

/**
 * One connection to Redis that comes back by itself. Each attempt is a connection of its own, which
 * ends for good when it is lost: so whatever waited for an answer is rejected then, and nothing is
 * sent twice.
 */
export class Line {
  readonly #options: LineOptions;
  #redis: Redis | undefined;
  #current: Redis | undefined;
  #life: Promise<void> = Promise.resolve();
  #attempts = 0;
  #cancelWait: Cancel | undefined;
  #trouble: string | undefined;
  #isStarted = false;
  #isRenewed = false;
  readonly #closing = new AbortController();
  #waiting: PromiseWithResolvers<Redis>[] = [];

  /** @param options what to connect to, and how */
  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** The connection, while it can be used. */
  get redis(): Redis | undefined {
    return this.#redis?.status === "ready" ? this.#redis : undefined;
  }

  /** Why it cannot be used, as a sentence. */
  get trouble(): string | undefined {
    if (this.redis !== undefined) return undefined;
    return this.#trouble ??
      this.#sentence(this.#redis === undefined ? "it is not connected yet" : LOST);
  }

  /** Begins to connect, and goes on trying until it is closed. */
  start(): this {
    if (!this.#isClosed && !this.#isStarted) this.#attempt();
    this.#isStarted = true;
    return this;
  }

  /**
   * The connection, after the attempt that is under way.
   *
   * @throws {PushError} `unavailable` if that fails
   */
  settled(): Promise<Redis> {
    if (this.redis !== undefined) return Promise.resolve(this.redis);
    if (this.#isClosed) return Promise.reject(unavailable("The store is closed."));
    const waiting = Promise.withResolvers<Redis>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  /** Drops the connection, as it is of no use any more, and makes another. */
  renew(reason: string): void {
    if (this.#current === undefined) return;
    this.#trouble = this.#sentence(reason);
    this.#isRenewed = true;
    this.#redis = undefined;
    this.#drop();
  }

  /** Lets the connection go for good; idempotent. Resolves once nothing of it is left. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#trouble = "The store is closed.";
    this.#cancelWait?.();
    this.#redis = undefined;
    this.#drop();
    this.#settle();
    await this.#life;
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Ends the connection; one that has ended would wait for the end of a socket that is gone. */
  #drop(): void {
    if (this.#current?.status !== "end") this.#current?.disconnect();
  }

  #attempt(): void {
    this.#life = this.#live().then((reason) => {
      const isTold = this.#redis === undefined && this.#isRenewed;
      this.#redis = this.#current = undefined;
      this.#isRenewed = false;
      if (this.#isClosed) return;
      if (!isTold) this.#trouble = this.#sentence(reason);
      this.#settle();
      this.#waitAndRetry();
      this.#options.onLost?.();
    });
  }

  /** One connection, from its beginning to its end; resolves to why it ended. */
  async #live(): Promise<string> {
    let redis: Redis;
    this.#attempts++;
    try {
      redis = await this.#options.make(this.#closing.signal);
    } catch (error) {
      return reasonOf(error as Error);
    }
    if (this.#isClosed) return LOST;
    let reason = LOST;
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.#current = redis;
    redis.on("error", (error: Error) => reason = reasonOf(error));
    redis.once("end", () => end());
    try {
      await redis.connect();
      const refusal = await this.#options.admit(redis);
      if (refusal !== undefined) {
        reason = refusal;
        this.#drop();
      } else if (!this.#isClosed && !this.#isRenewed && redis.status === "ready") {
        this.#attempts = 0;
        this.#trouble = undefined;
        this.#redis = redis;
        this.#settle();
        this.#options.onReady?.(redis);
      }
    } catch (error) {
      // Why it could not connect was told as an event, which is followed by the end.
      if (redis.status === "ready") {
        reason = reasonOf(error as Error);
        this.#drop();
      }
    }
    await ended;
    return reason;
  }

  #waitAndRetry(): void {
    const { clock, random } = this.#options;
    const limit = Math.min(FIRST_WAIT * 2 ** Math.min(this.#attempts, 10), LONGEST_WAIT);
    const [high, low] = random(2);
    const wait = Math.max(limit * ((high * 256 + low) / 65_536), SHORTEST_WAIT);
    this.#cancelWait = clock.schedule(wait, () => this.#attempt());
  }

  #settle(): void {
    const { redis } = this;
    for (const waiting of this.#waiting.splice(0)) {
      if (redis === undefined) waiting.reject(unavailable(this.trouble));
      else waiting.resolve(redis);
    }
  }

  #sentence(reason: string): string {
    return `${this.#options.peer} cannot be used: ${reason}.`;
  }
}

/** Why a connection failed, in words of people where there are any. */
function reasonOf(error: Error & { code?: string }): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return "it refuses connections";
    case "ETIMEDOUT":
      return "it does not answer";
    case "ENOTFOUND":
      return "there is no such host";
  }
  if (/^WRONGPASS/.test(error.message)) return "it does not accept the user name or password";
  if (/^All sentinels are unreachable/.test(error.message)) return "no Sentinel answers";
  if (/^NOAUTH/.test(error.message)) return "it asks for a password";
  if (/timed out|^Socket timeout/.test(error.message)) return "it does not answer";
  if (/ECONNRESET|EPIPE|isn't writeable|is closed/.test(error.message)) return LOST;
  return error.message.replace(/\.$/, "");
}
