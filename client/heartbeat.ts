import type { Cancel, Clock } from "./clock.ts";
import type { HeartbeatFrame } from "./protocol/frames.ts";
import type { Wire } from "./wire.ts";

/** What a {@linkcode Heartbeat} needs around it. */
export interface HeartbeatContext {
  readonly clock: Clock;
  readonly wire: Wire;
  /** Most milliseconds between beats that the application allows. */
  readonly limit: number | undefined;
  /** The other side has been silent for too long. */
  silent(reason: string): void;
}

/** Milliseconds between signs of life where the gateway knows no presence. */
const PING_INTERVAL = 25_000;
/** Milliseconds of silence beyond the interval after which a connection counts as lost. */
const GRACE = 10_000;
/** Milliseconds in which a connection that is asked for a sign of life must give one. */
const CHECK_TIMEOUT = 5000;

/**
 * Signs of life in both directions. A dead network closes no socket: what says nothing for longer
 * than the answer to a beat could take is given up without waiting for its close.
 */
export class Heartbeat {
  readonly #context: HeartbeatContext;
  #status: Pick<HeartbeatFrame, "status" | "metadata"> = {};
  #presence = false;
  #interval = PING_INTERVAL;
  #cancelBeat: Cancel | undefined;
  #cancelWatch: Cancel | undefined;

  /** @param context what is around */
  constructor(context: HeartbeatContext) {
    this.#context = context;
  }

  /** What the next beats say of the client. */
  set status(status: Pick<HeartbeatFrame, "status" | "metadata">) {
    this.#status = status;
  }

  /** A connection has begun. @param interval milliseconds between beats; 0 if there is no presence */
  start(interval: number): void {
    this.stop();
    this.#presence = interval > 0;
    this.#interval = Math.min(interval || PING_INTERVAL, this.#context.limit ?? Infinity);
    // The gateway does not remember the status of a client that it had lost.
    if (this.#presence && this.#status.status !== undefined) this.#beat();
    this.#plan();
    this.#watch(this.#interval + GRACE);
  }

  /** The connection is gone. */
  stop(): void {
    this.#cancelBeat?.();
    this.#cancelWatch?.();
    this.#cancelBeat = this.#cancelWatch = undefined;
  }

  /** The other side has said something. */
  heard(): void {
    if (this.#cancelWatch) this.#watch(this.#interval + GRACE);
  }

  /** Asks for a sign of life, to come soon: the page slept, or the network changed. */
  check(): void {
    if (!this.#cancelWatch) return;
    this.#context.wire.send({ type: "ping" });
    this.#watch(CHECK_TIMEOUT);
  }

  #plan(): void {
    this.#cancelBeat = this.#context.clock.schedule(this.#interval, () => {
      this.#beat();
      this.#plan();
    });
  }

  #beat(): void {
    const frame = { type: "presence.heartbeat", ...this.#status } as const;
    this.#context.wire.send(this.#presence ? frame : { type: "ping" });
  }

  #watch(delay: number): void {
    this.#cancelWatch?.();
    this.#cancelWatch = this.#context.clock.schedule(delay, () => {
      this.stop();
      this.#context.silent(`Nothing was heard for ${delay / 1000} s.`);
    });
  }
}
