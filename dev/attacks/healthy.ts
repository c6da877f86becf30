/**
 * The clients that must notice nothing of an attack.
 *
 * @module
 */
import { TOKEN } from "./attack.ts";

const CHANNEL = "healthy";
/** Milliseconds between two messages. */
const BEAT = 10;
/** Milliseconds between two newcomers. */
const NEWCOMERS = 500;
/** Milliseconds in which everything that was published must have come. */
const PATIENCE = 8_000;
const headers = { authorization: `Bearer ${TOKEN}` };

/** What a pair of clients has noticed. */
export interface Noticed {
  /** Messages published. */
  readonly sent: number;
  /** Messages that never came. */
  readonly lost: number;
  /** Why the pair could not go on, if it could not. */
  readonly broken: string | undefined;
  /** Newcomers that were let in, and that were not. */
  readonly newcomers: { readonly letIn: number; readonly refused: number };
}

/** A publisher and a subscriber, a message each ten milliseconds, and now and then a newcomer. */
export class HealthyPair implements AsyncDisposable {
  readonly #url: string;
  readonly #publisher: WebSocket;
  readonly #subscriber: WebSocket;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  readonly #sentAt: number[] = [];
  readonly #missing = new Set<number>();
  #times: number[] = [];
  #broken: string | undefined;
  #letIn = 0;
  #refused = 0;

  private constructor(url: string, publisher: WebSocket, subscriber: WebSocket) {
    this.#url = url;
    this.#publisher = publisher;
    this.#subscriber = subscriber;
    for (const [who, socket] of [["publisher", publisher], ["subscriber", subscriber]] as const) {
      socket.onclose = ({ code, reason }) => {
        this.#broken ??= `the ${who} was closed with ${code} ${reason}`.trim();
      };
    }
    subscriber.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    publisher.onmessage = ({ data }) => {
      const { type, code } = JSON.parse(data);
      if (type === "error") this.#broken ??= `a publish was refused with ${code}`;
    };
  }

  /** Connects, and begins. */
  static async start(port: number): Promise<HealthyPair> {
    const url = `ws://127.0.0.1:${port}/ws`;
    const subscriber = await open(`${url}?client_id=healthy`);
    const subscribed = new Promise((resolve) => subscriber.onmessage = resolve);
    subscriber.send(JSON.stringify({ type: "channel.subscribe", channel: CHANNEL }));
    await subscribed;
    const pair = new HealthyPair(url, await open(url), subscriber);
    pair.#timers.push(setInterval(() => pair.#publish(), BEAT));
    pair.#timers.push(setInterval(() => pair.#newcomer(), NEWCOMERS));
    return pair;
  }

  /** Why it cannot go on, if it cannot. */
  get broken(): string | undefined {
    return this.#broken;
  }

  /**
   * How long messages took since this was asked last, in milliseconds: the median and the 99th of a
   * hundred. One that is still missing counts with its age.
   */
  times(): { readonly p50: number; readonly p99: number } {
    const now = performance.now();
    const times = [...this.#times, ...[...this.#missing].map((n) => now - this.#sentAt[n])];
    this.#times = [];
    times.sort((a, b) => a - b);
    const at = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
    return { p50: at(0.5) ?? NaN, p99: at(0.99) ?? NaN };
  }

  /** Stops publishing, waits for what is missing, and tells what was noticed. */
  async end(): Promise<Noticed> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    const end = performance.now() + PATIENCE;
    while (this.#missing.size > 0 && this.#broken === undefined && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return {
      sent: this.#sentAt.length,
      lost: this.#missing.size,
      broken: this.#broken,
      newcomers: { letIn: this.#letIn, refused: this.#refused },
    };
  }

  /** Hangs up. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    await Promise.all([this.#publisher, this.#subscriber].map(hangUp));
  }

  #publish(): void {
    if (this.#publisher.readyState !== WebSocket.OPEN) return;
    const n = this.#sentAt.push(performance.now()) - 1;
    this.#missing.add(n);
    this.#publisher.send(`{"type":"channel.publish","channel":"${CHANNEL}","data":${n}}`);
  }

  // deno-lint-ignore no-explicit-any
  #receive(frame: any): void {
    if (frame.type !== "channel_message") return;
    this.#subscriber.send(JSON.stringify({ type: "message_ack", event_id: frame.event_id }));
    if (!this.#missing.delete(frame.data)) return;
    this.#times.push(performance.now() - this.#sentAt[frame.data]);
  }

  async #newcomer(): Promise<void> {
    try {
      const socket = await open(this.#url);
      this.#letIn++;
      await hangUp(socket);
    } catch {
      this.#refused++;
    }
  }
}

async function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { headers });
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error(`Cannot connect to ${url}`));
  });
  socket.onerror = null;
  return socket;
}

/** Closes a socket; a gateway that is gone or stuck does not answer. */
async function hangUp(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.onclose = () => resolve();
  socket.onerror = () => resolve();
  const timer = setTimeout(resolve, 2000);
  socket.close();
  await promise;
  clearTimeout(timer);
}
