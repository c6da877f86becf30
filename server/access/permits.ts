import { PushError } from "@push/client/protocol";
import type { Authorization } from "./authorization.ts";
import { type Action, ACTIONS, type Identity } from "./identity.ts";

/** Somebody wanted to do what they may not. Says the same whether the channel exists or not. */
export class Forbidden extends PushError {
  /** Where; `null` for what is of no one channel. */
  readonly channel: string | null;

  /**
   * @param action what was wanted
   * @param channel where; `null` for what is of no one channel
   */
  constructor(action: Action, channel: string | null) {
    const where = channel === null ? "" : ` in channel ${channel}`;
    super("forbidden", `The right '${action}'${where} is missing.`);
    this.channel = channel;
  }
}

/**
 * Lets somebody pass who may do something.
 *
 * @param channel `null` for what is of no one channel
 * @throws {Forbidden} if they may not
 * @throws {PushError} `unavailable` if that could not be found out
 */
export async function demand(
  authorization: Authorization,
  identity: Identity,
  action: Action,
  channel: string | null,
): Promise<void> {
  if (!await authorization.allows(identity, action, channel)) throw new Forbidden(action, channel);
}

/** Channels whose decisions are kept; those of a client that names more are made again. */
const MAX_KEPT = 512;

/**
 * What one client may do in channels. Each decision is made once, until its rights may have changed.
 */
export class Permits {
  readonly #authorization: Authorization;
  #identity: Identity;
  /** Grows whenever the rights may have changed: what was asked before does not count. */
  #age = 0;
  /** By channel two bits for each action: whether it was decided, and whether it is allowed. */
  #decided: Map<string, number> | undefined;
  /** What the embedding program was asked and has not answered. */
  #asked: Map<string, Promise<boolean>> | undefined;

  /** @param identity who it is */
  constructor(authorization: Authorization, identity: Identity) {
    this.#authorization = authorization;
    this.#identity = identity;
  }

  /** Who it is. */
  get identity(): Identity {
    return this.#identity;
  }

  /** The client shows that it is the same with other rights. */
  set identity(identity: Identity) {
    this.#identity = identity;
    this.forget();
  }

  /** Whether it may do everything that no rule is needed for. */
  get isFree(): boolean {
    return this.#authorization.isFree(this.#identity);
  }

  /** Decides anew from now on. */
  forget(): void {
    this.#age++;
    this.#decided = this.#asked = undefined;
  }

  /**
   * Whether the client may do something in a channel. At once, but where the embedding program takes
   * its time.
   *
   * @throws {PushError} `unavailable`, or rejects with it, if that could not be found out
   */
  may(action: Action, channel: string): boolean | Promise<boolean> {
    if (this.isFree) return this.#authorization.allows(this.#identity, action, channel);
    const shift = 2 * ACTIONS.indexOf(action);
    const bits = (this.#decided?.get(channel) ?? 0) >> shift;
    if ((bits & 1) !== 0) return (bits & 2) !== 0;
    const name = `${action}:${channel}`;
    const asked = this.#asked?.get(name);
    if (asked !== undefined) return asked;
    const allowed = this.#authorization.allows(this.#identity, action, channel);
    if (typeof allowed === "boolean") {
      this.#keep(channel, shift, allowed);
      return allowed;
    }
    const answer = this.#await(allowed, action, channel, name);
    (this.#asked ??= new Map()).set(name, answer);
    return answer;
  }

  async #await(
    answer: Promise<boolean>,
    action: Action,
    channel: string,
    name: string,
  ): Promise<boolean> {
    const age = this.#age;
    try {
      const allowed = await answer;
      // What was true for the rights before may not be so now.
      if (age !== this.#age) return await this.may(action, channel);
      this.#keep(channel, 2 * ACTIONS.indexOf(action), allowed);
      return allowed;
    } finally {
      if (age === this.#age) this.#asked?.delete(name);
    }
  }

  #keep(channel: string, shift: number, allowed: boolean): void {
    const decided = this.#decided ??= new Map();
    const before = decided.get(channel);
    if (before === undefined && decided.size >= MAX_KEPT) decided.clear();
    decided.set(channel, (before ?? 0) | ((allowed ? 3 : 1) << shift));
  }
}
