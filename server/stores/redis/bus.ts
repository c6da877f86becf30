import type { Redis } from "ioredis";
import { type Clock, systemClock } from "../../clock.ts";
import type { RedisLink } from "./link.ts";
import { failed, replyCode, unavailable } from "./link_errors.ts";
import { Ear } from "./bus_ear.ts";
import { Probes } from "./bus_probes.ts";

/** Told of the text of each message on a topic. Must not throw. */
export type TopicListener = (text: string) => void;

/** What a {@linkcode Bus} is made with. */
export interface BusOptions {
  /** The connection that publishes. */
  readonly link: RedisLink;
  /** A topic that nobody else uses, the nth of many: what the bus hears itself by. */
  probeTopic(n: number): string;
  /** Messages may have been missed; every subscription stands again. */
  onLapse(): void;
  /** Milliseconds between two probes of each connection. */
  readonly probeInterval: number;
  /** Source of time. Default: the machine's. */
  readonly clock?: Clock;
}

/** A topic that somebody listens to. */
interface Topic {
  readonly name: string;
  readonly listeners: Set<TopicListener>;
  /** Server that has the subscription; `undefined` while none does. */
  standsAt: string | undefined;
  /** Of a subscription that is under way. */
  standing: Promise<void> | undefined;
}

/** Topics in one command: so that no answer is long in coming. */
const AT_ONCE = 256;
/** How often a subscription follows a slot that moves. */
const TRIES = 20;
/** Milliseconds between two looks for a slot that moves. */
const MOVING = 100;

/**
 * Subscriptions: one for each topic, however many listen, on one connection to each server that has
 * topics. In a Cluster they are sharded ones. What was subscribed stays so: after each loss of a
 * connection, and after each move of a slot, it is subscribed again, and then a lapse is told.
 *
 * A connection can be alive and deaf. So each hears a probe every few seconds, which is published over
 * the connection for commands; where two in a row do not arrive it is dropped and made anew.
 */
export class Bus implements AsyncDisposable {
  readonly #options: BusOptions;
  readonly #clock: Clock;
  readonly #topics = new Map<string, Topic>();
  readonly #ears = new Map<string, Ear>();
  readonly #pauses = new Set<() => void>();
  readonly #unwatch: () => void;
  readonly #leaving = new Set<Promise<void>>();
  readonly #probes: Probes;
  #closing: Promise<void> | undefined;

