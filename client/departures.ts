import type { Clock } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import type { Wire } from "./wire.ts";

/** What {@linkcode Departures} needs around it. */
export interface DeparturesContext {
  readonly clock: Clock;
  readonly wire: Wire;
  /** Milliseconds that a request may take. */
  readonly timeout: number;
}

/** Channels to be unsubscribed from, until the gateway has said yes: on this connection or on a later one. */
export class Departures {
  readonly #context: DeparturesContext;
  readonly #leaving: Map<string, Deferred<void>> = new Map();
  /** Requests of this connection. */
  readonly #asked: Map<number, { name: string; leaving: Deferred<void> }> = new Map();

  /** @param context what is around */
  constructor(context: DeparturesContext) {
    this.#context = context;
  }

  /** Whether the gateway may still know of a subscription that is not wanted. */
  has(name: string): boolean {
    return this.#leaving.has(name);
  }

  /**
   * Unsubscribes from a channel.
   *
   * @returns a promise that fulfills when the gateway has followed, or when it cannot be told now
   */
  add(name: string): Promise<void> {
    const { clock, timeout, wire } = this.#context;
    const leaving = new Deferred<void>();
    this.#leaving.set(name, leaving);
    if (wire.up) {
      leaving.whenSettled(clock.schedule(timeout, () => leaving.resolve()));
      this.#send(name, leaving);
    } else {
      leaving.resolve();
    }
    return leaving.promise;
  }

  /** A connection has begun: says again what the last one left without an answer. */
  connected(): void {
    for (const [name, leaving] of this.#leaving) this.#send(name, leaving);
  }

  /** The connection is gone. */
  disconnected(): void {
    for (const { leaving } of this.#asked.values()) leaving.resolve();
    this.#asked.clear();
  }

  /** Takes a reply in. @returns whether somebody waited for it */
  reply(id: number): boolean {
    const asked = this.#asked.get(id);
    if (!asked) return false;
    this.#asked.delete(id);
    asked.leaving.resolve();
    if (this.#leaving.get(asked.name) === asked.leaving) this.#leaving.delete(asked.name);
    return true;
  }

  /** Forgets all of them: the session is over. */
  clear(): void {
    this.#leaving.clear();
  }

  #send(name: string, leaving: Deferred<void>): void {
    const { wire } = this.#context;
    const request_id = wire.nextId();
    this.#asked.set(request_id, { name, leaving });
    wire.send({ type: "channel.unsubscribe", channel: name, request_id });
  }
}
