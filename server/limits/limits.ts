import { type Code, PushError } from "@push/client/protocol";
import type { Clock } from "../clock.ts";
import type { LimitSettings } from "../options/settings.ts";
import type { Store } from "../stores/store.ts";
import { addressKey } from "./addresses.ts";
import { Bucket, type BucketTerms, costOf } from "./bucket.ts";
import { Buckets } from "./buckets.ts";
import { Buffers } from "./buffers.ts";
import { Connections } from "./connections.ts";
import { PublishGate } from "./publishes.ts";
import { StoredChannels } from "./stored_channels.ts";
import { Throttled } from "./throttled.ts";

/** What {@linkcode Limits} is made of. */
export interface LimitParts {
  readonly settings: LimitSettings;
  readonly clock: Clock;
  readonly store: Pick<Store, "states" | "stats">;
  /** Whether this node uses a channel now. */
  isInUse(channel: string): boolean;
}

/** Names that are remembered for each of the limits below: some 100 bytes each. */
const MOST_NAMES = 65_536;
/**
 * Characters that a channel counts as which this node does not use: making one takes room and time as
 * several publishes do.
 */
const NEW_CHANNEL = 7 * 4096;
/** Seconds of failures that may come at once. */
const FAILURE_BURST = 5;
/**
 * What each failure costs. A poll token and a minted id cannot be guessed, and after a restart every
 * client shows one that is not known any more.
 */
const FAILURES: ReadonlyMap<Code, number> = new Map([
  ["token_invalid", 1],
  ["bad_secret", 1],
  ["unknown_session", 0.1],
]);

/** What clients may do together, and how fast each of them: asked by whoever lets them. */
export class Limits {
  /** Connections of all kinds. */
  readonly connections: Connections;
  /** Channels in the store. */
  readonly channels: StoredChannels;
  /** Bytes that wait in all connections. */
  readonly buffers: Buffers;
  readonly #settings: LimitSettings;
  readonly #clock: Clock;
  readonly #frames: BucketTerms;
  readonly #endless: Bucket;
  readonly #publishes: BucketTerms;
  readonly #polls: BucketTerms;
  readonly #failures: Buckets;
  readonly #takeovers: Buckets;
  /** Of those who publish over HTTP. */
  readonly #publishers: Buckets;
  #handshakes = 0;

  /** @param parts what is around */
  constructor({ settings, clock, store, isInUse }: LimitParts) {
    const { maxFailures, maxTakeovers } = settings;
    this.#settings = settings;
    this.#clock = clock;
    this.connections = new Connections(settings);
    this.buffers = new Buffers(settings.maxTotalBufferedBytes, () => clock.now());
    this.channels = new StoredChannels({
      clock,
      store,
      most: settings.maxStoredChannels,
      longest: settings.maxChannelName,
      isInUse,
    });
    this.#frames = { rate: settings.frameRate, burst: settings.frameBurst };
    this.#endless = new Bucket({ rate: 0, burst: settings.frameBurst }, clock.now());
    this.#publishes = { rate: settings.publishRate, burst: settings.publishBurst };
    this.#polls = { rate: settings.pollRate, burst: settings.pollBurst };
    const failures = { rate: maxFailures, burst: FAILURE_BURST * maxFailures };
    this.#failures = new Buckets(failures, MOST_NAMES);
    this.#takeovers = new Buckets({ rate: maxTakeovers / 60, burst: maxTakeovers }, MOST_NAMES);
    this.#publishers = new Buckets(this.#publishes, MOST_NAMES);
  }

  /** Connections that have not said who they are. */
  get handshakes(): number {
    return this.#handshakes;
  }

