import type { Consumer } from "./consumer.ts";
import type { Inbox } from "./inbox.ts";
import type { AckMode } from "./iterator.ts";
import type { Message } from "./message.ts";
import type { Terms } from "./terms.ts";

/** Handles one message; the message is acknowledged when it has returned and its promise is fulfilled. */
export type MessageHandler<T> = (message: Message<T>) => unknown;

/** How a handler is run. */
export interface HandlerOptions {
  readonly mode: AckMode;
  /** Messages that it handles at a time; with manual acknowledgement, that wait to be settled. */
  readonly concurrency: number;
  readonly terms: { readonly retryBackoff: Terms["retryBackoff"] };
  /** Told of what the handler throws. */
  failed(error: unknown, message: Message): void;
}

/** Seconds before a message is sent again to a handler that threw: the first time, and at most. */
const RETRY_DELAY = 1;
const MAX_RETRY_DELAY = 3600;

/** Runs `handler` for every message of a channel. A throw refuses the message for a growing while. */
export function attachHandler<T>(
  inbox: Inbox,
  handler: MessageHandler<T>,
  options: HandlerOptions,
): Consumer {
  const { mode, concurrency, terms, failed } = options;
  const run = async (message: Message): Promise<void> => {
    try {
      await handler(message as Message<T>);
      if (mode === "auto") message.ack();
    } catch (error) {
      const delay = RETRY_DELAY * terms.retryBackoff ** message.retryCount;
      message.nack({ delay: Math.min(delay, MAX_RETRY_DELAY) });
      failed(error, message);
    }
    if (mode === "auto") consumer.more();
  };
  const consumer = inbox.attach({
    room: concurrency,
    hand: (message) => void run(message),
    ...mode === "manual" && { settled: () => consumer.more() },
  });
  return consumer;
}
