import { Deferred } from "./deferred.ts";
import type { Code } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";

/** Why a client was closed. */
export interface Closed {
  /** `disconnected` after `disconnect()`; else what the gateway or the network said. */
  readonly code: Code;
  /** The same in words. */
  readonly reason: string;
}

/** Those who wait until the client is connected, and those who wait until it is closed. */
export class Lobby {
  readonly #connecting: Set<Deferred<void>> = new Set();
  readonly #closing: Set<Deferred<Closed>> = new Set();

  /** Waits for the connection. @param deserted told when an abort leaves nobody waiting */
  connecting(signal: AbortSignal | undefined, deserted: () => void): Promise<void> {
    const connecting = new Deferred<void>().abortedBy(signal);
    if (connecting.settled) return connecting.promise;
    this.#connecting.add(connecting);
    return connecting.whenSettled(() => {
      this.#connecting.delete(connecting);
      if (signal?.aborted && this.#connecting.size === 0) deserted();
    }).promise;
  }

  /** Waits for the end. */
  closing(signal: AbortSignal | undefined): Promise<Closed> {
    const closing = new Deferred<Closed>().abortedBy(signal);
    if (closing.settled) return closing.promise;
    this.#closing.add(closing);
    return closing.whenSettled(() => this.#closing.delete(closing)).promise;
  }

  /** The client is connected. */
  connected(): void {
    for (const connecting of [...this.#connecting]) connecting.resolve();
  }

  /** The client is closed. */
  closed(closed: Closed): void {
    const error = new PushError(closed.code, closed.reason);
    for (const connecting of [...this.#connecting]) connecting.reject(error);
    for (const closing of [...this.#closing]) closing.resolve(closed);
  }
}
