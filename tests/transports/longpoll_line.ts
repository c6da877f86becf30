import { PollClient } from "../support/http_client.ts";
import type { Frame } from "../support/wire_client.ts";
import { within } from "../support/within.ts";
import { Inbox, type Line, type Transport } from "./line.ts";
import { Positions } from "./positions.ts";

/** Long-polling. */
export const longpoll: Transport = {
  name: "long-polling",
  transport: "longpoll",
  async open(gateway, connect) {
    const [client, { connected }] = await PollClient.open(gateway.http, { connect });
    return new LongPollLine(client, connected);
  },
};

class LongPollLine implements Line {
  readonly connected: Frame;
  readonly ended: Promise<string>;
  readonly #client: PollClient;
  readonly #inbox = new Inbox();
  readonly #positions = new Positions();
  readonly #aborted = new AbortController();
  readonly #polling: Promise<void>;
  readonly #end: (code: string) => void;

  constructor(client: PollClient, connected: Frame) {
    this.#client = client;
    this.connected = connected;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    this.#end = resolve;
    this.#polling = this.#poll();
  }

  get unread(): readonly Frame[] {
    return this.#inbox.unread;
  }

  async send(...frames: Frame[]): Promise<Frame[]> {
    this.#positions.sent(frames);
    const { status, body } = await this.#client.post("send", { frames });
    if (status !== 200) throw new Error(`Cannot send: ${JSON.stringify(body)}`);
    return body.frames;
  }

  next(): Promise<Frame> {
    return within(this.#inbox.next(), "a frame");
  }

  async sever(): Promise<void> {
    this.#aborted.abort();
    await this.#polling;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sever();
  }

  async #poll(): Promise<void> {
    const { signal } = this.#aborted;
    while (!signal.aborted) {
      const positions = this.#positions.list();
      try {
        const { status, body } = await this.#client.post("messages", { positions }, signal);
        if (status !== 200) return this.#end(body.code);
        for (const frame of body.messages) this.#receive(frame);
      } catch {
        return this.#end("unreachable");
      }
    }
  }

  #receive(frame: Frame): void {
    this.#positions.received(frame);
    this.#inbox.add(frame);
  }
}
