import { PushError } from "@push/client/protocol";
import { addressKey } from "./addresses.ts";

/** How many connections there may be; each number is 1 or more, or 0 for any number from one address. */
export interface ConnectionTerms {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

/**
 * Counts connections of all kinds, in all and for each address. An address is known while it has one,
 * so that there are never more of them than connections.
 */
export class Connections {
  readonly #terms: ConnectionTerms;
  readonly #byAddress = new Map<string, number>();
  #all = 0;

  /** @param terms how many there may be */
  constructor(terms: ConnectionTerms) {
    this.#terms = terms;
  }

  /** How many there are. */
  get size(): number {
    return this.#all;
  }

  /** How many addresses they come from, as far as addresses count. */
  get addresses(): number {
    return this.#byAddress.size;
  }

  /**
   * Lets a connection begin.
   *
   * @param address where it comes from
   * @throws {PushError} `too_many_connections`, `too_many_from_address`
   */
  check(address: string | undefined): void {
    const { maxConnections, maxConnectionsPerAddress } = this.#terms;
    if (this.#all >= maxConnections) {
      throw new PushError(
        "too_many_connections",
        `The gateway takes ${maxConnections} connections (maxConnections), and has as many.`,
      );
    }
    const key = addressKey(address);
    if (key !== undefined && maxConnectionsPerAddress > 0) {
      const count = this.#byAddress.get(key) ?? 0;
      if (count >= maxConnectionsPerAddress) {
        throw new PushError(
          "too_many_from_address",
          `The gateway takes ${maxConnectionsPerAddress} connections from one address ` +
            "(maxConnectionsPerAddress), and has as many of this one.",
        );
      }
    }
  }

  /**
   * Counts a connection that has begun.
   *
   * @param address where it comes from
   * @returns what {@linkcode Connections.leave} is told when it has gone
   */
  enter(address: string | undefined): Place {
    const place = { key: addressKey(address), isTaken: false, isOver: false, streams: 0 };
    this.#take(place);
    return place;
  }

  /** A connection has gone. Idempotent. */
  leave(place: Place): void {
    place.isOver = true;
    this.#free(place);
  }

  /** A poller has another stream: while it has one, that counts in its stead. */
  lend(place: Place): void {
    place.streams++;
    this.#free(place);
  }

  /** A stream of a poller has gone; without one the poller counts again, if it is there. */
  giveBack(place: Place): void {
    if (--place.streams === 0 && !place.isOver) this.#take(place);
  }

  #take(place: Place): void {
    const { key } = place;
    place.isTaken = true;
    this.#all++;
    if (key !== undefined) this.#byAddress.set(key, (this.#byAddress.get(key) ?? 0) + 1);
  }

  #free(place: Place): void {
    if (!place.isTaken) return;
    place.isTaken = false;
    this.#all--;
    const { key } = place;
    if (key === undefined) return;
    const count = this.#byAddress.get(key);
    if (count === undefined) return;
    if (count > 1) this.#byAddress.set(key, count - 1);
    else this.#byAddress.delete(key);
  }
}

/** That a connection is counted, and for which address. */
export interface Place {
  readonly key: string | undefined;
  /** Whether it counts now. */
  isTaken: boolean;
  /** Whether its connection has gone. */
  isOver: boolean;
  /** Streams that count in its stead. */
  streams: number;
}
