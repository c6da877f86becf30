/** Starts crowds (`crowd.ts`) and tells them what to do. */
import { Measured } from "./process.ts";

/** Which crowd. */
export interface CrowdPlan {
  /** Address of a WebSocket. */
  readonly url: string;
  /** Whether to a gateway, or to the bare loop. */
  readonly wire: "extended" | "bare";
  /** How many. */
  readonly clients: number;
  /** What they subscribe to. */
  readonly channel: string;
}

/** Connections that are being opened at a time: as many as a listening socket may well have waiting. */
const AT_ONCE = 256;

/** Many subscribers in a process of their own. */
export class Crowd implements AsyncDisposable {
  readonly #process: Measured;
  readonly #clients: number;
  #present = 0;

  constructor(plan: CrowdPlan) {
    const program = new URL("crowd.ts", import.meta.url).pathname;
    this.#process = Measured.start(program, JSON.stringify({ ...plan, atOnce: AT_ONCE }));
    this.#clients = plan.clients;
  }

  /** So many of them, all by default, connect and subscribe. @throws {Error} if one cannot */
  async come(count = this.#clients): Promise<void> {
    this.#present = count;
    await this.#tell(`come ${count}`);
  }

  /** All connections drop. */
  async leave(): Promise<void> {
    await this.#tell("leave");
  }

  /**
   * Until each that is there has the messages up to this number; resolves to the seconds since they began to come.
   *
   * @throws {Error} if anybody got anything else, or anything twice
   */
  async wait(n: number): Promise<number> {
    const { seconds, received, wrong } = await this.#tell(`wait ${n}`);
    const expected = n * this.#present;
    if (wrong === 0 && received === expected) return seconds;
    throw new Error(`${received} of ${expected} arrived, ${wrong} of them out of order.`);
  }

  /** Ends them. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }

  async #tell(line: string): Promise<{ seconds: number; received: number; wrong: number }> {
    await this.#process.write(`${line}\n`);
    return JSON.parse(await this.#process.lineAfter("did "));
  }
}
