import { EventReader } from "../support/event_reader.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { within } from "../support/within.ts";
import type { Frame } from "../support/wire_client.ts";
import type { Transport } from "./line.ts";
import { PollerLine } from "./poller_line.ts";

/** Server-sent events: a poller that has a stream open instead of a poll. */
export const sse: Transport = {
  name: "server-sent events",
  transport: "longpoll",
  async open(gateway, connect) {
    const [client, { connected }] = await PollClient.open(gateway.http, { connect });
    const line = new SseLine(`${gateway.http}/api/push/sse`, client, connected);
    await within(line.opened, "the first event");
    return line;
  },
};

class SseLine extends PollerLine {
  readonly opened: Promise<void>;
  readonly #url: string;
  readonly #streaming: Promise<void>;
  readonly #begin: () => void;
  #reader: EventReader | undefined;
  #severed = false;

  constructor(url: string, client: PollClient, connected: Frame) {
    super(client, connected);
    this.#url = url;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.opened = promise;
    this.#begin = resolve;
    this.#streaming = this.#stream();
  }

  async sever(): Promise<void> {
    this.#severed = true;
    await this.#reader?.close();
    await this.#streaming;
  }

  async #stream(): Promise<void> {
    while (!this.#severed) {
      const body = { poll_token: this.client.pollToken, positions: this.positions.list() };
      try {
        this.#reader = await EventReader.open(this.#url, { body });
      } catch {
        const refused = await ask(this.#url, { body }).catch(() => undefined);
        return this.end(refused?.body.code ?? "unreachable");
      }
      if (this.#severed) await this.#reader.close();
      for await (const event of this.#reader) {
        this.#begin();
        this.receive(JSON.parse(event.data!));
      }
    }
  }
}
