import type { Start } from "@push/client/protocol";
import type { Action } from "../access/identity.ts";
import { Forbidden, type Permits } from "../access/permits.ts";
import type { HubContext } from "../context.ts";
import { isExplicit } from "./starts.ts";
import type { Turns } from "./turns.ts";
import type { Connection } from "../transports/connection.ts";

/** Whose subscriptions need rights. */
export interface RightsHolder {
  /** Who it belongs to. */
  readonly owner: { readonly subject: string; readonly clientId: string };
  /** What every part of the hub shares. */
  readonly context: HubContext;
  /** What its client may do. */
  readonly permits: Permits;
  /** Connection that holds it. */
  readonly connection: Connection | undefined;
  /** Names of the channels that it has positions in. */
  readonly known: string[];
  /** What changes its subscriptions. */
  readonly turns: Turns;
  /**
   * Sees to it that the session is still held as it was.
   *
   * @throws {PushError} `replaced` if it is not
   */
  hold(connection: Connection | undefined): void;
  /** Whether it has a position in a channel. */
  knows(name: string): boolean;
  /** Stops the flow of a channel for good; returns whether it flowed. */
  halt(name: string): boolean;
  /**
   * Ends a subscription and its position; resolves to whether it flowed.
   *
   * @param isBarred whether that is for want of a right
   * @throws {PushError} as the store: it is still known then
   */
  end(name: string, isBarred?: boolean): Promise<boolean>;
  /** What its client may be told of the presence of others in a channel may have changed. */
  presentAnew(name: string): void;
}

/** What one client's rights mean to its subscriptions: who may not subscribe has no position either. */
export class Rights {
  readonly #holder: RightsHolder;
  /** Channels whose right was lost, and whose positions could not be ended. */
  #unended: Set<string> | undefined;
  /** Channels of which the present connection was told that they have ended. */
  #told: Set<string> | undefined;

  /** @param holder whose subscriptions */
  constructor(holder: RightsHolder) {
    this.#holder = holder;
  }

  /** Channels whose right was lost, and whose positions could not be ended: they end before it flows. */
  get unended(): readonly string[] {
    return [...this.#unended ?? []];
  }

  /** Whatever the client may do now, its position in a channel is to end. */
  owes(name: string): void {
    (this.#unended ??= new Set()).add(name);
  }

  /**
   * Lets a client subscribe that may.
   *
   * @returns whether it may read what was published before it subscribed
   * @throws {Forbidden} without the right to subscribe, or to read what was published before
   * @throws {PushError} `replaced`; `unavailable` if its rights could not be found out; as the store
   */
  async admit(name: string, start: Start, connection: Connection): Promise<boolean> {
    if (!await this.#may("subscribe", name)) {
      this.#holder.hold(connection);
      await this.#holder.end(name);
      throw new Forbidden("subscribe", name);
    }
    this.#told?.delete(name);
    const explicit = isExplicit(start) && start.last !== 0;
    if (!explicit && start.position === undefined) return false;
    const readsBack = await this.#may("history", name);
    if (explicit && !readsBack) throw new Forbidden("history", name);
    return readsBack;
  }

  /**
   * Ends what the client may not subscribe to any more, with its positions, before anything flows.
   * Where that cannot be found out now, it is when the client subscribes.
   *
   * @param connection that holds the session; `undefined` if none does
   * @throws {PushError} `replaced` if another connection holds the session meanwhile; as the store
   */
  async weed(connection: Connection | undefined): Promise<void> {
    const unended = this.#unended;
    // What the store does not have any more has ended, and may begin anew.
    this.#unended = undefined;
    try {
      await Promise.all(this.#holder.known.map((name) =>
        this.#holder.turns.take(name, async () => {
          const isOwed = unended?.has(name) ?? false;
          if (!isOwed && await this.#may("subscribe", name).catch(() => true)) return;
          this.#holder.hold(connection);
          await this.#bar(name);
        })
      ));
    } catch (error) {
      for (const name of unended ?? []) this.owes(name);
      throw error;
    }
  }

  /**
   * Ends each channel that the client may not subscribe to any more, with its position, and tells it.
   *
   * @param connection that holds the session
   * @throws {PushError} `unavailable` if that could not be found out; as the store
   */
  async recheck(connection: Connection): Promise<void> {
    const names = [...this.#holder.known, ...this.#holder.turns.channels];
    const checks = [...new Set(names)].map((name) => this.#recheck(name, connection));
    for (const check of await Promise.allSettled(checks)) {
      if (check.status === "rejected") throw check.reason;
    }
  }

  /** Tells the client that a channel has ended for want of a right. */
  tellBarred(name: string, connection: Connection): void {
    (this.#told ??= new Set()).add(name);
    this.#tell(name, connection);
    connection.barred?.();
  }

  /** A client names a channel that does not flow: it has not heard that it has ended, if it has. */
  tellAgain(name: string, connection: Connection): void {
    if (this.#told?.has(name)) this.#tell(name, connection);
  }

  /** The connection is gone; whoever comes back is refused when it subscribes. */
  suspended(): void {
    this.#told = undefined;
  }

  #tell(name: string, connection: Connection): void {
    const { code, message } = new Forbidden("subscribe", name);
    const { metrics } = this.#holder.context;
    metrics.count(metrics.errors, code);
    connection.send(JSON.stringify({ type: "error", code, message, channel: name }), 0);
  }

  /** Ends a channel if its right is lost; does at once what can be done at once. */
  async #recheck(name: string, connection: Connection): Promise<void> {
    const holder = this.#holder;
    const stop = () => {
      if (holder.connection === connection && holder.halt(name)) this.tellBarred(name, connection);
    };
    const wasLost = !await this.#may("subscribe", name);
    if (wasLost) stop();
    await holder.turns.take(name, async () => {
      // Where it is back by now, what came between must not be read all the same.
      const isLost = wasLost || !await this.#may("subscribe", name);
      if (holder.connection !== connection) return;
      if (isLost) {
        stop();
        return await this.#bar(name);
      }
      holder.presentAnew(name);
    });
  }

  /** Ends what the client has no right to, and says so to whoever runs the gateway. */
  async #bar(name: string): Promise<void> {
    const { owner: { subject, clientId }, context } = this.#holder;
    if (!this.#holder.knows(name)) return;
    context.audit.actionRefused("forbidden", { subject, clientId }, "subscribe", name);
    // The right may be back before the store is.
    this.owes(name);
    await this.#holder.end(name, true);
    this.#unended?.delete(name);
  }

  async #may(action: Action, name: string): Promise<boolean> {
    return await this.#holder.permits.may(action, name);
  }
}
