import type { PushError } from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import type { Cancel } from "../clock.ts";
import type { Revocations } from "../nodes/revocations.ts";
import type { Session, SessionOwner } from "../session/session.ts";
import type { Revocation } from "../stores/revocations.ts";
import type { Identity } from "./identity.ts";
import { clientRefusalOf, refusalOf } from "./validity.ts";

/** Whose sessions are watched. */
export interface GuardHost {
  readonly context: HubContext;
  readonly revocations: Revocations;
  /** Sessions that have a connection. */
  attached(): Iterable<Session>;
  /** Ends the connection of a session; `forget` ends the session, too. */
  dismiss(session: Session, why: PushError, how: "lost" | "forget"): void;
}

/** Milliseconds between two looks. */
const INTERVAL = 1_000;

/**
 * Ends connections whose identity counts no more: its time is over, or it was revoked. One look a
 * second at those that have an end, and one at all of them when something is revoked.
 */
export class Guard {
  readonly #host: GuardHost;
  /** Sessions whose identity ends some time, and some that are gone since. */
  readonly #ending = new Set<Session>();
  #timer: Cancel | undefined;

  /** @param host whose sessions */
  constructor(host: GuardHost) {
    this.#host = host;
    host.revocations.onChange((entries) => this.#revoked(entries));
  }

  /**
   * Whether a client may have its session.
   *
   * @param since when its connection began to ask for it
   * @returns why not, if not
   */
  refusal(identity: Identity, owner: SessionOwner, since: number): PushError | undefined {
    const { revocations, context: { clock } } = this.#host;
    const now = clock.now();
    return refusalOf(identity, now, revocations) ??
      clientRefusalOf(owner, since, now, revocations);
  }

  /** A session has a connection, or another identity. */
  watch(session: Session): void {
    if (session.identity.expiresAt === undefined) return;
    this.#ending.add(session);
    this.#timer ??= this.#schedule();
  }

  /** Looks at one session now: its connection is closed if its identity counts no more. */
  look(session: Session): void {
    if (session.connection !== undefined) this.#look(session);
  }

  /** Stops its timer. */
  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#ending.clear();
  }

  #schedule(): Cancel {
    return this.#host.context.clock.schedule(INTERVAL, () => {
      for (const session of this.#ending) {
        const { connection, identity: { expiresAt } } = session;
        if (connection === undefined || expiresAt === undefined) this.#ending.delete(session);
        else this.#look(session);
      }
      this.#timer = this.#ending.size > 0 ? this.#schedule() : undefined;
    });
  }

  #revoked(entries: readonly Revocation[]): void {
    if (entries.length === 0) return;
    for (const session of [...this.#host.attached()]) this.#look(session);
  }

  #look(session: Session): void {
    const { identity, owner, askedAt } = session;
    const { revocations, context: { clock } } = this.#host;
    const now = clock.now();
    const refusal = refusalOf(identity, now, revocations);
    if (refusal !== undefined) return this.#host.dismiss(session, refusal, "lost");
    const ended = clientRefusalOf(owner, askedAt, now, revocations);
    if (ended !== undefined) this.#host.dismiss(session, ended, "forget");
  }
}
