import type { Line } from "./link_line.ts";

/** Probes in a row that may be missed, less one. */
const MOST_MISSED = 2;

/** One connection for subscriptions, and whether it hears. */
export class Ear {
  /** Server that it goes to. */
  readonly owner: string;
  /** The connection. Set right after the making, as each knows the other. */
  line!: Line;
  /** Whether the connection was lost, so that everything must be subscribed again. */
  isLost = false;
  /** Of subscribing to everything again. */
  restoring: Promise<void> | undefined;
  /** How often that was asked for. */
  restores = 0;
  /** Topic that it is probed by. */
  probeTopic: string | undefined;
  /** Whether that topic is subscribed. */
  isProbed = false;
  /** Whether a probe is being published. */
  isProbing = false;
  #sent = 0;
  #heard = 0;
  #missed = 0;

  /** @param owner server that it goes to */
  constructor(owner: string) {
    this.owner = owner;
  }

  /** Is probed by another topic from now on. */
  begin(topic: string | undefined): string | undefined {
    this.probeTopic = topic;
    this.isProbed = false;
    this.forget();
    return topic;
  }

  /**
   * The next probe, which is to be published; `undefined` if the connection is deaf: the last two
   * were published, and have not arrived.
   */
  next(): string | undefined {
    this.#missed = this.#heard < this.#sent ? this.#missed + 1 : 0;
    return this.#missed >= MOST_MISSED ? undefined : String(++this.#sent);
  }

  /** A probe was heard. */
  heard(text: string): void {
    if (/^\d{1,15}$/.test(text)) this.#heard = Math.max(this.#heard, Number(text));
  }

  /** The last probe may not have been published. */
  forget(): void {
    this.#heard = this.#sent;
  }

  /** The connection was lost, and all subscriptions with it. */
  lost(): void {
    this.isLost = true;
    this.isProbed = false;
    this.forget();
  }
}
