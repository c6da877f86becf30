import type { PlacedMessage } from "./incoming.ts";
import type { Link } from "./links/link.ts";
import { Message } from "./message.ts";
import type { Wire } from "./wire.ts";

/** One received message on its way through the handlers of its channel. */
export interface Entry {
  /** What arrived, last time it arrived. */
  received: PlacedMessage;
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
  /** Milliseconds since the Unix epoch at which the refused message may come again. */
  due: number;
  /** The connection on which the gateway was told of the refusal. */
  toldOn?: Link | undefined;
}

/** How a {@linkcode Consumer} takes messages. */
export interface ConsumerOptions {
  /** Messages that it takes at first. */
  readonly room: number;
  /** Takes one message. Must not throw. */
  readonly hand: (message: Message) => void;
  /** Told when a message that was handed out has been acknowledged or refused. */
  readonly settled?: () => void;
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
  readonly wire: Wire;
  /** Whether an entry may still be handed out: not if the session that it came in is over. */
  isAlive(entry: Entry): boolean;
  /** A consumer is done with an entry. @param delay as of {@linkcode Entry.delay}, if it has refused it */
  finish(entry: Entry, consumer: Consumer, delay?: number): void;
  /** A consumer is gone; what it has not finished goes to the others, or waits for the next one. */
  left(consumer: Consumer, unfinished: readonly Entry[]): void;
}

/** Most messages that are handed out before others get their turn. */
const TURN = 64;

/** Takes an item out of a short list. @returns whether it was in */
export function remove<T>(list: T[], item: T): boolean {
  const at = list.indexOf(item);
  if (at === list.length - 1) list.pop();
  else if (at >= 0) list.splice(at, 1);
  return at >= 0;
}

/** Makes a consumer. @param context its channel @param options how it takes */
export function consumerOf(
  { wire, isAlive, finish, left }: ConsumerContext,
  { room, hand, settled }: ConsumerOptions,
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
        if (room <= 0 || wire.isClosed) return;
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
