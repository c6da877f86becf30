import { TURN } from "./bounds.ts";
import type { PlacedMessage } from "./incoming.ts";
import type { Link } from "./links/link.ts";
import { Message } from "./message.ts";

/** One received message on its way through the handlers of its channel. */
export interface Entry {
  /** What arrived, last time it arrived. */
  received: PlacedMessage;
  /** How long its payload was then. */
  readonly size: number;
  /** Its number now: a new epoch of the log may give a message another. */
  seq: number;
  /** Consumers that have not finished with it. */
  waiting: Consumer[];
  /** Consumers that need not see it again. */
  succeeded: readonly Consumer[];
  /** How many consumers are at it now. */
  running: number;
  /** Seconds to wait before it is sent again, once a consumer has refused it. */
  delay?: number | undefined;
  /** When it may come again, in Unix milliseconds, once it is refused; absent while it is received. */
  due?: number | undefined;
  /** The connection on which the gateway was told of the refusal. */
  toldOn?: Link | undefined;
}

/**
 * The place of one handler or iterator in a channel: what waits for it, and how much it may take.
 * Messages are handed out at the end of the turn in which they arrive, in the order of arrival.
 */
export interface Consumer {
  /** Puts an entry at the end of the queue. */
  offer(entry: Entry): void;
  /** Makes room for one more message. */
  more(): void;
  /** Hands out what there is room for, at the end of this turn. */
  pump(): void;
  /** Takes nothing more; what has begun goes on to its end. */
  detach(): void;
  /** Takes nothing more, and gives back what has begun. */
  release(): void;
  /** Forgets what waits. */
  clear(): void;
}

/** What a {@linkcode Consumer} needs of its channel. */
export interface ConsumerContext {
  /** Whether the client is closed: then no message is handed out. */
  isClosed(): boolean;
  /** Whether an entry may still be handed out: not if the session that it came in is over. */
  isAlive(entry: Entry): boolean;
  /** A consumer is done with an entry. @param delay as of {@linkcode Entry.delay}, if it has refused it */
  finish(entry: Entry, consumer: Consumer, delay?: number): void;
  /** A consumer is gone; what it has not finished goes to the others, or waits for the next one. */
  left(consumer: Consumer, unfinished: readonly Entry[]): void;
}

/** Takes an item out of a short list. @returns whether it was in */
export function remove<T>(list: T[], item: T): boolean {
  const at = list.indexOf(item);
  if (at === list.length - 1) list.pop();
  else if (at >= 0) list.splice(at, 1);
  return at >= 0;
}

/**
 * How a {@linkcode Consumer} takes messages: so many at first, each by `hand`, which must not throw;
 * `settled` is told when one that was handed out has been acknowledged or refused.
 */
export type Taking = [room: number, hand: (message: Message) => void, settled?: () => void];

/** Makes a consumer. @param context its channel @param taking how it takes */
export function consumerOf(
  { isClosed, isAlive, finish, left }: ConsumerContext,
  ...[room, hand, settled]: Taking
): Consumer {
  const queue: Set<Entry> = new Set();
  /** Handed out, and neither settled nor given back. */
  let begun: Entry[] = [];
  let isPlanned = false;

  const begin = (entry: Entry): void => {
    room--;
    entry.running++;
    queue.delete(entry);
    begun.push(entry);
    hand(
      new Message(entry.received, (delay) => {
        if (remove(begun, entry)) entry.running--;
        finish(entry, consumer, delay);
        settled?.();
      }),
    );
  };
  const pump = (): void => {
    if (isPlanned || queue.size === 0) return;
    isPlanned = true;
    queueMicrotask(() => {
      isPlanned = false;
      let left = TURN;
      for (const entry of queue) {
        if (room <= 0 || isClosed()) return;
        if (left-- === 0) return pump();
        begin(entry);
      }
    });
  };
  const leave = (given: readonly Entry[]): void => {
    const unfinished = [...given, ...queue];
    queue.clear();
    left(consumer, unfinished);
  };
  const consumer: Consumer = {
    offer(entry) {
      queue.add(entry);
      pump();
    },
    more() {
      room++;
      pump();
    },
    pump,
    detach: () => leave([]),
    release() {
      const given = begun.filter(isAlive);
      for (const entry of given) entry.running--;
      begun = [];
      leave(given);
    },
    clear: () => queue.clear(),
  };
  return consumer;
}
