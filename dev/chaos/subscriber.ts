import { type Message, PushClient, type Transport } from "@push/client";
import { type Json, parseEventId } from "@push/client/protocol";
import type { ClientNote, History } from "./history.ts";

/** What is published in a run. */
export interface Payload {
  /** Names the message. */
  readonly id: string;
  /** Makes it as long as it is. */
  readonly filler: string;
}

/** How a subscriber takes part. */
export interface SubscriberOptions {
  readonly history: History;
  /** Address of the gateway, or of what is before it. */
  readonly url: string;
  /** Its client id. */
  readonly name: string;
  readonly channels: readonly string[];
  /** What it does with each message. @default {"ack"} */
  readonly policy?: ClientNote["policy"];
}

/** Somebody who subscribes. */
export interface Subscriber extends AsyncDisposable {
  /** Its client id. */
  readonly name: string;
  /** Channels that it is subscribed to. */
  readonly channels: readonly string[];
}

/** Reads what arrived as what {@linkcode Payload} is. */
export function idOf(data: Json): string {
  return String((data as { id?: Json } | null)?.id);
}

/** A subscriber with `@push/client`: what is noted is what its handlers run. */
export class HandlerSubscriber implements Subscriber {
  readonly name: string;
  readonly channels: readonly string[];
  /** The client itself. */
  readonly client: PushClient;
  readonly #history: History;
  readonly #policy: ClientNote["policy"];

  private constructor(
    { history, url, name, channels, policy = "ack" }: SubscriberOptions,
    transports: readonly Transport[],
  ) {
    this.name = name;
    this.channels = channels;
    this.#history = history;
    this.#policy = policy;
    this.client = new PushClient(url, { ...PATIENT, clientId: name, transports });
    history.note({ type: "client", client: name, sees: "handler", policy });
    this.client.on("gap", ({ channel, epoch, seq }) => {
      history.note({ type: "gap", client: name, channel, epoch, seq });
    });
    noteClose(this.client, history, name);
  }

  /** Connects and subscribes. */
  static async join(
    options: SubscriberOptions,
    transports: readonly Transport[] = ["websocket"],
  ): Promise<HandlerSubscriber> {
    const subscriber = new HandlerSubscriber(options, transports);
    await using unfinished = new AsyncDisposableStack();
    unfinished.use(subscriber);
    await subscriber.client.connect();
    for (const channel of options.channels) await subscriber.#subscribe(channel);
    unfinished.move();
    return subscriber;
  }

  /** Says goodbye. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.disconnect({ forget: true });
  }

  async #subscribe(channel: string): Promise<void> {
    const op = { type: "subscribe", client: this.name, channel } as const;
    this.#history.note({ ...op, phase: "invoke" });
    await this.client.subscribe(channel, (message) => this.#handle(message));
    this.#history.note({ ...op, phase: "ok" });
  }

  #handle(message: Message): void {
    const { channel, data, eventId, retryCount, redriven } = message;
    const { epoch, seq } = parseEventId(eventId)!;
    const about = { client: this.name, channel, id: idOf(data) };
    this.#history.note({
      ...about,
      type: "deliver",
      place: { epoch, seq },
      payload: JSON.stringify(data),
      retry: retryCount,
      redriven,
    });
    if (this.#policy === "ack") this.#history.note({ ...about, type: "ack", phase: "ok" });
    else message.nack();
  }
}

/** Notes it where a client is closed by a gateway. */
export function noteClose(client: PushClient, history: History, name: string): void {
  client.on("state", ({ state, code = "disconnected" }) => {
    if (state !== "closed" || code === "disconnected") return;
    history.note({ type: "closed", client: name, code });
  });
  // What else goes wrong shows in what does not arrive.
  client.on("error", () => {});
}

/** Options of clients that notice a dead gateway and come back sooner than people need it. */
export const PATIENT = {
  reconnectDelay: { min: 0.02, max: 0.3 },
  connectTimeout: 2,
  requestTimeout: 4,
  heartbeatInterval: 1,
} as const;
