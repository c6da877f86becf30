import { PushClient, PushError } from "@push/client";
import type { SeededRandom } from "../../server/testing/seeded_random.ts";
import type { History, PublishNote } from "./history.ts";
import { noteClose, PATIENT, type Payload } from "./subscriber.ts";

/** How a publisher takes part. */
export interface PublisherOptions {
  readonly history: History;
  /** Address of the gateway, or of what is before it. */
  readonly url: string;
  /** Its client id. */
  readonly name: string;
  readonly channels: readonly string[];
  /** Messages a second. */
  readonly rate: number;
  readonly random: SeededRandom;
}

/** Milliseconds between two bursts. */
const BEAT = 20;

/** Publishes that may wait for their answer; beyond it the publisher waits, too. */
const MOST_IN_FLIGHT = 500;

/** A publisher with `@push/client`, which asks again itself until it has an answer. */
export class Publisher implements AsyncDisposable {
  readonly #options: PublisherOptions;
  readonly #client: PushClient;
  readonly #inFlight = new Set<Promise<void>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #count = 0;
  #owing = 0;

  private constructor(options: PublisherOptions) {
    this.#options = options;
    this.#client = new PushClient(options.url, { ...PATIENT, clientId: options.name });
    noteClose(this.#client, options.history, options.name);
  }

  /** Connects; {@linkcode go} begins to publish. */
  static async connect(options: PublisherOptions): Promise<Publisher> {
    const publisher = new Publisher(options);
    await using unfinished = new AsyncDisposableStack();
    unfinished.use(publisher);
    await publisher.#client.connect();
    unfinished.move();
    return publisher;
  }

  /** Publishes which wait for their answer. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Publishes at the rate, until {@linkcode rest}. */
  go(): void {
    this.#timer = setTimeout(() => {
      this.#owing += this.#options.rate * BEAT / 1_000;
      for (; this.#owing >= 1; this.#owing--) {
        if (this.#inFlight.size < MOST_IN_FLIGHT) void this.publish();
      }
      this.go();
    }, BEAT);
  }

  /** Publishes no more; resolves once everything is answered. */
  async rest(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(this.#inFlight);
  }

  /** Publishes one message; resolves to its id once the outcome is known, or is that it is not. */
  async publish(): Promise<string> {
    const { history, name, channels, random } = this.#options;
    const id = `${name}.${++this.#count}`;
    const data: Payload = { id, filler: "x".repeat(random.below(200)) };
    const note: Omit<PublishNote, "phase"> = {
      type: "publish",
      client: name,
      channel: random.pick(channels),
      id,
      payload: JSON.stringify(data),
    };
    history.note({ ...note, phase: "invoke" });
    const done = this.#client.publish(note.channel, { ...data }).then(
      ({ epoch, seq }) => history.note({ ...note, phase: "ok", place: { epoch, seq } }),
      (error) => {
        const code = error instanceof PushError ? error.code : String(error);
        const phase = SURELY_NOT.includes(code) ? "fail" : "unknown";
        history.note({ ...note, phase, code });
      },
    );
    this.#inFlight.add(done);
    await done;
    this.#inFlight.delete(done);
    return id;
  }

  /** Ends its connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#client.disconnect({ forget: true });
    await Promise.all(this.#inFlight);
  }
}

/** Codes that say that nothing was stored. */
const SURELY_NOT = ["unavailable", "store_full", "bad_request", "message_too_large", "outbox_full"];
