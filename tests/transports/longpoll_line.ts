import { PollClient } from "../support/http_client.ts";
import type { Frame } from "../support/wire_client.ts";
import { within } from "../support/within.ts";
import { Inbox, type Line, type Transport } from "./line.ts";

/** Long-polling. */
export const longpoll: Transport = {
  name: "long-polling",
  transport: "longpoll",
  async open(gateway, connect) {
    const [client, { connected }] = await PollClient.open(gateway.http, { connect });
    return new LongPollLine(client, connected);
  },
};

/** What the line has of a channel. */
interface Place {
  epoch: string;
  seq: number;
  open: Set<number>;
}

class LongPollLine implements Line {
  readonly connected: Frame;
  readonly ended: Promise<string>;
  readonly #client: PollClient;
  readonly #inbox = new Inbox();
  readonly #places = new Map<string, Place>();
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
    for (const frame of frames) if (frame.type === "ack") frame.acks.forEach(this.#settle);
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
      const positions = [...this.#places].map(([channel, { epoch, seq, open }]) => ({
        channel,
        epoch,
        seq,
        open: [...open].sort((a, b) => a - b).flatMap((n) => [n, n]),
      }));
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
    if (frame.type === "channel_message" || frame.type === "channel.gap") {
      const { type, channel, epoch, seq } = frame;
      const place = this.#places.get(channel);
      if (place === undefined || place.epoch !== epoch) {
        const open = new Set(type === "channel_message" ? [seq] : []);
        this.#places.set(channel, { epoch, seq, open });
      } else {
        place.seq = Math.max(place.seq, seq);
        if (type === "channel_message") place.open.add(seq);
      }
    }
    this.#inbox.add(frame);
  }

  readonly #settle = ({ channel, upto = 0, ranges = [] }: Frame): void => {
    const open = this.#places.get(channel)?.open;
    for (const seq of open ?? []) {
      const named = (ranges as number[]).some((from, i) =>
        i % 2 === 0 && seq >= from && seq <= ranges[i + 1]
      );
      if (seq <= upto || named) open!.delete(seq);
    }
  };
}