  /** What a new connection may send. Those without a limit share one. */
  frames(): Bucket {
    if (this.#frames.rate === 0) return this.#endless;
    return new Bucket(this.#frames, this.#clock.now());
  }

  /** Why a connection is closed that sends more. */
  get framesDetail(): string {
    return `More than ${this.#settings.frameRate} frames a second (frameRate).`;
  }

  /** Why a poller is refused that sends more. @param tokens that it lacked */
  tooManyFrames(frames: Bucket, tokens: number): Throttled {
    const wait = Math.max(frames.wait(this.#clock.now(), tokens), 1);
    return new Throttled("too_many_frames", this.framesDetail, wait);
  }

  /** What a new poller may ask. */
  polls(): Bucket {
    return new Bucket(this.#polls, this.#clock.now());
  }

  /** What a client may publish. */
  publishes(): PublishGate {
    return new PublishGate(this.#publishes, this.#clock.now());
  }

  /**
   * Lets a client publish.
   *
   * @param gate what its session has
   * @param channel where to; one that may have to be made costs as much as several publishes.
   *   `undefined` if another publish has paid for that
   * @param size characters of the payload
   * @throws {Throttled} `too_many_publishes`
   */
  checkPublish(
    gate: PublishGate,
    requestId: number | undefined,
    channel: string | undefined,
    size: number,
  ): void {
    const wait = gate.pass(this.#clock.now(), requestId, this.#sizeOf(channel, size));
    if (wait > 0) throw this.#tooManyPublishes(wait);
  }

  /**
   * Lets a client create a channel.
   *
   * @throws {Throttled} `too_many_publishes`
   */
  checkCreate(gate: PublishGate, channel: string): void {
    const wait = gate.pay(this.#clock.now(), this.#sizeOf(channel, 0));
    if (wait > 0) throw this.#tooManyPublishes(wait);
  }

  /**
   * Lets somebody publish over HTTP.
   *
   * @param channel where to, as for {@linkcode Limits.checkPublish}
   * @param size characters of the request
   * @throws {Throttled} `too_many_publishes`
   */
  checkHttpPublish(
    subject: string,
    address: string | undefined,
    channel: string | undefined,
    size: number,
  ): void {
    if (this.#publishers.isOpen) return;
    const now = this.#clock.now();
    const bucket = this.#publishers.use(`${addressKey(address) ?? ""} ${subject}`, now);
    const paid = this.#sizeOf(channel, size);
    if (!bucket.pay(now, paid)) {
      throw this.#tooManyPublishes(Math.max(bucket.wait(now, costOf(paid)), 1));
    }
  }

  #sizeOf(channel: string | undefined, size: number): number {
    const isThere = channel === undefined || this.channels.isInUse(channel);
    return isThere ? size : size + NEW_CHANNEL;
  }

  /**
   * Lets a poller ask.
   *
   * @param isPoll whether it asks for messages
   * @param size characters of what it sends
   * @throws {Throttled} `too_many_polls`, `too_many_frames`
   */
  checkRequest(frames: Bucket, polls: Bucket, isPoll: boolean, size: number): void {
    const now = this.#clock.now();
    if (!frames.pay(now, size)) {
      throw this.tooManyFrames(frames, costOf(size));
    }
    if (isPoll && !polls.take(now)) {
      const detail = `More than ${this.#settings.pollRate} polls a second (pollRate).`;
      throw new Throttled("too_many_polls", detail, polls.wait(now));
    }
  }

  /**
   * Lets a connection begin that has not said who it is.
   *
   * @throws {PushError} `too_many_handshakes`
   */
  checkHandshake(): void {
    const { maxHandshakes } = this.#settings;
    if (this.#handshakes < maxHandshakes) return;
    throw new PushError(
      "too_many_handshakes",
      `The gateway takes ${maxHandshakes} connections that have not said who they are ` +
        "(maxHandshakes), and has as many.",
    );
  }

  /** A connection is there that has not said who it is. */
  beginHandshake(): void {
    this.#handshakes++;
  }

  /** One of these has said it, or has gone. */
  endHandshake(): void {
    this.#handshakes--;
  }

  /**
   * Lets a session be taken from the connection that has it.
   *
   * @param key of the session
   * @throws {Throttled} `too_many_takeovers`
   */
  checkTakeover(key: string): void {
    if (this.#takeovers.isOpen) return;
    const now = this.#clock.now();
    const bucket = this.#takeovers.use(key, now);
    if (bucket.take(now)) return;
    const { maxTakeovers } = this.#settings;
    const detail = `The session was taken more than ${maxTakeovers} times in a minute ` +
      "(maxTakeovers).";
    throw new Throttled("too_many_takeovers", detail, bucket.wait(now));
  }

  /** Whether too many failures came from an address. */
  isBarred(address: string | undefined): boolean {
    const key = addressKey(address);
    const bucket = key === undefined ? undefined : this.#failures.find(key);
    return bucket !== undefined && bucket.wait(this.#clock.now()) > 0;
  }

  /**
   * Lets an address show a token. Says the same whatever the token is.
   *
   * @throws {Throttled} `too_many_failures`
   */
  checkFailures(address: string | undefined): void {
    if (!this.isBarred(address)) return;
    const { maxFailures } = this.#settings;
    const detail = `More than ${maxFailures} failures a second came from this address ` +
      "(maxFailures).";
    // It does not show how many they were.
    throw new Throttled("too_many_failures", detail, FAILURE_BURST * 1000);
  }

  /** Counts what an address was refused for, if it is a wrong token or the like. */
  failed(address: string | undefined, error: unknown): void {
    if (this.#failures.isOpen || !(error instanceof PushError)) return;
    const cost = FAILURES.get(error.code);
    const key = addressKey(address);
    if (cost === undefined || key === undefined) return;
    const now = this.#clock.now();
    this.#failures.use(key, now).charge(now, cost);
  }

  /** Forgets what needs no more to be remembered. */
  sweep(): void {
    const now = this.#clock.now();
    for (const buckets of [this.#failures, this.#takeovers, this.#publishers]) buckets.sweep(now);
  }

  #tooManyPublishes(wait: number): Throttled {
    const { publishRate } = this.#settings;
    const detail = `More than ${publishRate} publishes a second (publishRate); nothing was stored.`;
    return new Throttled("too_many_publishes", detail, wait);
  }
}
