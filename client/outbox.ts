import type { Cancel, Clock } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import { type Incoming, readError, readPublished } from "./incoming.ts";
import { PushError } from "./protocol/error.ts";
import type { PublishedFrame, PublishFrame } from "./protocol/frames.ts";
import { IDEMPOTENCY_WINDOW } from "./protocol/limits.ts";
import type { Terms } from "./terms.ts";
import type { Wire } from "./wire.ts";

/** What the gateway says about a message that it has stored. */
export interface Published {
  /** Names the message; the same as its `eventId` where it is received. */
  readonly eventId: string;
  /** Epoch of the channel's log. */
  readonly epoch: string;
  /** Number of the message in the log. */
  readonly seq: number;
  /** Other subscribers connected at that moment. */
  readonly delivered: number;
  /** Whether the id had been published before: this is the first result, and nothing was stored now. */
  readonly duplicate: boolean;
}

/** Sends a publish. @param timeout milliseconds to wait for the sending, and again for the answer */
export type SendPublish = (
  head: Omit<PublishFrame, "data">,
  data: string,
  timeout: number,
  signal: AbortSignal | undefined,
) => Promise<Published>;

/** What a client offers to its {@linkcode PublishKeeper}. */
export interface KeeperHost {
  /** The client. */
  readonly client: {
    readonly isConnected: boolean;
    on(
      event: "state",
      listener: (change: { readonly state: string; readonly reason: string }) => void,
    ): unknown;
  };
  /** Sends a publish. */
  readonly send: SendPublish;
  /** Tells of what no promise tells. */
  report(error: unknown, channel: string | undefined): void;
}

/** Stands before the sending of publishes, so that they outlive the page: see `@push/client/outbox`. */
export interface PublishKeeper {
  /** Called once, by the client that it is given to. */
  attach(host: KeeperHost): void;
  /** Sends a publish, perhaps later. */
  readonly publish: SendPublish;
}

/** What {@linkcode Outbox} needs around it. */
export interface OutboxContext {
  readonly clock: Clock;
  readonly wire: Wire;
  readonly terms: Terms;
  /** Most publishes at a time. */
  readonly limit: number;
}

interface Item {
  readonly id: number;
  readonly frame: string;
  /** Size of the payload, in bytes. */
  readonly size: number;
  readonly answer: Deferred<Published>;
  readonly timeout: number;
  /** When it was sent first. */
  sentAt: number | undefined;
  /** Whether it was sent more than once. */
  isAgain?: boolean;
  cancel: Cancel;
}

/**
 * Milliseconds in which a publish is sent again. A copy may be late by half a minute and still meet a
 * gateway that knows the first one, so that it is never stored twice.
 */
const RESEND_WINDOW = 1000 * (IDEMPOTENCY_WINDOW - 30);

/** Publishes on their way, in order: those not sent yet, and those without an answer. */
export class Outbox {
  readonly #context: OutboxContext;
  readonly #items: Map<number, Item> = new Map();

  /** @param context what is around */
  constructor(context: OutboxContext) {
    this.#context = context;
  }

  /** How many there are. */
  get size(): number {
    return this.#items.size;
  }

  /**
   * Publishes, now or as soon as there is a connection.
   *
   * @param head the frame without its payload
   * @param data JSON of the payload
   * @param timeout milliseconds to wait for the sending, and again for the answer
   * @param signal ends the wait, and takes back what was not sent
   */
  publish(
    head: Omit<PublishFrame, "data">,
    data: string,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<Published> {
    const { clock, wire, limit } = this.#context;
    const answer = new Deferred<Published>().abortedBy(signal);
    if (!answer.settled && this.#items.size >= limit) answer.reject(new PushError("outbox_full"));
    if (answer.settled) return answer.promise;
    const id = wire.nextId();
    const item: Item = {
      id,
      frame: `${JSON.stringify({ ...head, request_id: id }).slice(0, -1)},"data":${data}}`,
      size: utf8Length(data),
      answer,
      timeout,
      sentAt: undefined,
      cancel: clock.schedule(timeout, () => {
        const detail = `No connection came within ${timeout / 1000} s: nothing was sent.`;
        answer.reject(new PushError("disconnected", detail));
      }),
    };
    this.#items.set(id, item);
    answer.whenSettled(() => {
      item.cancel();
      this.#items.delete(id);
    });
    if (wire.up) this.#send(item);
    return answer.promise;
  }

  /** Takes a reply in. @returns whether a publish waited for it */
  reply(id: number, reply: Incoming): boolean {
    const item = this.#items.get(id);
    if (!item) return false;
    const error = readError(reply);
    const frame = readPublished(reply);
    // That this copy was not stored says nothing of an earlier one.
    if (error) item.answer.reject(error.retry && item.isAgain ? unknown(error) : error);
    if (frame) item.answer.resolve(publishedOf(frame));
    return item.answer.settled;
  }

  /** A new connection: sends all again that has no answer, the oldest first. */
  resume(): void {
    for (const item of [...this.#items.values()]) this.#send(item);
  }

  /** Rejects everything. */
  close(error: PushError): void {
    for (const { answer, sentAt } of [...this.#items.values()]) {
      answer.reject(sentAt === undefined ? error : unknown(error));
    }
  }

  #send(item: Item): void {
    const { clock, wire, terms } = this.#context;
    const { answer, size, timeout } = item;
    const now = clock.now();
    if (item.sentAt === undefined) {
      if (size > terms.maxMessageBytes) {
        const detail = `The payload has ${size} bytes: the gateway takes ${terms.maxMessageBytes}.`;
        return answer.reject(new PushError("message_too_large", detail));
      }
      item.sentAt = now;
      item.cancel();
      item.cancel = clock.schedule(timeout, () => answer.reject(unknown()));
    } else if (now - item.sentAt >= timeout) {
      // The machine slept, and its timers with it.
      return answer.reject(unknown());
    } else if (now - item.sentAt > RESEND_WINDOW) {
      return;
    } else item.isAgain = true;
    wire.sendText(item.frame);
  }
}

function publishedOf({ event_id, epoch, seq, delivered, duplicate }: PublishedFrame): Published {
  return { eventId: event_id!, epoch: epoch!, seq: seq!, delivered, duplicate: duplicate === true };
}

function unknown(cause?: PushError): PushError {
  return new PushError("outcome_unknown", undefined, { cause });
}

function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // A surrogate is half of 4 bytes.
    if (unit >= 0x80) length += unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return length;
}
