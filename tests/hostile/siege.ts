import { assert, assertEquals } from "@std/assert";
import { codeOfClose, isCode } from "../../client/protocol/mod.ts";
import type { GatewayOptions } from "../../mod.ts";
import type { LogRecord } from "../../server/logging/record.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

/** Where the mutations begin; the same in every run, unless `PUSH_SEED` says another. */
export const SEED = Number(Deno.env.get("PUSH_SEED") ?? 20_261_123);

/** How a property is run: so many times, from the seed, which a failure prints. */
export function runs(numRuns: number): { readonly numRuns: number; readonly seed: number } {
  return { numRuns, seed: SEED };
}

/** The transports of WebSockets that a gateway may have. */
export const TRANSPORTS = ["deno", "ws"] as const;

/** A gateway under attack, and a client on it that must notice nothing. */
export class Siege implements AsyncDisposable {
  #witnessed = 0;

  private constructor(
    readonly served: Served,
    readonly witness: WireClient,
    /** What the gateway has logged. */
    readonly logged: readonly LogRecord[],
  ) {}

  static async begin({ push, ...options }: GatewayOptions = {}): Promise<Siege> {
    const logged: LogRecord[] = [];
    const served = await startGateway({
      ...options,
      log: { level: "debug" },
      push: {
        presence: { broadcastChanges: false },
        polling: { longPollTimeout: 0.05 },
        // What is limited is not looked at.
        limits: { frameRate: 0, publishRate: 0, pollRate: 0, maxTakeovers: 0, maxFailures: 0 },
        ...push,
      },
    }, { log: (record) => void logged.push(record) });
    const { authToken } = options;
    const headers = authToken === undefined ? undefined : { authorization: `Bearer ${authToken}` };
    const witness = await WireClient.open(`${served.ws}?client_id=witness`, headers);
    await witness.subscribe("witness");
    return new Siege(served, witness, logged);
  }

  /**
   * The witness still gets everything, and nothing that is not its own; the gateway is healthy, and
   * has told nobody of a mistake of its own.
   */
  async check(): Promise<void> {
    const { gateway, http } = this.served;
    const n = ++this.#witnessed;
    await gateway.publish("witness", n);
    const { data, event_id } = await this.witness.next();
    assertEquals(data, n);
    assertEquals((await this.witness.ask({ type: "message_ack", event_id })).ok, true);
    assertEquals((await ask(`${http}/health`)).status, 200);
    const token = gateway.settings.authToken;
    const { text } = await ask(`${http}/metrics`, { token });
    assert(!/code="internal"/.test(text), /.*code="internal".*/.exec(text)?.[0]);
    assertEquals(this.logged.filter(({ level }) => level === "error"), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.witness[Symbol.asyncDispose]();
    await this.served[Symbol.asyncDispose]();
  }
}

/** An error frame or body names a code of the table, in short. */
export function assertRefusal(code: unknown, message: string): void {
  assert(isCode(code) && code !== "internal", `${code}: ${message}`);
  assert(message.length < 400, `a long message: ${message}`);
}

/** What frames were answered with is right. */
export function assertAnswers(frames: readonly Frame[]): void {
  for (const { type, code, message } of frames) if (type === "error") assertRefusal(code, message);
}

/**
 * Deno drops a connection whose peer sends something after the close frame, as the frames behind a
 * text that ends the connection do: the close frame may then be lost.
 */
const NO_CODES = [0, 1005, 1006];

/** A connection was closed with a code of the table, or as the client asked for. */
export function assertClosed(code: number): void {
  const name = codeOfClose(code);
  const isKnown = code === 1000 || NO_CODES.includes(code) || name !== undefined;
  assert(isKnown && name !== "internal", `closed with ${code}`);
}
