import { connect, type Socket } from "node:net";
import type { Cancel, Clock } from "../clock.ts";

/** How long a server may be quiet, in milliseconds. */
export interface WatchPatience {
  /** Without a new connection, until it is tried whether any is accepted… */
  readonly watch: number;
  /** …and for that. */
  readonly probe: number;
}

/** Whose connections are watched. */
export interface WatchTerms {
  readonly clock: Clock;
  /** Whether other servers listen on the port: then a connection from here may be theirs. */
  readonly reusePort?: boolean;
}

const MOST_MISSED = 3;
/** No request of any protocol: whoever accepts it answers, or hangs up. */
const NONSENSE = "?\r\n\r\n";

/**
 * Looks from time to time whether a server of `node:http` still accepts connections: on Deno 2.9 one
 * that ran out of file descriptors once never accepts again, and tells nobody. A server that is quiet
 * is asked by a connection from here.
 *
 * On a port that is shared a connection that another server answers says nothing; one that nobody
 * answers may wait for this server.
 */
export class AcceptWatch {
  readonly #terms: WatchTerms;
  readonly #patience: WatchPatience;
  readonly #lost: () => void;
  #accepted = 0;
  /** Connections from here in a row that nobody accepted: a busy server may miss one. */
  #missed = 0;
  #cancel: Cancel | undefined;

  /** @param lost called once the server accepts no more; the watch has ended then */
  constructor(terms: WatchTerms, patience: WatchPatience, lost: () => void) {
    this.#terms = terms;
    this.#patience = patience;
    this.#lost = lost;
  }

  /** The server has accepted a connection. */
  accepted(): void {
    this.#accepted++;
  }

  /** Begins to look at the server that listens there. */
  begin(address: { readonly hostname: string; readonly port: number }): void {
    const { clock } = this.#terms;
    const { watch, probe: patience } = this.#patience;
    const before = this.#accepted;
    this.#cancel = clock.schedule(watch, () => {
      if (this.#accepted !== before) {
        this.#missed = 0;
        return this.begin(address);
      }
      const done = (how: Outcome): void => {
        cancel();
        probe.destroy();
        if (this.#accepted !== before) this.#missed = 0;
        else if (how === "unanswered") this.#missed++;
        else if (how === "failed" || !this.#terms.reusePort) this.#missed = 0;
        if (this.#missed < MOST_MISSED) return this.begin(address);
        this.#missed = 0;
        this.#lost();
      };
      const probe = look(address, done);
      const cancel = clock.schedule(patience, () => {
        // While there is no descriptor for the probe either, nothing can be done.
        done(probe.connecting ? "failed" : "unanswered");
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

/** How a look ended: whoever answers, or hangs up, has accepted it. */
type Outcome = "answered" | "unanswered" | "failed";

/** A connection that asks whether anybody is there. */
function look(
  { hostname: host, port }: { readonly hostname: string; readonly port: number },
  done: (how: Outcome) => void,
): Socket {
  const socket = connect({ host, port });
  socket.once("connect", () => socket.write(NONSENSE));
  socket.once("error", () => done("failed"));
  for (const event of ["data", "end"] as const) {
    socket.once(event, () => {
      socket.removeAllListeners("data").removeAllListeners("end");
      done("answered");
    });
  }
  return socket;
}