  /** @param options where to publish and to listen */
  constructor(options: BusOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#unwatch = options.link.watch(() => this.#relocate());
    this.#probes = new Probes({
      link: options.link,
      ears: () => this.#ears.values(),
      topic: (n) => options.probeTopic(n),
      subscribe: (redis, topic) => this.#subscribe(redis, [topic]),
      publish: (topic, text) => this.publish(topic, text),
      interval: options.probeInterval,
      clock: this.#clock,
    });
  }

  /** Why nothing is heard at present, as a sentence; `undefined` while all is. */
  get trouble(): string | undefined {
    for (const ear of this.#ears.values()) {
      if (ear.line.trouble !== undefined) return ear.line.trouble;
    }
    return undefined;
  }

  /**
   * Listens to a topic; resolves once everything that is published there from now on is heard.
   *
   * @throws {PushError} `unavailable` if Redis cannot be reached; nobody listens then
   */
  async subscribe(name: string, listener: TopicListener): Promise<() => void> {
    if (this.#closing !== undefined) throw unavailable("The store is closed.");
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { name, listeners: new Set(), standsAt: undefined, standing: undefined };
      this.#topics.set(name, topic);
    }
    topic.listeners.add(listener);
    const stop = (): void => this.#stop(topic, listener);
    try {
      if (topic.standsAt === undefined) {
        await (topic.standing ??= this.#stand(topic).finally(() => topic.standing = undefined));
      }
    } catch (error) {
      stop();
      throw failed("a subscription", error);
    }
    return stop;
  }

  /** Publishes a text. */
  async publish(topic: string, text: string): Promise<void> {
    const { link } = this.#options;
    await link.command(link.isCluster ? "spublish" : "publish", topic, text);
  }

  /** Lets every subscription go; idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#unwatch();
    this.#probes.stop();
    for (const end of this.#pauses) end();
    this.#topics.clear();
    await Promise.all(Array.from(this.#ears.values(), ({ line }) => line.close()));
    await Promise.all(this.#leaving);
    this.#ears.clear();
  }

  #stop(topic: Topic, listener: TopicListener): void {
    topic.listeners.delete(listener);
    if (topic.listeners.size > 0 || this.#topics.get(topic.name) !== topic) return;
    this.#topics.delete(topic.name);
    if (topic.standsAt === undefined) return;
    this.#unsubscribe(topic.standsAt, topic.name);
  }

  #unsubscribe(owner: string, name: string): void {
    const redis = this.#ears.get(owner)?.line.redis;
    const done = this.#options.link.isCluster
      ? redis?.sunsubscribe(name)
      : redis?.unsubscribe(name);
    // If it fails, the connection is lost, and the subscription with it.
    done?.catch(() => {});
  }

  /** Makes the subscription of one topic stand. */
  async #stand(topic: Topic): Promise<void> {
    const { link } = this.#options;
    for (let tries = 1;; tries++) {
      const owner = link.ownerOf(topic.name);
      const ear = owner === undefined ? undefined : this.#ear(owner);
      if (ear === undefined || ear.isLost) {
        throw unavailable(ear?.line.trouble ?? link.trouble);
      }
      const redis = await ear.line.settled();
      try {
        await this.#subscribe(redis, [topic.name]);
        // Else it was lost at once, and what brings the connection back subscribes anew.
        if (ear.line.redis === redis) topic.standsAt = owner;
        return;
      } catch (error) {
        // It may stand after all, and would be heard by nobody for as long as the connection lives.
        if (replyCode(error) === undefined && ear.line.redis === redis) {
          ear.line.renew("it does not answer");
        }
        if (replyCode(error) !== "MOVED" || tries === TRIES) throw error;
        link.look();
        await this.#pause();
        if (this.#closing !== undefined) throw unavailable("The store is closed.");
      }
    }
  }

  async #subscribe(redis: Redis, names: readonly string[]): Promise<void> {
    if (this.#options.link.isCluster) {
      await Promise.all(names.map((name) => redis.ssubscribe(name)));
      return;
    }
    for (let i = 0; i < names.length; i += AT_ONCE) {
      await redis.subscribe(...names.slice(i, i + AT_ONCE));
    }
  }

  /** The connection for subscriptions to a server, begun if there is none. */
  #ear(owner: string): Ear | undefined {
    const known = this.#ears.get(owner);
    if (known !== undefined) return known;
    const ear = new Ear(owner);
    const line = this.#options.link.subscriber(owner, {
      onReady: (redis) => {
        this.#hear(redis, ear);
        if (!ear.isLost) return;
        ear.isLost = false;
        this.#restore(ear);
      },
      onLost: () => {
        ear.lost();
        for (const topic of this.#topics.values()) {
          if (topic.standsAt === owner) topic.standsAt = undefined;
        }
        this.#options.link.look();
      },
    });
    if (line === undefined) return undefined;
    ear.line = line;
    this.#ears.set(owner, ear);
    line.start();
    this.#probes.start();
    return ear;
  }

  #hear(redis: Redis, ear: Ear): void {
    const hear = (name: string, text: string): void => {
      if (name === ear.probeTopic) ear.heard(text);
      const topic = this.#topics.get(name);
      if (topic === undefined) return;
      for (const listener of topic.listeners) listener(text);
    };
    redis.on("message", hear);
    redis.on("smessage", hear);
    // A slot has left this server, and took subscriptions along: which, it does not say.
    redis.on("moved", () => {
      this.#options.link.look();
      this.#restore(ear);
    });
  }

  /** Subscribes again to everything that a server has; tells the lapse once that is done. */
  #restore(ear: Ear): void {
    ear.restores++;
    ear.restoring ??= this.#doRestore(ear).finally(() => ear.restoring = undefined);
  }

  async #doRestore(ear: Ear): Promise<void> {
    const { link, onLapse } = this.#options;
    while (this.#closing === undefined && ear.line.redis !== undefined) {
      const { line: { redis }, restores } = ear;
      const topics = this.#topics.values().filter(({ name }) => link.ownerOf(name) === ear.owner);
      const found = [...topics];
      try {
        const names = found.map(({ name }) => name);
        if (ear.probeTopic !== undefined) names.push(ear.probeTopic);
        await this.#subscribe(redis, names);
        if (ear.line.redis !== redis) continue;
        for (const topic of found) {
          topic.standsAt = ear.owner;
          // Given up while it was being subscribed to.
          if (!this.#topics.has(topic.name)) this.#unsubscribe(ear.owner, topic.name);
        }
        // More has been lost meanwhile, which may be none of what was subscribed just now.
        if (ear.restores !== restores) continue;
        onLapse.call(this.#options);
        return;
      } catch (error) {
        if (replyCode(error) === undefined && ear.line.redis === redis) {
          ear.line.renew("it does not answer");
        }
        link.look();
        await this.#pause();
      }
    }
  }

  /** Slots have moved: takes subscriptions to where their topics live now. */
  #relocate(): void {
    const { link } = this.#options;
    if (this.#closing !== undefined || !link.isCluster) return;
    const touched = new Set<Ear>();
    const needed = new Set<string>();
    for (const topic of this.#topics.values()) {
      const owner = link.ownerOf(topic.name);
      if (owner === undefined) continue;
      needed.add(owner);
      if (topic.standsAt === owner || topic.standing !== undefined) continue;
      if (topic.standsAt !== undefined) this.#unsubscribe(topic.standsAt, topic.name);
      topic.standsAt = undefined;
      const ear = this.#ear(owner);
      if (ear !== undefined) touched.add(ear);
    }
    for (const [owner, ear] of this.#ears) {
      if (needed.has(owner)) continue;
      this.#ears.delete(owner);
      const left = ear.line.close().finally(() => this.#leaving.delete(left));
      this.#leaving.add(left);
    }
    for (const ear of touched) {
      if (ear.line.redis !== undefined) this.#restore(ear);
      // What is not connected yet subscribes to all once it is.
      else ear.isLost = true;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const cancel = this.#clock.schedule(MOVING, end);
      this.#pauses.add(end);
    });
  }
}
