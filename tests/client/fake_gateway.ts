import type { ManualClock } from "../../server/testing/mod.ts";
import { type ClientOptions, PushClient } from "@push/client";
import type { Json, Ranges } from "@push/client/protocol";

/** A frame, as the test looks at it. */
// deno-lint-ignore no-explicit-any
export type Frame = { type: string; [key: string]: any };

/** What becomes of a new WebSocket: `blocked` is what a page's policy does, an error without a close. */
export type SocketFate = "open" | "refused" | "hanging" | "blocked";

/**
 * What becomes of a request for a stream of events: there is no such route, what is written is
 * gathered until the end, or the runtime gives no body.
 */
export type StreamFate = "open" | "absent" | "gathered" | "bodiless";

/** What a test can say about a message. */
export interface MessageParts {
  data?: Json;
  epoch?: string;
  id?: string;
  redelivered?: boolean;
  retryCount?: number;
  redriven?: boolean;
}

/** One client's way to the gateway. */
export interface Connection {
  readonly transport: "websocket" | "http";
  isOpen: boolean;
  send(frames: readonly unknown[]): void;
  /** Sends anything, not only frames. */
  raw?(data: unknown): void;
  close(code: number, reason?: string): void;
}

const CODES: { [close: number]: [code: string, status: number] } = {
  4510: ["replaced", 409],
  4404: ["unknown_session", 404],
  4000: ["going_away", 503],
  4401: ["token_expired", 401],
};

/**
 * A gateway in memory that does what a test tells it. Left alone it says yes to everything: it
 * accepts connections, subscriptions and publishes, keeps no messages, and writes down what it hears.
 */
export class FakeGateway {
  /** Every frame heard, in order. */
  heard: Frame[] = [];
  /** Every text of a WebSocket frame heard, in order. */
  texts: string[] = [];
  /** Every connection tried, in order. */
  opened: string[] = [];
  /** Requests over HTTP, in order. */
  requests: { route: string; body: Frame }[] = [];
  /** What becomes of new WebSockets. */
  sockets: SocketFate = "open";
  /** What becomes of requests over HTTP. */
  http: "answered" | "refused" | "hanging" | "lost" = "answered";
  /** What `connected` says beside the usual. */
  terms: { [key: string]: Json } = {};
  /** What becomes of requests for a stream of events. */
  streams: StreamFate = "absent";
  /** What each stream of events begins with. */
  prelude = "data: []\n\n";
  /** Answers to frames by type, instead of the usual ones; `undefined` for none. */
  answers: { [type: string]: (frame: Frame, connection: Connection) => unknown } = {};
  /** Whether the close of a WebSocket is never answered. */
  stubborn = false;
  /** Answers to `send` wait for it. */
  beforeSendAnswer: Promise<void> | undefined;
  /** Epoch of every channel, and its head at a new subscription. */
  epoch = "e1";
  head = 0;
  /** The connection that holds the session. */
  current: Connection | undefined;
  readonly #tokens = new Map<string, HttpConnection>();
  #published = 0;

  /** The class to pass as `WebSocket`. */
  readonly WebSocket: ClientOptions["WebSocket"];

  constructor() {
    const accept = (socket: FakeSocket): void => this.#accept(socket);
    this.WebSocket = class extends FakeSocket {
      constructor(url: string) {
        super(url);
        accept(this);
      }
    };
  }

  /** Frames heard of one type, oldest first. */
  of(type: string): Frame[] {
    return this.heard.filter((frame) => frame.type === type);
  }

  /** The last frame heard of one type. */
  last(type: string): Frame {
    const frame = this.of(type).at(-1);
    if (!frame) throw new Error(`Cannot find '${type}' among what was heard`);
    return frame;
  }

  /** Forgets what was heard. */
  clear(): void {
    this.heard = [];
    this.texts = [];
    this.requests = [];
  }

