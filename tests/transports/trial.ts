import type { GatewayOptions } from "../../mod.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";
import { within } from "../support/within.ts";
import type { Line, Transport } from "./line.ts";

/** What a case has at hand. */
export class Trial implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #served: Served;
  readonly #lines = new Set<Line>();
  readonly #sockets = new AsyncDisposableStack();
  #attempts = 0;

  private constructor(transport: Transport, served: Served, readonly clock: SocketClock) {
    this.#transport = transport;
    this.#served = served;
  }

  /** Starts a gateway for one case. */
  static async begin(transport: Transport, options: GatewayOptions = {}): Promise<Trial> {
    const clock = new SocketClock();
    return new Trial(
      transport,
      await startGateway({ ...options, ...transport.options }, { clock }),
      clock,
    );
  }

  /** The gateway. */
  get gateway(): Served["gateway"] {
    return this.#served.gateway;
  }
  /** What the gateway calls the transport. */
  get transport(): string {
    return this.#transport.transport;
  }

  /** Opens a line as the client `ann`, unless told otherwise. */
  async line(connect: Frame = {}): Promise<Line> {
    const line = await this.#transport.open(this.#served, {
      type: "connect",
      version: 1,
      instance: "i1",
      attempt: ++this.#attempts,
      client_id: "ann",
      ...connect,
    });
    this.#lines.add(line);
    return line;
  }

  /** Opens a line that is subscribed to one channel; resolves to the channel's epoch, too. */
  async on(channel: string, connect: Frame = {}): Promise<[line: Line, epoch: string]> {
    const line = await this.line({ subscriptions: [{ channel }], ...connect });
    return [line, line.connected.subscriptions[0].epoch];
  }

  /** A client of the fixed wire, to talk with. */
  async other(name = "bob"): Promise<WireClient> {
    return this.#sockets.use(await WireClient.open(`${this.#served.ws}?client_id=${name}`));
  }

  /** Lets seconds pass, and lets every line show that it lives. */
  async pass(seconds: number): Promise<void> {
    for (let left = seconds; left > 0; left -= 10) {
      await this.clock.advance(Math.min(left, 10) * 1000);
      await Promise.all(
        [...this.#lines].map((line) => line.send({ type: "ping" }).catch(() => {})),
      );
    }
  }

  /** Breaks a line, and waits until the gateway has noticed. */
  async sever(line: Line): Promise<void> {
    this.#lines.delete(line);
    const transports = this.#transport.transport === "websocket";
    const gone = Promise.withResolvers<void>();
    const off = this.gateway.on("disconnected", () => gone.resolve());
    await line.sever();
    if (transports) await within(gone.promise, "the gateway to notice");
    off();
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#lines].map((line) => line[Symbol.asyncDispose]()));
    await this.#sockets.disposeAsync();
    await this.#served[Symbol.asyncDispose]();
  }
}

/** One case: a sentence, and what shows that it is true. */
export interface Case {
  readonly name: string;
  readonly options?: GatewayOptions;
  run(trial: Trial): Promise<void>;
}

/** No presence events. */
export const QUIET: GatewayOptions = { push: { presence: { broadcastChanges: false } } };
/** Numbers in a row. */
export const numbers = (count: number, from = 1) =>
  Array.from({ length: count }, (_, i) => i + from);

/** The next frames of a line. */
export async function take(line: Line, count: number): Promise<Frame[]> {
  const frames: Frame[] = [];
  while (frames.length < count) frames.push(await line.next());
  return frames;
}

/** Everything that the gateway had for a line has arrived; returns what is unread. */
export async function settled(line: Line): Promise<readonly Frame[]> {
  await line.send({ type: "ping" });
  await line.send({ type: "ping" });
  return line.unread;
}

/** Acknowledges everything up to a number. */
export function ack(epoch: string, upto: number, channel = "news"): Frame {
  return { type: "ack", acks: [{ channel, epoch, upto }] };
}
