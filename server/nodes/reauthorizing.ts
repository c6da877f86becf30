import type { JsonObject } from "@push/client/protocol";
import type { HubContext } from "../context.ts";
import type { Session } from "../session/session.ts";
import type { Connection } from "../transports/connection.ts";
import { type AwaySession, AwaySessions } from "./away.ts";

/** Whose rights may have changed: all clients, those of a subject, or one of them. */
export interface Whom {
  readonly subject?: string;
  readonly clientId?: string;
}

/** What {@linkcode Reauthorizing} works with. */
export interface ReauthorizingParts {
  readonly context: HubContext;
  /** Sessions of this node that have a connection. */
  attached(): Iterable<Session>;
  /** Closes a connection whose client has to come back. */
  leave(session: Session, connection: Connection): Promise<void>;
  /** The session of a key that is away, if the store does not know everything of it. */
  unsaved(key: string): Session | undefined;
  /** Runs what concerns one session one after the other. */
  inTurn<T>(key: string, task: () => Promise<T>): Promise<T>;
}

const TYPE = "reauthorize";
/** Sessions that are asked for at once. */
const WAVE = 500;

/**
 * Asks anew for the rights of clients, on all nodes. The note that tells the others may be lost: where
 * that may have been, each node asks for those of all its clients.
 */
export class Reauthorizing {
  /** Sessions that have left this node and may come back. */
  readonly away: AwaySessions;
  readonly #parts: ReauthorizingParts;

  /** @param parts what it works with */
  constructor(parts: ReauthorizingParts) {
    this.#parts = parts;
    this.away = new AwaySessions(parts.context);
  }

  /**
   * Asks anew; resolves once that is done on this node.
   *
   * @throws {PushError} as the store, if the other nodes could not be told
   */
  async reauthorize(whom: Whom): Promise<void> {
    const { subject = null, clientId = null } = whom;
    const { cluster } = this.#parts.context.store;
    const told = cluster?.send(null, { type: TYPE, subject, client_id: clientId });
    const here = this.#here(whom);
    await Promise.all([told, here]);
  }

  /** Another node has sent a note; returns whether it was one of these. */
  hear({ type, subject, client_id }: JsonObject): boolean {
    if (type !== TYPE) return false;
    this.#here({ subject: textOf(subject), clientId: textOf(client_id) });
    return true;
  }

  /** Notes may have been missed: only what the embedding program decides may have changed. */
  lapse(): void {
    if (this.#parts.context.authorization.asks) this.#here({});
  }

  /** Asks anew for the rights of one session's client. Never rejects. */
  async check(session: Session): Promise<void> {
    const { connection } = session;
    try {
      await session.reauthorize();
    } catch {
      // What it may do is not known, so it does nothing until that is found out.
      if (connection !== undefined) await this.#parts.leave(session, connection).catch(() => {});
    }
  }

  async #here({ subject, clientId }: Whom): Promise<void> {
    const isMeant = (owner: { readonly subject: string; readonly clientId: string }) =>
      (subject === undefined || owner.subject === subject) &&
      (clientId === undefined || owner.clientId === clientId);
    const checks: (() => Promise<void>)[] = [];
    for (const session of this.#parts.attached()) {
      if (isMeant(session.owner)) checks.push(() => this.check(session));
    }
    for (const [key, session] of this.away.all()) {
      if (isMeant(session)) checks.push(() => this.#checkAway(key, session));
    }
    for (let from = 0; from < checks.length; from += WAVE) {
      await Promise.all(checks.slice(from, from + WAVE).map((check) => check()));
    }
  }

  /** Who comes back meanwhile waits: its right may be back, too, by then. */
  #checkAway(key: string, away: AwaySession): Promise<void> {
    return this.#parts.inTurn(key, async () => {
      await this.away.check(key, away);
      // What is not stored yet must not come after that.
      await this.#parts.unsaved(key)?.weed(undefined).catch(() => {});
    });
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