  /** Sends values as they are, together. */
  send(...frames: unknown[]): void {
    if (!this.current?.isOpen) throw new Error("Cannot send as there is no connection");
    this.current.send(frames);
  }

  /** Sends a message. */
  message(channel: string, seq: number, parts: MessageParts = {}): void {
    this.send(this.messageFrame(channel, seq, parts));
  }

  /** A message frame. */
  messageFrame(channel: string, seq: number, parts: MessageParts = {}): Frame {
    const { data = `${channel} ${seq}`, epoch = this.epoch, id } = parts;
    return {
      type: "channel_message",
      channel,
      data,
      event_id: `${epoch}:${seq}:${channel}`,
      timestamp: 1700000000.5,
      source: "someone",
      target: null,
      seq,
      epoch,
      ...id !== undefined && { id },
      ...parts.redelivered && { _redelivered: true, _retry_count: parts.retryCount ?? 0 },
      ...parts.redriven && { _redriven: true },
    };
  }

  /** Writes to the stream of events as it is. */
  write(...chunks: (string | Uint8Array)[]): void {
    this.#streaming().write(...chunks);
  }

  /** Ends the stream of events, or breaks it; the poller lives on. */
  endStream(error?: unknown): void {
    this.#streaming().endStream(error);
  }

  #streaming(): HttpConnection {
    if (!(this.current instanceof HttpConnection)) {
      throw new Error("Cannot find a stream of events");
    }
    return this.current;
  }

  /** Ends the present connection. */
  drop(close = 1006, reason = ""): void {
    this.current?.close(close, reason);
  }

  /** The function to pass as `fetch`. */
  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const route = new URL(url).pathname.replace(/^.*\/api\/push\/(poll\/)?/, "");
    const body = JSON.parse(String(init.body)) as Frame;
    const { signal } = init;
    this.requests.push({ route, body });
    const gone = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    gone.catch(() => {});
    const { http } = this;
    if (http === "refused") throw new TypeError("connection refused");
    if (http === "hanging") return await gone;
    const answer = await Promise.race([gone, this.#answerHttp(route, body, signal)]);
    if (http === "lost") throw new TypeError("connection reset");
    return answer;
  };

  #accept(socket: FakeSocket): void {
    this.opened.push(socket.url);
    socket.stubborn = this.stubborn;
    const fate = this.sockets;
    queueMicrotask(() => {
      if (fate === "hanging") return;
      if (fate === "blocked") return socket.fail();
      if (fate === "refused") return socket.end(1006, "");
      const connection: Connection = {
        transport: "websocket",
        isOpen: true,
        send: (frames) => socket.hear(JSON.stringify(frames.length === 1 ? frames[0] : frames)),
        raw: (data) => socket.hear(data),
        close: (code, reason = "") => {
          connection.isOpen = false;
          socket.end(code, reason);
        },
      };
      socket.onSend = (text) => {
        this.texts.push(text);
        const value = JSON.parse(text) as Frame | Frame[];
        for (const frame of Array.isArray(value) ? value : [value]) {
          const reply = this.#hear(connection, frame);
          if (reply !== undefined && connection.isOpen) connection.send([reply]);
        }
      };
      socket.onLeave = () => connection.isOpen = false;
      socket.open();
    });
  }

  async #answerHttp(
    route: string,
    body: Frame,
    signal: AbortSignal | null | undefined,
  ): Promise<Response> {
    await Promise.resolve();
    if (route === "register") {
      this.opened.push("register");
      const connection = new HttpConnection();
      const connected = this.#hear(connection, body.connect) as Frame;
      if (connected?.type !== "connected") return refusal(connected?.code ?? "internal", 403);
      const poll_token = `token ${this.#tokens.size}`;
      this.#tokens.set(poll_token, connection);
      return Response.json({ client_id: connected.client_id, poll_token, connected });
    }
    const connection = this.#tokens.get(body.poll_token);
    if (connection?.ended !== undefined) {
      const [code, status] = CODES[connection.ended] ?? ["internal", 500];
      return refusal(code, status);
    }
    if (!connection) return refusal("unknown_session", 404);
    if (route === "unregister") {
      connection.isOpen = false;
      return Response.json({ ok: true });
    }
    if (route === "sse") {
      this.opened.push("sse");
      this.heard.push({ type: "stream", positions: body.positions });
      if (this.streams === "absent") return refusal("not_found", 404);
      return connection.stream(this.streams, this.prelude, signal);
    }
    if (route === "messages") {
      this.heard.push({ type: "poll", positions: body.positions });
      const messages = await connection.poll(signal);
      return Response.json({ messages, poll_interval_hint: 0 });
    }
    const frames = (body.frames as Frame[])
      .map((frame) => this.#hear(connection, frame))
      .filter((reply) => reply !== undefined);
    await this.beforeSendAnswer;
    return Response.json({ frames });
  }

  #hear(connection: Connection, frame: Frame): unknown {
    this.heard.push(frame);
    const { type, request_id } = frame;
    if (frame.type === "disconnect") connection.isOpen = false;
    const answer = Object.hasOwn(this.answers, type)
      ? this.answers[type](frame, connection)
      : this.#usual(connection, frame);
    const isFrame = typeof answer === "object" && answer !== null && !Array.isArray(answer);
    return isFrame && request_id !== undefined ? { request_id, ...answer } : answer;
  }

  #usual(connection: Connection, frame: Frame): Frame | undefined {
    const { channel } = frame;
    switch (frame.type) {
      case "connect": {
        const older = this.current;
        this.current = connection;
        if (older?.isOpen && older !== connection) older.close(4510, "replaced");
        return this.connected(frame);
      }
      case "channel.subscribe":
        return this.subscribed(frame);
      case "channel.unsubscribe":
        return { type: "channel.unsubscribed", channel, ok: true };
      case "channel.publish": {
        const seq = ++this.#published;
        const { epoch } = this;
        const event_id = `${epoch}:${seq}:${channel}`;
        return { type: "channel.published", channel, delivered: 1, event_id, epoch, seq };
      }
      case "channel.create":
        return { type: "channel.created", channel, ok: true };
      case "channel.list":
        return { type: "channel.list", channels: ["a", "b"] };
      case "presence.heartbeat":
        return { type: "presence.heartbeat_ack", ok: true };
      case "presence.query":
        return { type: "presence.list", channel: channel ?? null, presence: [], clients: [] };
      case "ping":
        return { type: "pong" };
    }
    return undefined;
  }

  /** The usual answer to `connect`. */
  connected(frame: Frame): Frame {
    return {
      type: "connected",
      version: 1,
      client_id: frame.client_id ?? "minted",
      ...frame.client_id === undefined && { secret: "s3cret" },
      resumed: false,
      session_ttl: 60,
      delivery: true,
      ack_timeout: 30,
      retry_backoff: 2,
      window: 1024,
      heartbeat_interval: 15,
      max_message_bytes: 65536,
      ...this.terms,
      subscriptions: frame.subscriptions.map((each: Frame) => this.subscribed(each)),
    };
  }

  /** The usual answer to a subscription. */
  subscribed({ channel, position, since, all }: Frame): Frame {
    const from = position ?? since;
    const { epoch, seq } = from ?? { epoch: this.epoch, seq: all ? 0 : this.head };
    return { type: "channel.subscribed", channel, ok: true, epoch, seq };
  }
}

