import type { Inbox } from "./inbox.ts";
import type { PlacedMessage } from "./incoming.ts";
import { Message, type Outcome } from "./message.ts";

/** One received message on its way through the handlers of its channel. */
export class Entry {
  /** What arrived, last time it arrived. */
  received: PlacedMessage;
  /** Its place now: a new epoch of the log may give a message another. */
  epoch: string;
  seq: number;
  /** Consumers that have not finished with it. */
  readonly waiting: Set<Consumer> = new Set();
  /** Consumers that need not see it again. */
  readonly succeeded: Set<Consumer> = new Set();
  /** How many consumers are at it now. */
  running = 0;
  /** Seconds to wait before it is sent again, once a consumer has refused it. */
  delay: number | undefined;
  /** Milliseconds since the Unix epoch at which the refused message may come again. */
  due = 0;
  /** Whether the gateway has heard of the refusal: `unsure` after the connection it was told on is gone. */
  refusal: "untold" | "told" | "unsure" = "untold";

  /** @param received what arrived */
  constructor(received: PlacedMessage) {
    this.received = received;
    this.epoch = received.epoch;
    this.seq = received.seq;
  }
}

/** Whether messages may be handed out: not while the client is closed. */
export interface Gate {
  open: boolean;
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
export class Consumer {
  readonly #inbox: Inbox;
  readonly #gate: Gate;
  readonly #options: ConsumerOptions;
  readonly #queue: Entry[] = [];
  /** Handed out, and neither settled nor given back. */
  readonly #begun: Set<Entry> = new Set();
  #room: number;
  #planned = false;

  /** @param inbox where it takes from @param gate whether it may @param options how it takes */
  constructor(inbox: Inbox, gate: Gate, options: ConsumerOptions) {
    this.#inbox = inbox;
    this.#gate = gate;
    this.#options = options;
    this.#room = options.room;
  }

  /** Puts an entry at the end of the queue. */
  offer(entry: Entry): void {
    this.#queue.push(entry);
    this.pump();
  }

  /** Makes room for one more message. */
  more(): void {
    this.#room++;
    this.pump();
  }

  /** Hands out what there is room for, at the end of this turn. */
  pump(): void {
    if (this.#planned || this.#queue.length === 0 || this.#room <= 0 || !this.#gate.open) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      while (this.#room > 0 && this.#gate.open) {
        const entry = this.#queue.shift();
        if (!entry) break;
        this.#begin(entry);
      }
    });
  }

  /** Takes nothing more from the inbox; what has begun goes on to its end. */
  detach(): void {
    this.#room = -Infinity;
    this.#inbox.detach(this, this.#queue.splice(0));
  }

  /** Takes nothing more from the inbox, and gives back what has begun. */
  release(): void {
    this.#room = -Infinity;
    const begun = [...this.#begun].filter((entry) => this.#inbox.has(entry));
    for (const entry of begun) entry.running--;
    this.#begun.clear();
    this.#inbox.detach(this, [...begun, ...this.#queue.splice(0)]);
  }

  /** Forgets what waits. */
  clear(): void {
    this.#queue.length = 0;
  }

  #begin(entry: Entry): void {
    this.#room--;
    entry.running++;
    this.#begun.add(entry);
    const settle = (outcome: Outcome): void => {
      if (this.#begun.delete(entry)) entry.running--;
      this.#inbox.finish(entry, this, outcome);
      this.#options.settled?.();
    };
    this.#options.hand(new Message(entry.received, settle));
  }
}
