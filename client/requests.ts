import { isDeeper } from "./check.ts";
import { Deferred } from "./deferred.ts";
import { type Incoming, readError } from "./incoming.ts";
import { PushError } from "./protocol/error.ts";
import type { ClientFrame } from "./protocol/frames.ts";
import type { Room, Session } from "./session.ts";

interface Request {
  /** Takes the answer in. @returns whether it is one */
  answer(reply: Incoming): unknown;
  /** Sends it, at first and again on the next connection; absent if it ends with the connection. */
  send?(): void;
  /** Ends the wait for good. */
  fail?(error: PushError): void;
}

/** Takes an answer apart; `undefined` if it is none. */
type Read<T> = (reply: Incoming) => T | undefined;

/** Questions that wait for their answers, by request id. */
export interface Requests {
  /** Number for the next request; none is used twice. */
  nextId(): number;
  /**
   * Asks, now or as soon as there is a connection, and again after a lost one: only for what may be
   * asked twice.
   *
   * @returns a promise that rejects with the gateway's error, with `disconnected` after the timeout,
   * and with the signal's reason
   */
  ask<T>(frame: ClientFrame, read: Read<T>, signal?: AbortSignal): Promise<T>;
  /**
   * Does the same for what is sent, and settled, in a way of its own.
   *
   * @param failed what to reject with, when the gateway answers with an error or the client is closed;
   * nothing to wait on
   */
  wait<T>(
    id: number,
    answer: Deferred<T>,
    send: () => void,
    read: Read<T>,
    failed?: (error: PushError, reply?: Incoming) => PushError | undefined,
  ): Promise<T>;
  /** Asks on this connection. @param answered told with the answer, if one comes before its end */
  askOnce(frame: ClientFrame, answered: (reply: Incoming) => void): void;
  /** Takes a reply in. @returns whether somebody waited for it */
  reply(id: unknown, reply: Incoming): unknown;
  /** Asks again what was left unanswered. */
  resume(): void;
}

/** Makes the requests of a session. */
export function requestsOf(session: Session): Requests & Room {
  const { terms } = session;
  const pending: Map<unknown, Request> = new Map();
  let lastId = 0;
  /** Whether what was left unanswered has been said on this connection: nothing newer goes before it. */
  let isResumed = false;
  const resume = (): void => pending.forEach(({ send }) => send?.());
  return {
    nextId: () => ++lastId,
    ask<T>(frame: ClientFrame, read: Read<T>, signal?: AbortSignal): Promise<T> {
      const request_id = ++lastId;
      const text = JSON.stringify({ ...frame, request_id });
      const answer = new Deferred<T>(signal).rejectedAfter(session);
      // A UTF-16 code unit becomes at most 3 bytes; a frame beyond the limit would end the connection.
      if (3 * text.length > terms.maxFrameBytes) answer.reject(new PushError("frame_too_large"));
      // Around it there may be the body of a request, and a list.
      if (isDeeper(frame, terms.maxNesting - 2)) answer.reject(new PushError("nesting_too_deep"));
      return session.wait(request_id, answer, () => session.send(text), read);
    },
    wait(id, answer, send, read, failed = (error) => error) {
      if (answer.settled) return answer.promise;
      pending.set(id, {
        send,
        answer(reply) {
          const error = readError(reply);
          const value = error ? undefined : read(reply);
          const failure = error && failed(error, reply);
          if (failure) answer.reject(failure);
          else if (value !== undefined) answer.resolve(value);
          return answer.settled || error;
        },
        fail: (error) => answer.reject(failed(error)),
      });
      answer.whenSettled(() => pending.delete(id));
      if (isResumed) send();
      return answer.promise;
    },
    askOnce(frame, answered) {
      const request_id = ++lastId;
      pending.set(request_id, {
        answer(reply) {
          answered(reply);
          return pending.delete(request_id);
        },
      });
      session.send({ ...frame, request_id } as ClientFrame);
    },
    reply: (id, reply) => pending.get(id)?.answer(reply),
    resume,
    attached() {
      isResumed = true;
      resume();
    },
    detached() {
      isResumed = false;
      for (const [id, { send }] of pending) if (!send) pending.delete(id);
    },
    over: (error) => pending.forEach(({ fail }) => fail?.(error)),
  };
}
