import { check, number } from "./check.ts";
import type { PlacedMessage } from "./incoming.ts";
import type { Json } from "./protocol/frames.ts";

/** Told what became of a message in one handler: refused with a wait of so many seconds, or done. */
export type Settle = (delay?: number) => void;

/** Options of {@linkcode Message.nack}. */
export interface NackOptions {
  /** Seconds to wait before the message is sent again, 0 to 86400. Default 0. */
  readonly delay?: number;
}

/** What a gateway takes. */
const DELAY = number(0, 86_400);

/**
 * A message, as one handler gets it.
 *
 * @typeParam T what the publishers of the channel are known to send; only a schema checks it
 * @typeParam N name of the channel
 */
export class Message<T = Json, N extends string = string> {
  /** Channel that it was published on. */
  declare readonly channel: N;
  /** What was published. */
  declare readonly data: T;
  /** Names the message: opaque, unique in all channels. `subscribe` takes it as `since`. */
  declare readonly eventId: string;
  /** When it was stored, in Unix seconds. */
  declare readonly timestamp: number;
  /** Client id of the publisher; `null` if it came over HTTP or from the gateway's own program. */
  declare readonly source: string | null;
  /** Id that it was published with. */
  declare readonly id: string | undefined;
  /** Whether it may have been delivered before. */
  declare readonly redelivered: boolean;
  /** Attempts that failed so far. */
  declare readonly retryCount: number;
  /** Whether it came back from the dead letters. */
  declare readonly redriven: boolean;
  #settle: Settle | undefined;

  /** Made by the client. @param frame what arrived @param settle told once what became of it */
  constructor(frame: PlacedMessage, settle: Settle) {
    this.channel = frame.channel as N;
    this.data = frame.data as T;
    this.eventId = frame.event_id;
    this.timestamp = frame.timestamp;
    this.source = frame.source;
    this.id = frame.id;
    this.redelivered = !!frame._redelivered;
    this.retryCount = frame._retry_count ?? 0;
    this.redriven = !!frame._redriven;
    this.#settle = settle;
  }

  /** Whether {@linkcode Message.ack} or {@linkcode Message.nack} was called, by whomever. */
  get settled(): boolean {
    return !this.#settle;
  }

  /** Acknowledges the message: this handler never gets it again. Does nothing if it is settled. */
  ack(): void {
    this.#finish();
  }

  /**
   * Refuses the message: it is delivered again, until the gateway's `maxRetries`. Does nothing if it
   * is settled.
   *
   * @throws {TypeError | RangeError} if `delay` is not a number from 0 to 86400
   */
  nack(options: NackOptions = {}): void {
    this.#finish(check("delay", options.delay ?? 0, DELAY));
  }

  #finish(delay?: number): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(delay);
  }
}
