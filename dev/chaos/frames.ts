import { type Json, type JsonObject, parseEventId } from "@push/client/protocol";
import type { ClientNote, History } from "./history.ts";
import { idOf, type Subscriber, type SubscriberOptions } from "./subscriber.ts";

/** A frame of the fixed wire as it came. */
type Frame = JsonObject;

/** Milliseconds between two pings; three without an answer, and the connection counts as dead. */
const PING = 500;

/** Milliseconds before the next try to connect. */
const PAUSE = 50;

/**
 * A named subscriber of the fixed wire, raw: what is noted is what arrives, repeats included. It comes
 * back when its connection ends, until a gateway tells it to stay away.
 */
export class FrameSubscriber implements Subscriber {
  readonly name: string;
  readonly channels: readonly string[];
  readonly #history: History;
  readonly #policy: ClientNote["policy"];
  readonly #url: string;
  readonly #joined = new Set<string>();
  /** Channels whose subscription was answered on this connection. */
  readonly #flowing = new Set<string>();
  readonly #whole = Promise.withResolvers<void>();
  /** Messages whose acknowledgement was not answered, by their event ids. */
  readonly #asked = new Map<string, { channel: string; id: string }>();
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unanswered = 0;
  #isDone = false;
  #closed = Promise.withResolvers<void>();

  private constructor({ history, url, name, channels, policy = "ack" }: SubscriberOptions) {
    this.name = name;
    this.channels = channels;
    this.#history = history;
    this.#policy = policy;
    this.#url = `${url}?client_id=${encodeURIComponent(name)}`;
    history.note({ type: "client", client: name, sees: "frames", policy });
  }

  /** Connects and subscribes. */
  static async join(options: SubscriberOptions): Promise<FrameSubscriber> {
    const subscriber = new FrameSubscriber(options);
    for (const channel of options.channels) {
      subscriber.#note({ type: "subscribe", phase: "invoke" }, channel);
    }
    subscriber.#connect();
    await subscriber.#whole.promise;
    return subscriber;
  }

  /** Ends its connection in order, as somebody does who comes back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDone = true;
    clearTimeout(this.#timer);
    if (this.#socket === undefined) return;
    const patience = setTimeout(() => this.#closed.resolve(), 2_000);
    this.#socket.close(1000);
    await this.#closed.promise;
    clearTimeout(patience);
  }

  #connect(): void {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#closed = Promise.withResolvers();
    this.#unanswered = 0;
    this.#flowing.clear();
    socket.onopen = () => this.#subscribe(socket);
    socket.onmessage = ({ data }) => this.#hear(socket, JSON.parse(data));
    socket.onerror = () => this.#end(socket, 0);
    socket.onclose = ({ code }) => this.#end(socket, code);
    this.#watch(socket);
  }

  #watch(socket: WebSocket): void {
    this.#timer = setTimeout(() => {
      if (this.#socket !== socket) return;
      if (++this.#unanswered > 3) {
        socket.close();
        // A peer that is away does not answer that either.
        this.#end(socket, 0);
        return;
      }
      send(socket, { type: "ping" });
      // A subscription may have been refused because Redis was away.
      this.#subscribe(socket);
      this.#watch(socket);
    }, PING);
  }

  #subscribe(socket: WebSocket): void {
    for (const channel of this.channels) {
      if (!this.#flowing.has(channel)) send(socket, { type: "channel.subscribe", channel });
    }
  }

  #end(socket: WebSocket, code: number): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    clearTimeout(this.#timer);
    this.#closed.resolve();
    for (const { channel, id } of this.#asked.values()) {
      this.#note({ type: "ack", phase: "unknown", id }, channel);
    }
    this.#asked.clear();
    if (this.#isDone) return;
    if (code >= 4500) this.#history.note({ type: "closed", client: this.name, code: `${code}` });
    else this.#timer = setTimeout(() => this.#connect(), PAUSE);
  }

  #hear(socket: WebSocket, frame: Frame): void {
    if (this.#socket !== socket) return;
    this.#unanswered = 0;
    const channel = String(frame.channel);
    if (frame.type === "channel.subscribed") {
      if (!this.#joined.has(channel)) this.#note({ type: "subscribe", phase: "ok" }, channel);
      this.#joined.add(channel);
      this.#flowing.add(channel);
      if (this.#joined.size === this.channels.length) this.#whole.resolve();
    } else if (frame.type === "channel_message") this.#deliver(socket, frame, channel);
    else if (frame.type === "ack_received") this.#answer(frame);
    else if (frame.type === "error" && frame.code === "gap") {
      const [, seq, epoch] = /number (\d+) of epoch (\w+)/.exec(String(frame.message)) ?? [];
      this.#note({ type: "gap", epoch, seq: Number(seq) }, channel);
    }
  }

  #deliver(socket: WebSocket, frame: Frame, channel: string): void {
    const event = String(frame.event_id);
    const { epoch, seq } = parseEventId(event)!;
    const id = idOf(frame.data as Json);
    this.#history.note({
      type: "deliver",
      client: this.name,
      channel,
      place: { epoch, seq },
      id,
      payload: JSON.stringify(frame.data),
      retry: Number(frame._retry_count ?? 0),
      redriven: frame._redriven === true,
    });
    if (this.#policy === "silent") return;
    if (this.#policy === "ack") {
      this.#asked.set(event, { channel, id });
      this.#note({ type: "ack", phase: "invoke", id }, channel);
    }
    send(socket, {
      type: this.#policy === "ack" ? "message_ack" : "message_nack",
      event_id: event,
    });
  }

  #answer(frame: Frame): void {
    const event = String(frame.event_id);
    const asked = this.#asked.get(event);
    if (asked === undefined) return;
    this.#asked.delete(event);
    this.#note(
      { type: "ack", phase: frame.ok === true ? "ok" : "fail", id: asked.id },
      asked.channel,
    );
  }

  #note(
    note:
      | { type: "subscribe"; phase: "invoke" | "ok" }
      | { type: "ack"; phase: "invoke" | "ok" | "fail" | "unknown"; id: string }
      | { type: "gap"; epoch: string; seq: number },
    channel: string,
  ): void {
    this.#history.note({ ...note, client: this.name, channel });
  }
}

function send(socket: WebSocket, frame: Frame): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}