/** A client of `gateway` under `clock`, with half of every random wait. */
export function clientOf(
  gateway: FakeGateway,
  clock: ManualClock,
  options: ClientOptions = {},
): PushClient {
  return new PushClient("ws://gateway.test/ws", {
    WebSocket: gateway.WebSocket,
    fetch: gateway.fetch,
    clock,
    random: (length) => new Uint8Array(length).fill(128),
    ...options,
  });
}

/** Numbers of flat pairs. */
export function numbersOf(ranges: Ranges): number[] {
  const numbers: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    for (let n = ranges[i]; n <= ranges[i + 1]; n++) numbers.push(n);
  }
  return numbers;
}

class FakeSocket {
  readonly url: string;
  readyState = 0;
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onerror: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  onSend: (text: string) => void = () => {};
  onLeave: () => void = () => {};
  stubborn = false;

  constructor(url: string) {
    this.url = url;
  }

  send(text: string): void {
    if (this.readyState === 0) throw new TypeError("Cannot send while connecting");
    if (this.readyState === 1) queueMicrotask(() => this.onSend(text));
  }

  close(code = 1005): void {
    if (this.readyState > 1) return;
    this.readyState = 2;
    if (this.stubborn) return;
    queueMicrotask(() => {
      this.onLeave();
      this.end(code, "");
    });
  }

