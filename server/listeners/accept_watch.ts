import { connect } from "node:net";
import type { Cancel, Clock } from "../clock.ts";

/** How long a server may be quiet, in milliseconds. */
export interface WatchPatience {
  /** Without a new connection, until it is tried whether any is accepted… */
  readonly watch: number;
  /** …and for that. */
  readonly probe: number;
}

const MOST_MISSED = 3;

/**
 * Looks from time to time whether a server of `node:http` still accepts connections: on Deno 2.9 one
 * that ran out of file descriptors once never accepts again, and tells nobody. A server that is quiet
 * is asked by a connection from here.
 */
export class AcceptWatch {
  readonly #clock: Clock;
  readonly #patience: WatchPatience;
  readonly #lost: () => void;
  #accepted = 0;
  /** Times in a row that a connection from here was not accepted: a busy server may miss one. */
  #missed = 0;
  #cancel: Cancel | undefined;

  /** @param lost called once the server accepts no more; the watch has ended then */
  constructor(clock: Clock, patience: WatchPatience, lost: () => void) {
    this.#clock = clock;
    this.#patience = patience;
    this.#lost = lost;
  }

  /** The server has accepted a connection. */
  accepted(): void {
    this.#accepted++;
  }

  /** Begins to look at the server that listens there. */
  begin(address: { readonly hostname: string; readonly port: number }): void {
    const { watch, probe: patience } = this.#patience;
    const before = this.#accepted;
    this.#cancel = this.#clock.schedule(watch, () => {
      if (this.#accepted !== before) {
        this.#missed = 0;
        return this.begin(address);
      }
      const probe = connect({ host: address.hostname, port: address.port });
      let isThere = false;
      probe.once("connect", () => isThere = true);
      // While there is no descriptor for the probe either, nothing can be done.
      probe.on("error", () => probe.destroy());
      const cancel = this.#clock.schedule(patience, () => {
        probe.destroy();
        this.#missed = isThere && this.#accepted === before ? this.#missed + 1 : 0;
        if (this.#missed < MOST_MISSED) return this.begin(address);
        this.#missed = 0;
        this.#lost();
      });
      this.#cancel = () => {
        cancel();
        probe.destroy();
      };
    });
  }

  /** Looks no more. */
  end(): void {
    this.#cancel?.();
  }
}
