import { isRecord } from "./check.ts";
import type { Cancel, Clock } from "./clock.ts";
import type { Inbox } from "./inbox.ts";
import type { Ack, Json, RenewFrame } from "./protocol/frames.ts";
import type { Terms } from "./terms.ts";
import type { Wire } from "./wire.ts";

/** What {@linkcode Acks} needs around it. */
export interface AcksContext {
  readonly clock: Clock;
  readonly wire: Wire;
  readonly terms: Terms;
  /** Every channel that flows on this connection, by name. */
  flowing(): Iterable<readonly [string, Inbox]>;
  /** Told after something was acknowledged. */
  acknowledged(): void;
}

/** Longest wait for more to acknowledge, in milliseconds (contract, "Wire"). */
const MAX_WAIT = 200;
/** Most messages in one frame: as many ranges as a gateway reads (`isRanges`). */
const MAX_COUNT = 4096;
/**
 * Part of the window's bytes, counted in UTF-16 code units, that is acknowledged at once: as JSON one
 * of them is at most 6 bytes, so this comes before the window is full.
 */
const MAX_PART = 1 / 8;

/** Acknowledges what is settled, all channels in one frame, and renews what waits for its handler. */
export class Acks {
  readonly #context: AcksContext;
  #count = 0;
  #size = 0;
  #cancelFlush: Cancel | undefined;
  #cancelRenewal: Cancel | undefined;
  /** Channels that the last renewal named. */
  #renewed: Set<string> = new Set();

  /** @param context what is around */
  constructor(context: AcksContext) {
    this.#context = context;
  }

  /** One more message waits to be acknowledged. @param data its payload */
  settled(data: Json): void {
    const { clock, terms, wire } = this.#context;
    if (!wire.up) return;
    this.#count++;
    this.#size += sizeOf(data);
    const full = this.#count >= Math.min(terms.window / 2, MAX_COUNT) ||
      this.#size >= terms.windowBytes * MAX_PART;
    if (full) return this.flush();
    const wait = Math.min(MAX_WAIT, terms.ackTimeout / 4);
    this.#cancelFlush ??= clock.schedule(wait, () => this.flush());
  }

  /** Acknowledges what is settled. What is settled without a connection waits for the next one. */
  flush(): void {
    const { wire } = this.#context;
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    if (!wire.up) return;
    const acks: Ack[] = [];
    for (const [, inbox] of this.#context.flowing()) {
      const ack = inbox.takeAck();
      if (ack) acks.push(ack);
    }
    this.#count = this.#size = 0;
    if (acks.length === 0) return;
    wire.send({ type: "ack", acks });
    this.#context.acknowledged();
  }

  /** A connection has begun: acknowledges and renews on it. */
  start(): void {
    this.flush();
    const { clock, terms } = this.#context;
    if (!terms.delivery) return;
    const next = (): void => {
      this.#cancelRenewal = clock.schedule(terms.ackTimeout / 3, () => {
        this.#renew();
        next();
      });
    };
    next();
  }

  /** The connection is gone. The next one states positions, which say more than any acknowledgement. */
  stop(): void {
    this.#cancelFlush?.();
    this.#cancelRenewal?.();
    this.#cancelFlush = this.#cancelRenewal = undefined;
    this.#count = this.#size = 0;
    this.#renewed.clear();
  }

  #renew(): void {
    const renew: RenewFrame["renew"] = [];
    for (const [channel, inbox] of this.#context.flowing()) {
      inbox.refuseAgain();
      const { idle } = inbox;
      if (!idle) continue;
      const waits = idle.ranges.length > 0;
      // Each renewal replaces the one before, so an empty one ends it.
      if (waits || this.#renewed.has(channel)) renew.push({ channel, ...idle });
      if (waits) this.#renewed.add(channel);
      else this.#renewed.delete(channel);
    }
    if (renew.length > 0) this.#context.wire.send({ type: "renew", renew });
  }
}

/** About the length of a value as JSON. Does not recur, as payloads may be deep. */
function sizeOf(data: Json): number {
  let size = 0;
  const rest: unknown[] = [data];
  while (rest.length > 0) {
    const value = rest.pop();
    if (typeof value === "string") size += value.length;
    else if (Array.isArray(value)) { for (const item of value) rest.push(item); }
    else if (isRecord(value)) { for (const entry of Object.entries(value)) rest.push(...entry); }
    size += 4;
  }
  return size;
}
