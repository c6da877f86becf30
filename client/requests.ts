import { Deferred } from "./deferred.ts";
import { type Incoming, readError } from "./incoming.ts";
import type { ClientFrame } from "./protocol/frames.ts";
import { PushError } from "./protocol/error.ts";
import { MAX_FRAME_BYTES } from "./protocol/limits.ts";
import type { Session } from "./session.ts";

interface Request {
  /** The frame, if it is to be sent again on the next connection. */
  readonly text?: string;
  /** Takes the answer in; false if it is none. */
  answer(reply: Incoming): boolean;
  /** Ends the wait for good. */
  fail?(error: PushError): void;
}

/** Questions that wait for their answers, by request id. */
export interface Requests {
  /**
   * Asks, now or as soon as there is a connection, and again after a lost one: only for what may be
   * asked twice.
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
  ): Promise<T>;
  /** Asks on this connection. @param answered told with the answer, if one comes before its end */
  askOnce(frame: ClientFrame, answered: (reply: Incoming) => void): void;
  /** Takes a reply in. @returns whether somebody waited for it */
  reply(id: number, reply: Incoming): boolean;
  /** A connection has begun: asks again what the last one left unanswered. */
  resume(): void;
  /** The connection is gone. */
  disconnected(): void;
  /** Rejects everything. */
  close(error: PushError): void;
}

/** Makes the requests of a session. */
export function requestsOf({ settings, wire }: Session): Requests {
  const { clock, requestTimeout: timeout } = settings;
  const pending: Map<number, Request> = new Map();
  return {
    ask<T>(
      frame: ClientFrame,
      read: (reply: Incoming) => T | undefined,
      signal?: AbortSignal,
    ): Promise<T> {
      const id = wire.nextId();
      const text = JSON.stringify({ ...frame, request_id: id });
      const answer = new Deferred<T>().abortedBy(signal).rejectedAfter(clock, timeout, () => {
        const detail = `No answer to ${frame.type} came within ${timeout / 1000} s.`;
        return new PushError("disconnected", detail);
      });
      // A UTF-16 code unit becomes at most 3 bytes; a frame beyond the limit would end the connection.
      if (3 * text.length > MAX_FRAME_BYTES) answer.reject(new PushError("frame_too_large"));
      if (answer.settled) return answer.promise;
      pending.set(id, {
        text,
        answer(reply) {
          const error = readError(reply);
          const value = error ? undefined : read(reply);
          if (error) answer.reject(error);
          else if (value !== undefined) answer.resolve(value);
          return answer.settled;
        },
        fail: answer.reject,
      });
      answer.whenSettled(() => pending.delete(id));
      wire.sendText(text);
      return answer.promise;
    },
    askOnce(frame, answered) {
      const request_id = wire.nextId();
      pending.set(request_id, {
        answer(reply) {
          answered(reply);
          return pending.delete(request_id);
        },
      });
      wire.send({ ...frame, request_id } as ClientFrame);
    },
    reply: (id, reply) => pending.get(id)?.answer(reply) ?? false,
    resume() {
      for (const { text } of pending.values()) if (text) wire.sendText(text);
    },
    disconnected() {
      for (const [id, { text }] of pending) if (!text) pending.delete(id);
    },
    close(error) {
      for (const { fail } of pending.values()) fail?.(error);
    },
  };
}