  open(): void {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    this.#fire("onopen", {});
  }

  hear(data: unknown): void {
    queueMicrotask(() => {
      if (this.readyState === 1) this.#fire("onmessage", { data });
    });
  }

  /** What a page's policy does. */
  fail(): void {
    this.readyState = 3;
    this.#fire("onerror", {});
  }

  end(code: number, reason: string): void {
    if (this.readyState === 3) return;
    const wasConnecting = this.readyState === 0;
    this.readyState = 3;
    if (wasConnecting) this.#fire("onerror", {});
    this.#fire("onclose", { code, reason });
  }

  #fire(name: "onopen" | "onmessage" | "onerror" | "onclose", event: unknown): void {
    this[name]?.(event as never);
  }
}

/** A poller, and the stream or the poll that waits for what it gets. */
class HttpConnection implements Connection {
  readonly transport = "http";
  isOpen = true;
  ended: number | undefined;
  #frames: unknown[] = [];
  #waiting: ((frames: unknown[]) => void) | undefined;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isGathering = false;

  send(frames: readonly unknown[]): void {
    if (this.#body) return this.write(`data: ${JSON.stringify(frames)}\n\n`);
    this.#frames.push(...frames);
    this.#answer();
  }

  close(code: number): void {
    this.isOpen = false;
    this.ended = code === 1006 ? 4404 : code;
    this.#waiting?.([]);
    this.endStream();
  }

  write(...chunks: (string | Uint8Array)[]): void {
    if (this.#isGathering) return;
    const encoder = new TextEncoder();
    for (const chunk of chunks) {
      this.#body?.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
    }
  }

  endStream(error?: unknown): void {
    const body = this.#body;
    this.#body = undefined;
    if (error === undefined) body?.close();
    else body?.error(error);
  }

  stream(fate: StreamFate, prelude: string, signal: AbortSignal | null | undefined): Response {
    this.#waiting?.([]);
    this.endStream();
    this.#isGathering = fate === "gathered";
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#body = controller;
        signal?.addEventListener("abort", () => {
          if (this.#body === controller) this.endStream(signal.reason);
        });
      },
    });
    this.write(prelude);
    if (this.#frames.length > 0) this.send(this.#frames.splice(0));
    const response = new Response(body, { headers: { "content-type": "text/event-stream" } });
    return fate === "bodiless" ? Object.defineProperty(response, "body", {}) : response;
  }

  poll(signal: AbortSignal | null | undefined): Promise<unknown[]> {
    this.endStream();
    return new Promise((resolve) => {
      this.#waiting = resolve;
      signal?.addEventListener("abort", () => {
        if (this.#waiting === resolve) this.#waiting = undefined;
      });
      if (this.#frames.length > 0) this.#answer();
    });
  }

  #answer(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = undefined;
    waiting(this.#frames.splice(0));
  }
}

function refusal(code: string, status: number): Response {
  return Response.json({ ok: false, error: `Refused: ${code}.`, code }, { status });
}
