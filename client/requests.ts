import type { Clock } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import { type Incoming, readError } from "./incoming.ts";
import type { ClientFrame } from "./protocol/frames.ts";
import { PushError } from "./protocol/error.ts";
import { MAX_FRAME_BYTES } from "./protocol/limits.ts";
import type { Wire } from "./wire.ts";

/** What {@linkcode Requests} needs around it. */
export interface RequestsContext {
  readonly clock: Clock;
  readonly wire: Wire;
  /** Milliseconds that a request may take. */
  readonly timeout: number;
}

interface Request {
  readonly text: string;
  /** Takes the answer in; false if it is none. */
  answer(reply: Incoming): boolean;
  fail(error: unknown): void;
}

/**
 * Questions that wait for their answers, by request id. One that a connection took with it is asked
 * again on the next, so only what may be asked twice belongs here.
 */
export class Requests {
  readonly #context: RequestsContext;
  readonly #pending: Map<number, Request> = new Map();

  /** @param context what is around */
  constructor(context: RequestsContext) {
    this.#context = context;
  }

  /**
   * Asks, now or as soon as there is a connection.
   *
   * @param frame the question
   * @param read takes the answer apart; `undefined` if it is none
   * @param signal ends the wait
   * @returns a promise that rejects with the gateway's error, with `disconnected` after the timeout,
   * and with the signal's reason
   */
  ask<T>(
    frame: ClientFrame,
    read: (reply: Incoming) => T | undefined,
    signal?: AbortSignal,
  ): Promise<T> {
    const { clock, wire, timeout } = this.#context;
    const id = wire.nextId();
    const text = JSON.stringify({ ...frame, request_id: id });
    const answer = new Deferred<T>().abortedBy(signal).rejectedAfter(clock, timeout, () => {
      const detail = `No answer to ${frame.type} came within ${timeout / 1000} s.`;
      return new PushError("disconnected", detail);
    });
    // A UTF-16 code unit becomes at most 3 bytes; a frame beyond the limit would end the connection.
    if (3 * text.length > MAX_FRAME_BYTES) answer.reject(new PushError("frame_too_large"));
    if (answer.settled) return answer.promise;
    const request: Request = {
      text,
      answer(reply) {
        const error = readError(reply);
        const value = error ? undefined : read(reply);
        if (error) answer.reject(error);
        else if (value !== undefined) answer.resolve(value);
        return answer.settled;
      },
      fail: (error) => answer.reject(error),
    };
    this.#pending.set(id, request);
    answer.whenSettled(() => this.#pending.delete(id));
    wire.sendText(text);
    return answer.promise;
  }

  /** Takes a reply in. @returns whether somebody waited for it */
  reply(id: number, reply: Incoming): boolean {
    return this.#pending.get(id)?.answer(reply) ?? false;
  }

  /** Asks again what the last connection left unanswered. */
  resume(): void {
    for (const { text } of this.#pending.values()) this.#context.wire.sendText(text);
  }

  /** Rejects everything. */
  close(error: PushError): void {
    for (const request of [...this.#pending.values()]) request.fail(error);
  }
}
