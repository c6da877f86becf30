import type { Redis } from "ioredis";
import type { Cancel, Clock } from "../../clock.ts";
import type { Ear } from "./bus_ear.ts";
import type { RedisLink } from "./link.ts";

/** What {@linkcode Probes} are made with. */
export interface ProbesOptions {
  /** Knows which server has which topic. */
  readonly link: Pick<RedisLink, "ownerOf">;
  /** The connections to probe. */
  ears(): Iterable<Ear>;
  /** A topic that nobody else uses, the nth of many. */
  topic(n: number): string;
  /** Subscribes to a topic on a connection. */
  subscribe(redis: Redis, topic: string): Promise<void>;
  /** Publishes a text over the connection for commands. */
  publish(topic: string, text: string): Promise<void>;
  /** Milliseconds between two probes of each connection. */
  readonly interval: number;
  /** Source of time. */
  readonly clock: Clock;
}

/** Topics that are tried for one that a server of a Cluster has. */
const MOST_TOPICS = 4096;

/** Finds out which connections for subscriptions are alive and deaf, and renews these. */
export class Probes {
  readonly #options: ProbesOptions;
  #cancel: Cancel | undefined;

  /** @param options whom to probe, and how often */
  constructor(options: ProbesOptions) {
    this.#options = options;
  }

  /** Begins; does nothing if it has begun. */
  start(): void {
    if (this.#cancel === undefined) this.#plan();
  }

  /** Ends. */
  stop(): void {
    this.#cancel?.();
  }

  #plan(): void {
    const { clock, interval, ears } = this.#options;
    this.#cancel = clock.schedule(interval, () => {
      for (const ear of ears.call(this.#options)) this.#probe(ear);
      this.#plan();
    });
  }

  #probe(ear: Ear): void {
    const { redis } = ear.line;
    // What is under way says by itself whether it came to an end.
    if (redis === undefined || ear.restoring !== undefined || ear.isProbing) return;
    const topic = this.#topicOf(ear);
    if (topic === undefined) return;
    const text = ear.next();
    if (text === undefined) {
      ear.line.renew("it is alive, but nothing that is published arrives");
      return;
    }
    ear.isProbing = true;
    this.#publish(ear, redis, topic, text).catch(() => ear.forget()).finally(() => {
      ear.isProbing = false;
    });
  }

  async #publish(ear: Ear, redis: Redis, topic: string, text: string): Promise<void> {
    if (!ear.isProbed) await this.#options.subscribe(redis, topic);
    ear.isProbed = ear.line.redis === redis;
    await this.#options.publish(topic, text);
  }

  /** The topic that a server's connection is probed by; another one if its slot has moved. */
  #topicOf(ear: Ear): string | undefined {
    const { link, topic } = this.#options;
    if (ear.probeTopic !== undefined && link.ownerOf(ear.probeTopic) === ear.owner) {
      return ear.probeTopic;
    }
    for (let n = 0; n < MOST_TOPICS; n++) {
      const name = topic.call(this.#options, n);
      if (link.ownerOf(name) === ear.owner) return ear.begin(name);
    }
    return ear.begin(undefined);
  }
}
