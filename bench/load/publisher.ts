/** Who publishes: as many messages at a time as may be under way, or when they are due. */
import type { Connection } from "./connection.ts";

/** How a publisher publishes. */
export interface PublisherOptions {
  /** Its number, from 0. */
  readonly index: number;
  /** What it publishes to. */
  readonly channel: string;
  /** Messages that may be under way. */
  readonly inFlight: number;
  /** To how many a message goes: it is under way until each of them has it. */
  readonly listeners: number;
  /** Whether it also waits for the server's answer. */
  readonly isAnswered: boolean;
}

/** One publisher. */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #connection: Connection;
  /** By number, modulo its length: how many have not got this message yet. */
  readonly #awaited: Int32Array;
  /** All messages up to this number have come to everybody. */
  #done = 0;
  #isOpen = false;
  /** Messages published. */
  sent = 0;
  /** Messages that the server answered. */
  answered = 0;

  constructor(options: PublisherOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
    this.#awaited = new Int32Array(options.inFlight);
  }

  /** Publishes, and goes on whenever something is over. */
  start(): void {
    this.#isOpen = true;
    this.#fill();
  }

  /** Publishes no more. */
  stop(): void {
    this.#isOpen = false;
  }

  /** Publishes one message, whatever is under way. */
  publish(): void {
    const { index, channel } = this.#options;
    this.#connection.publish(channel, index, ++this.sent, performance.now() * 1000);
  }

  /** The server answered so many. */
  onAnswers(count: number): void {
    this.answered += count;
    this.#fill();
  }

  /** Somebody got this message. */
  onDelivered(number: number): void {
    const { inFlight } = this.#options;
    if (--this.#awaited[number % inFlight] > 0) return;
    while (this.#done < this.sent && this.#awaited[(this.#done + 1) % inFlight] <= 0) this.#done++;
    this.#fill();
  }

  #fill(): void {
    const { inFlight, listeners, isAnswered } = this.#options;
    while (this.#isOpen) {
      if (listeners === 0) this.#done = this.answered;
      if (this.sent - this.#done >= inFlight) return;
      if (isAnswered && this.sent - this.answered >= inFlight) return;
      this.#awaited[(this.sent + 1) % inFlight] = listeners;
      this.publish();
    }
  }
}
