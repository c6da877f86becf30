import { codeOfClose } from "../../client/protocol/mod.ts";
import { type Ending, type Frame, WireClient } from "../support/wire_client.ts";
import { within } from "../support/within.ts";
import { Inbox, type Line, SILENT, type Transport } from "./line.ts";

/** A WebSocket. */
export const websocket: Transport = {
  name: "WebSocket",
  transport: "websocket",
  async open(gateway, connect) {
    const client = await WireClient.open(gateway.ws);
    client.send(connect);
    return new WebSocketLine(client, await client.next());
  },
};

/** A WebSocket of `npm:ws`. */
export const ws: Transport = {
  ...websocket,
  name: "WebSocket over ws",
  options: { websocket: "ws" },
};

class WebSocketLine implements Line {
  readonly connected: Frame;
  readonly ended: Promise<string>;
  readonly #client: WireClient;
  readonly #inbox = new Inbox();
  readonly #asked = new Map<number, (frame: Frame) => void>();
  #lastId = 0;

  constructor(client: WireClient, connected: Frame) {
    this.#client = client;
    this.connected = connected;
    this.ended = client.closed.then(({ code }: Ending) => codeOfClose(code) ?? String(code));
    this.#sort();
  }

  get unread(): readonly Frame[] {
    return this.#inbox.unread;
  }

  async send(...frames: Frame[]): Promise<Frame[]> {
    const answers: Promise<Frame>[] = [];
    const batch = frames.map((frame) => {
      if (SILENT.has(frame.type)) return frame;
      const request_id = ++this.#lastId;
      answers.push(new Promise((resolve) => this.#asked.set(request_id, resolve)));
      return { ...frame, request_id };
    });
    this.#client.send(JSON.stringify(batch.length === 1 ? batch[0] : batch));
    // What has no answer has arrived once the next frame is answered.
    if (answers.length === 0 && frames[0].type !== "disconnect") await this.send({ type: "ping" });
    return await within(Promise.all(answers), "answers");
  }

  next(): Promise<Frame> {
    return within(this.#inbox.next(), "a frame");
  }

  async sever(): Promise<void> {
    await this.#client.close(4000);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]();
  }

  async #sort(): Promise<void> {
    while (true) {
      const frame = await this.#client.next().catch(() => undefined);
      if (frame === undefined) return;
      const { request_id, ...rest } = frame;
      if (request_id === undefined) this.#inbox.add(frame);
      else this.#asked.get(request_id)?.(rest);
    }
  }
}
