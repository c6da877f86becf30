import { MAX_HINT, RESEND_WINDOW } from "./bounds.ts";
import { isDeeper } from "./check.ts";
import type { Cancel } from "./clock.ts";
import { Deferred, LATE } from "./deferred.ts";
import { readPublished } from "./incoming.ts";
import { PushError } from "./protocol/error.ts";
import type { PublishFrame } from "./protocol/frames.ts";
import type { Session } from "./session.ts";

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

/** Publishes on their way, in order: those not sent yet, and those without an answer. */
export interface Outbox {
  /** Those without an answer. */
  readonly unanswered: ReadonlySet<unknown>;
  /** Publishes, now or as soon as there is a connection. The signal takes back what was not sent. */
  readonly publish: SendPublish;
}

/** Makes the outbox of a session. */
export function outboxOf(session: Session): Outbox {
  const { clock, terms } = session;
  const unanswered: Set<Deferred<Published>> = new Set();
  /** Ends a wait that the gateway has asked for: nothing is sent before. */
  let resume: Cancel | undefined;
  const unknown = (cause?: PushError): PushError =>
    new PushError("outcome_unknown", undefined, { cause });
  return {
    unanswered,
    publish(head, data, timeout, signal) {
      const id = session.nextId();
      const frame = `${JSON.stringify({ ...head, request_id: id }).slice(0, -1)},"data":${data}}`;
      let sentAt: number | undefined;
      /** Whether it was sent more than once. */
      let isAgain = false;
      /** Why it was not stored, if it was refused and the gateway has no copy of it. */
      let refusal: PushError | undefined;
      const late = (): void => answer.reject(refusal ?? unknown());
      const send = (): void => {
        if (resume) return;
        const now = clock.now();
        if (sentAt === undefined) {
          const { maxMessageBytes, maxFrameBytes, maxNesting } = terms;
          const size = new TextEncoder().encode(data).length;
          // Beside the payload there are its head, of whatever letters, and what is around a frame.
          const most = Math.min(
            maxMessageBytes,
            maxFrameBytes - 3 * (frame.length - data.length) - 99,
          );
          if (size > most) {
            const detail = `${size} bytes: the gateway takes ${most}.`;
            return answer.reject(new PushError("message_too_large", detail));
          }
          // In a frame, in a list, in the body of a request: to refuse that would refuse all in it.
          if (data.length > 2 * maxNesting - 6 && isDeeper(JSON.parse(data), maxNesting - 3)) {
            return answer.reject(new PushError("nesting_too_deep"));
          }
          sentAt = now;
          cancel();
          cancel = clock.schedule(timeout, late);
        } else {
          // The machine may have slept, and its timers with it.
          if (now - sentAt >= timeout) return late();
          if (now - sentAt > RESEND_WINDOW) return;
          isAgain ||= !refusal;
        }
        refusal = undefined;
        session.send(frame);
      };
      let cancel = clock.schedule(timeout, () => {
        answer.reject(new PushError("disconnected", LATE));
      });
      const answer = new Deferred<Published>(signal, unanswered).whenSettled(() => {
        cancel();
        if (unanswered.size > 0) return;
        resume?.();
        resume = undefined;
      });
      if (unanswered.size > session.maxOutbox) answer.reject(new PushError("outbox_full"));
      return session.wait(
        id,
        answer,
        send,
        readPublished,
        (error, reply) => {
          const wait = reply?.retry_after;
          if (error.code === "too_many_publishes" && typeof wait === "number") {
            if (!isAgain) refusal = error;
            // All without an answer come again in their order: some of them may be on their way still.
            resume ??= clock.schedule(1000 * Math.min(wait, MAX_HINT), () => {
              resume = undefined;
              if (session.link) session.resume();
            });
            return undefined;
          }
          // That this copy was not stored says nothing of an earlier one.
          return (reply ? error.retry && isAgain : sentAt !== undefined && !refusal)
            ? unknown(error)
            : error;
        },
      );
    },
  };
}
