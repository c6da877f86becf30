import type { PollClient } from "../support/http_client.ts";
import { within } from "../support/within.ts";
import type { Frame } from "../support/wire_client.ts";
import { Inbox, type Line } from "./line.ts";
import { Positions } from "./positions.ts";

/** A line of a poller: what it says goes up by `send`, however it is answered. */
export abstract class PollerLine implements Line {
  readonly connected: Frame;
  readonly ended: Promise<string>;
  protected readonly client: PollClient;
  protected readonly positions = new Positions();
  /** It gets nothing any more, for this reason. */
  protected readonly end: (code: string) => void;
  readonly #inbox = new Inbox();

  constructor(client: PollClient, connected: Frame) {
    this.client = client;
    this.connected = connected;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    this.end = resolve;
  }

  get unread(): readonly Frame[] {
    return this.#inbox.unread;
  }

  async send(...frames: Frame[]): Promise<Frame[]> {
    this.positions.sent(frames);
    const { status, body } = await this.client.post("send", { frames });
    if (status !== 200) throw new Error(`Cannot send: ${JSON.stringify(body)}`);
    return body.frames;
  }

  next(): Promise<Frame> {
    return within(this.#inbox.next(), "a frame");
  }

  abstract sever(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void> {
    return this.sever();
  }

  /** Something has come. */
  protected receive(frames: readonly Frame[]): void {
    for (const frame of frames) {
      this.positions.received(frame);
      this.#inbox.add(frame);
    }
  }
}
