import { MAX_RETRY_DELAY } from "./bounds.ts";
import type { Consumer } from "./consumer.ts";
import type { ClientError } from "./events.ts";
import type { Inbox } from "./inbox.ts";
import type { Message } from "./message.ts";
import { conform, type Schema } from "./schema.ts";
import type { Session } from "./session.ts";

/** Handles one message; the message is acknowledged when it has returned and its promise is fulfilled. */
export type MessageHandler<T> = (message: Message<T>) => unknown;

/** Who acknowledges messages. */
export type AckMode = "auto" | "manual";

/** How a handler is run. */
export interface HandlerOptions {
  /** With `pull` nobody does, and only who asks gets the next one. Default `auto`. */
  readonly ack?: AckMode | "pull";
  /** Messages that it handles at a time; with manual acknowledgement, that wait to be settled. Default 1. */
  readonly concurrency?: number;
  /** What payloads must look like. */
  readonly schema?: Schema | undefined;
}

/** Runs `handler` for every message of a channel. A throw refuses the message for a growing while. */
export function attachHandler<T>(
  session: Session,
  inbox: Inbox,
  handler: MessageHandler<T>,
  { ack = "auto", concurrency = 1, schema }: HandlerOptions,
): Consumer {
  const failed = (message: Message, error: unknown, origin: ClientError["origin"]): void => {
    const delay = session.terms.retryBackoff ** message.retryCount;
    message.nack({ delay: Math.min(delay, MAX_RETRY_DELAY) });
    session.report(error, origin, { message });
    if (ack !== "manual") consumer.more();
  };
  const done = (message: Message): void => {
    if (ack !== "auto") return;
    message.ack();
    consumer.more();
  };
  const run = (message: Message): void => {
    try {
      const result = handler(message as Message<T>) as PromiseLike<unknown> | undefined | null;
      // To wait for nothing would cost every message some turns.
      if (!result?.then) return done(message);
      Promise.resolve(result).then(
        () => done(message),
        (error) => failed(message, error, "handler"),
      );
    } catch (error) {
      failed(message, error, "handler");
    }
  };
  const check = (message: Message): unknown =>
    conform(schema!, message.data).then(
      (data) => run(Object.assign(message, { data })),
      (error) => failed(message, error, "schema"),
    );
  const settled = ack === "manual" ? (): void => consumer.more() : undefined;
  const consumer = inbox.attach(concurrency, schema ? check : run, settled);
  return consumer;
}
