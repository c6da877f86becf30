import { PollClient } from "../support/http_client.ts";
import type { Frame } from "../support/wire_client.ts";
import type { Transport } from "./line.ts";
import { PollerLine } from "./poller_line.ts";

/** Long-polling. */
export const longpoll: Transport = {
  name: "long-polling",
  transport: "longpoll",
  async open(gateway, connect) {
    const [client, { connected }] = await PollClient.open(gateway.http, { connect });
    return new LongPollLine(client, connected);
  },
};

class LongPollLine extends PollerLine {
  readonly #aborted = new AbortController();
  readonly #polling: Promise<void>;

  constructor(client: PollClient, connected: Frame) {
    super(client, connected);
    this.#polling = this.#poll();
  }

  async sever(): Promise<void> {
    this.#aborted.abort();
    await this.#polling;
  }

  async #poll(): Promise<void> {
    const { signal } = this.#aborted;
    while (!signal.aborted) {
      const positions = this.positions.list();
      try {
        const { status, body } = await this.client.post("messages", { positions }, signal);
        if (status !== 200) return this.end(body.code);
        this.receive(body.messages);
      } catch {
        return this.end("unreachable");
      }
    }
  }
}
