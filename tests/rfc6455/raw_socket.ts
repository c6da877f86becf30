import { assertEquals } from "@std/assert";
import { TcpClient, upgradeRequest } from "../support/tcp_client.ts";
import { CLOSE, frame, joined, PING, PONG, TEXT } from "./frames.ts";

/** A frame that the server sent. */
export interface ServerFrame {
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** How a connection took what was sent: it lives, was closed with a code, or just dropped. */
export type Outcome = "lives" | "dropped" | number;

const PROBE = "probe";
const decoder = new TextDecoder();

/** A WebSocket on which a test writes bytes as it likes, and reads frames. */
export class RawSocket implements Disposable {
  readonly #tcp: TcpClient;
  #rest = new Uint8Array();

  /** @param tcp connection that is upgraded; what came behind the answer counts */
  constructor(tcp: TcpClient) {
    this.#tcp = tcp;
  }

  /** Connects and upgrades. */
  static async open(port: number): Promise<RawSocket> {
    const tcp = await TcpClient.connect(port);
    await tcp.write(upgradeRequest("/ws"));
    assertEquals((await tcp.answer())?.status, 101);
    return new RawSocket(tcp);
  }

  /** Writes bytes; the peer may have hung up. */
  write(bytes: Uint8Array): Promise<boolean> {
    return this.#tcp.write(bytes);
  }

  /** The next frame; `undefined` once the peer has hung up. */
  async next(): Promise<ServerFrame | undefined> {
    while (true) {
      const [found, rest] = parse(this.#rest);
      this.#rest = rest;
      if (found !== undefined) return found;
      const bytes = this.#tcp.rest() ?? await this.#tcp.read();
      if (bytes === undefined) return undefined;
      this.#rest = joined([this.#rest, bytes]) as Uint8Array<ArrayBuffer>;
    }
  }

  /**
   * What became of the connection, and the frames that came up to then.
   *
   * @param expected if it is no end, the end is not waited for
   * @param answers how many frames are waited for while it lives
   */
  async outcome(expected: Outcome, answers = 0): Promise<[Outcome, ServerFrame[]]> {
    await this.write(frame(PROBE, { opcode: PING }));
    const frames: ServerFrame[] = [];
    let lives = false;
    while (true) {
      if (lives && expected === "lives" && frames.length >= answers) return ["lives", frames];
      const next = await this.next();
      if (next === undefined) return ["dropped", frames];
      const { opcode, payload } = next;
      if (opcode === CLOSE) {
        return [payload.length < 2 ? 1005 : payload[0] << 8 | payload[1], frames];
      }
      if (opcode === PONG && decoder.decode(payload) === PROBE) lives = true;
      else frames.push(next);
    }
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    this.#tcp[Symbol.dispose]();
  }
}

/** A frame as a test wants to see it. */
export function shown({ opcode, payload }: ServerFrame): string {
  const names: Record<number, string> = { [TEXT]: "text", [PONG]: "pong", [PING]: "ping" };
  return `${names[opcode] ?? opcode} ${decoder.decode(payload)}`;
}

/** The first frame in some bytes, and what is behind it; no frame from the server is masked. */
function parse(bytes: Uint8Array): [ServerFrame | undefined, Uint8Array<ArrayBuffer>] {
  const all = bytes as Uint8Array<ArrayBuffer>;
  if (all.length < 2) return [undefined, all];
  assertEquals(all[1] & 0x80, 0, "a frame from the server is not masked");
  const form = all[1] & 127;
  const head = form === 127 ? 10 : form === 126 ? 4 : 2;
  if (all.length < head) return [undefined, all];
  let length = form;
  if (form > 125) {
    length = 0;
    for (const byte of all.subarray(2, head)) length = length * 256 + byte;
  }
  if (all.length < head + length) return [undefined, all];
  const payload = all.slice(head, head + length);
  return [{ opcode: all[0] & 15, payload }, all.slice(head + length)];
}
