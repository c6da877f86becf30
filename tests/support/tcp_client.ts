import { within } from "./within.ts";

/** What came back over a raw connection. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Headers;
  readonly body: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A TCP connection on which a test writes bytes as it likes. */
export class TcpClient implements Disposable {
  readonly #conn: Deno.TcpConn;
  #received = new Uint8Array();

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connects. */
  static async connect(port: number): Promise<TcpClient> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay();
    return new TcpClient(conn);
  }

  /** Writes text or bytes; resolves to false if the peer has hung up. */
  async write(data: string | Uint8Array): Promise<boolean> {
    let rest = typeof data === "string" ? encoder.encode(data) : data;
    try {
      while (rest.length > 0) rest = rest.subarray(await this.#conn.write(rest));
      return true;
    } catch (error) {
      if (hungUp(error)) return false;
      throw error;
    }
  }

  /** Says that nothing more is written. */
  async end(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Reads some bytes; `undefined` once the peer has hung up. */
  async read(): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(65_536);
    try {
      const count = await within(this.#conn.read(buffer), "bytes over TCP");
      return count === null ? undefined : buffer.subarray(0, count);
    } catch (error) {
      if (hungUp(error)) return undefined;
      throw error;
    }
  }

  /** Reads the head and body of one HTTP answer; `undefined` if the peer hangs up without one. */
  async answer(): Promise<RawAnswer | undefined> {
    let end: number;
    while ((end = indexOf(this.#received, "\r\n\r\n")) < 0) if (!await this.#more()) return;
    const [line, ...fields] = byteString(this.#received.subarray(0, end)).split("\r\n");
    const headers = new Headers(fields.map((field) => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon), field.slice(colon + 1).trim()];
    }));
    this.#received = this.#received.slice(end + 4);
    const length = Number(headers.get("content-length") ?? 0);
    while (this.#received.length < length) if (!await this.#more()) break;
    const body = decoder.decode(this.#received.subarray(0, length));
    this.#received = this.#received.slice(length);
    return { status: Number(line.split(" ")[1]), headers, body };
  }

  /** What came behind the answers that were read; `undefined` if that is nothing. */
  rest(): Uint8Array | undefined {
    const rest = this.#received;
    this.#received = new Uint8Array();
    return rest.length === 0 ? undefined : rest;
  }

  /** Resolves once the peer has hung up; what it still sends is dropped. */
  async hungUp(): Promise<void> {
    while (await this.read() !== undefined);
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    this.#conn.close();
  }

  async #more(): Promise<boolean> {
    const bytes = await this.read();
    if (bytes === undefined) return false;
    const joined = new Uint8Array(this.#received.length + bytes.length);
    joined.set(this.#received);
    joined.set(bytes, this.#received.length);
    this.#received = joined;
    return true;
  }
}

/** Sends one request as raw text over a connection of its own. */
export async function exchange(
  port: number,
  request: string | Uint8Array,
): Promise<RawAnswer | undefined> {
  using client = await TcpClient.connect(port);
  await client.write(request);
  return await client.answer();
}

/** An upgrade request; `fields` replaces header fields, or leaves those out that are `undefined`. */
export function upgradeRequest(
  target: string,
  fields: Record<string, string | undefined> = {},
  line = `GET ${target} HTTP/1.1`,
): string {
  const all: Record<string, string | undefined> = {
    Host: "127.0.0.1",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...fields,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  return `${line}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** A masked WebSocket frame (RFC 6455 section 5.2); the mask is all zeros. */
export function webSocketFrame(
  payload: string | Uint8Array,
  { opcode = 1, fin = true, masked = true } = {},
): Uint8Array {
  const data = typeof payload === "string" ? encoder.encode(payload) : payload;
  const short = data.length < 126 ? data.length : data.length < 65_536 ? 126 : 127;
  const head = [(fin ? 0x80 : 0) | opcode, (masked ? 0x80 : 0) | short];
  if (short === 126) head.push(data.length >> 8, data.length & 255);
  if (short === 127) {
    for (let shift = 56n; shift >= 0n; shift -= 8n) {
      head.push(Number(BigInt(data.length) >> shift & 255n));
    }
  }
  if (masked) head.push(0, 0, 0, 0);
  const frame = new Uint8Array(head.length + data.length);
  frame.set(head);
  frame.set(data, head.length);
  return frame;
}

/** Header fields may hold any bytes (RFC 9110 section 5.5): each is one character. */
function byteString(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

function indexOf(bytes: Uint8Array, text: string): number {
  const wanted = encoder.encode(text);
  return bytes.findIndex((_, at) => wanted.every((byte, i) => bytes[at + i] === byte));
}

function hungUp(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.UnexpectedEof;
}
