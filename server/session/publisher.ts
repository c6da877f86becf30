import type { PushError } from "@push/client/protocol";
import type { Identity } from "../access/identity.ts";
import { Forbidden, type Permits } from "../access/permits.ts";
import type { Channel, Outcome } from "../channel/channel.ts";
import type { HubContext } from "../context.ts";
import type { PublishGate } from "../limits/publishes.ts";

/** Who publishes. */
export interface PublisherHolder {
  /** Key of the session. */
  readonly key: string;
  /** Who it belongs to. */
  readonly owner: { readonly subject: string; readonly publicName: string };
  /** What every part of the hub shares. */
  readonly context: HubContext;
  /** What its client may do. */
  readonly permits: Permits;
  /** The channel of this name on this node. */
  channel(name: string): Channel;
  /** Other subscribers of a channel connected now, on all nodes. */
  others(name: string): number;
  /** Why what its client asked for may not be done any more; `undefined` if it may. */
  refusal(identity: Identity): PushError | undefined;
}

/** A message that is to be published. */
export interface Publish {
  /** JSON text. */
  readonly payload: string;
  /** Publish id: one that the channel has had lately is stored once. */
  readonly id?: string;
  /** Whether the client gets its own message. */
  readonly echo?: boolean;
}

/** Answer to publishes in one channel. */
export interface PublishResult {
  /** What became of each, in order. */
  readonly outcomes: readonly Outcome[];
  /** Other subscribers connected now. */
  readonly delivered: number;
}

/** Publishes of one client, in the order in which they were asked for. */
export class Publisher {
  readonly #holder: PublisherHolder;
  #gate: PublishGate | undefined;
  /** Publishes wait for a right: later ones wait for them, so that their order stays. */
  #asking: Promise<void> | undefined;

  /** @param holder who publishes */
  constructor(holder: PublisherHolder) {
    this.#holder = holder;
  }

  /** What it may publish. */
  get gate(): PublishGate {
    return this.#gate ??= this.#holder.context.limits.publishes();
  }

  /**
   * Publishes in a channel as this client, in this order.
   *
   * @throws {Forbidden} without the right; nothing is stored then
   * @throws {PushError} `unavailable` if its rights could not be found out; as the store
   */
  publish(name: string, publishes: readonly Publish[]): Promise<PublishResult> {
    if (this.#asking !== undefined) return this.#publishInTurn(name, publishes);
    const { permits, context } = this.#holder;
    let allowed: boolean | Promise<boolean>;
    try {
      allowed = permits.isFree || permits.may("publish", name);
    } catch (error) {
      return Promise.reject(error);
    }
    if (allowed === false) return Promise.reject(new Forbidden("publish", name));
    if (allowed === true && context.limits.channels.admit(name) === undefined) {
      return this.#publish(name, publishes);
    }
    return this.#publishInTurn(name, publishes);
  }

  async #publishInTurn(name: string, publishes: readonly Publish[]): Promise<PublishResult> {
    const before = this.#asking;
    const { identity } = this.#holder.permits;
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    this.#asking = begun;
    try {
      const allowed = this.#may(name);
      allowed.catch(() => {});
      await before;
      // It may have been lost meanwhile, and who asks be revoked.
      if (!await allowed || !await this.#may(name)) throw new Forbidden("publish", name);
      await this.#holder.context.limits.channels.admit(name);
      const refusal = this.#holder.refusal(identity);
      if (refusal !== undefined) throw refusal;
      const published = this.#publish(name, publishes);
      resolve();
      return await published;
    } finally {
      resolve();
      if (this.#asking === begun) this.#asking = undefined;
    }
  }

  async #publish(name: string, publishes: readonly Publish[]): Promise<PublishResult> {
    const { key, owner: { subject, publicName: source } } = this.#holder;
    const drafts = publishes.map(({ payload, id, echo }) => ({
      id,
      subject,
      origin: echo === true ? null : key,
      source,
      payload,
    }));
    const outcomes = await this.#holder.channel(name).publish(drafts);
    return { outcomes, delivered: this.#holder.others(name) };
  }

  async #may(name: string): Promise<boolean> {
    return await this.#holder.permits.may("publish", name);
  }
}
