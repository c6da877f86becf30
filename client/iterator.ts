import type { Consumer } from "./consumer.ts";
import type { MessageHandler } from "./handler.ts";
import type { Message } from "./message.ts";

/**
 * Messages of a channel, one by one. Asking for the next one acknowledges those handed out before,
 * unless acknowledgement is manual. Leaving a loop early gives back what was handed out and not
 * acknowledged, for whoever reads on; the gateway hears nothing of it.
 */
export interface MessageIterator<T> extends AsyncIterableIterator<Message<T>> {
  /** Ends the iterator from outside. @param error what the next call rejects with, if anything */
  end(error?: unknown): void;
}

type Result<T> = IteratorResult<Message<T>>;

/**
 * Makes an iterator.
 *
 * @param attach attaches what takes the messages that are asked for
 * @param isManual whether asking acknowledges nothing
 * @param ended told at the end
 */
export function iteratorOf<T>(
  attach: (hand: MessageHandler<T>) => Consumer,
  isManual: boolean,
  ended: (iterator: MessageIterator<T>) => void,
): MessageIterator<T> {
  const asking: [answer: (result: Result<T>) => void, fail: (error: unknown) => void][] = [];
  let handed: Message<T>[] = [];
  let isOpen = true;
  let failure: unknown;
  const done: Result<T> = { done: true, value: undefined };

  /** Answers all that were asked for: the first with the error, if there is one. */
  const finish = (): void => {
    for (const [answer, fail] of asking.splice(0)) {
      if (failure === undefined) answer(done);
      else fail(failure);
      failure = undefined;
    }
  };
  const consumer = attach((message) => {
    // A schema may take its time.
    if (!isOpen) return consumer.release();
    handed = handed.filter(({ settled }) => !settled);
    handed.push(message);
    asking.shift()?.[0]({ value: message });
  });
  const iterator: MessageIterator<T> = {
    [Symbol.asyncIterator]: () => iterator,
    next() {
      if (!isManual) { for (const message of handed.splice(0)) message.ack(); }
      return new Promise((...both) => {
        asking.push(both);
        if (isOpen) consumer.more();
        else finish();
      });
    },
    return() {
      handed = [];
      consumer.release();
      iterator.end();
      return Promise.resolve(done);
    },
    end(error) {
      if (!isOpen) return;
      isOpen = false;
      failure = error;
      consumer.detach();
      ended(iterator);
      finish();
    },
  };
  return iterator;
}
