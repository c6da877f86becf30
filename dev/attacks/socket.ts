/**
 * A socket on which an attacker writes bytes as it likes.
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { Buffer } from "node:buffer";

const encoder = new TextEncoder();

/**
 * Where attackers say that they come from. The gateway believes it, as of a proxy: what comes from
 * this machine's own addresses would be taken for many.
 */
const FORWARDED = "X-Forwarded-For: 203.0.113.7\r\n";
/** Milliseconds that an attacker waits for anything. */
const PATIENCE = 15_000;

/** Where an attacker connects to, and from where. */
export interface Target {
  readonly port: number;
  /** Address of this machine that the connections come from. */
  readonly from: string;
}

/** What a socket has seen of its end, and of what came before. */
export interface Seen {
  /** Status of the first HTTP answer. */
  readonly status: number | undefined;
  /** Code of the close frame. */
  readonly close: number | undefined;
  /** Whether the peer has hung up. */
  readonly isGone: boolean;
  /** Answers by the `code` of error frames and error bodies. */
  readonly codes: ReadonlyMap<string, number>;
  /** Bytes that came. */
  readonly bytes: number;
}

/** One TCP connection of an attacker. It looks at what comes only as far as a report needs it. */
export class AttackSocket {
  readonly #socket: Socket;
  readonly #codes = new Map<string, number>();
  readonly #gone = Promise.withResolvers<void>();
  #tail: Buffer = Buffer.alloc(0);
  #status: number | undefined;
  #close: number | undefined;
  #bytes = 0;
  #isGone = false;
  #onAnswer: (() => void) | undefined;
  #isWebSocket = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#look(bytes));
    socket.on("error", () => this.#end());
    socket.on("close", () => this.#end());
    socket.on("end", () => this.#end());
  }

  /** Connects. @throws {Error} if that is refused */
  static async connect({ port, from }: Target): Promise<AttackSocket> {
    const socket = connect({ host: "127.0.0.1", port, localAddress: from });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new AttackSocket(socket);
  }

  /** Connects and asks for a WebSocket; resolves once that is answered, whatever the answer is. */
  static async upgrade(target: Target, token: string | undefined): Promise<AttackSocket> {
    const socket = await AttackSocket.connect(target);
    await socket.ask(upgradeRequest(token));
    socket.#isWebSocket = socket.#status === 101;
    return socket;
  }

  /** What it has seen. */
  get seen(): Seen {
    const [status, close, isGone] = [this.#status, this.#close, this.#isGone];
    return { status, close, isGone, codes: this.#codes, bytes: this.#bytes };
  }

  /** Writes bytes; resolves to whether there may come more, once the kernel has taken them. */
  async write(bytes: Uint8Array | string): Promise<boolean> {
    if (this.#isGone) return false;
    const written = Promise.withResolvers<void>();
    this.#socket.write(bytes, () => written.resolve());
    await Promise.race([written.promise, this.#gone.promise, sleep(PATIENCE)]);
    return !this.#isGone;
  }

  /** Writes a request and waits for the head of an answer, or for the end. */
  async ask(request: string): Promise<void> {
    const answered = new Promise<void>((resolve) => this.#onAnswer = resolve);
    if (!await this.write(request)) return;
    await Promise.race([answered, this.#gone.promise, sleep(PATIENCE)]);
  }

  /** Reads nothing any more. */
  deafen(): void {
    this.#socket.pause();
  }

  /** Reads again, and waits until the peer has hung up, `patience` milliseconds at most. */
  async listenToTheEnd(patience: number): Promise<void> {
    this.#socket.resume();
    await Promise.race([this.#gone.promise, sleep(patience)]);
  }

  /** Hangs up. */
  destroy(): void {
    this.#socket.destroy();
  }

  #end(): void {
    this.#isGone = true;
    this.#gone.resolve();
  }

  #look(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#isWebSocket) {
      this.#tail = bytes.length >= 200
        ? bytes.subarray(-200)
        : Buffer.concat([this.#tail, bytes]).subarray(-200);
      this.#close = closeCodeIn(this.#tail) ?? this.#close;
    } else {
      this.#status ??= Number(/^HTTP\/1\.1 (\d+)/.exec(bytes.subarray(0, 20).toString())?.[1]);
    }
    // Beginnings are enough: errors are short, and floods are long.
    for (const [, code] of bytes.subarray(0, 4096).toString().matchAll(/"code":"(\w+)"/g)) {
      this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
    }
    this.#onAnswer?.();
  }
}

/** Waits. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    Deno.unrefTimer(timer);
  });
}

/** A request with a JSON body. */
export function postRequest(path: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${FORWARDED}` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** A request for a WebSocket. */
export function upgradeRequest(token: string | undefined): string {
  const authorization = token === undefined ? "" : `Authorization: Bearer ${token}\r\n`;
  return "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
    `${FORWARDED}${authorization}\r\n`;
}

/** A masked WebSocket frame (RFC 6455 section 5.2); the mask is all zeros. */
export function frame(payload: string | Uint8Array, opcode = 1, fin = true): Uint8Array {
  const data = typeof payload === "string" ? encoder.encode(payload) : payload;
  const head = frameHead(data.length, opcode, fin);
  const bytes = new Uint8Array(head.length + data.length);
  bytes.set(head);
  bytes.set(data, head.length);
  return bytes;
}

/** The head of a masked frame, which says how long it is going to be. */
export function frameHead(length: number, opcode = 1, fin = true): Uint8Array {
  const short = length < 126 ? length : length < 65_536 ? 126 : 127;
  const head = [(fin ? 0x80 : 0) | opcode, 0x80 | short];
  if (short === 126) head.push(length >> 8, length & 255);
  if (short === 127) {
    for (let shift = 56n; shift >= 0n; shift -= 8n) {
      head.push(Number(BigInt(length) >> shift & 255n));
    }
  }
  return new Uint8Array([...head, 0, 0, 0, 0]);
}

/** The same bytes again and again. */
export function repeated(bytes: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(bytes.length * times);
  for (let n = 0; n < times; n++) all.set(bytes, n * bytes.length);
  return all;
}

/** Code of a close frame that ends the bytes. */
function closeCodeIn(bytes: Uint8Array): number | undefined {
  for (let at = bytes.length - 4; at >= 0; at--) {
    if (bytes[at] !== 0x88 || bytes[at + 1] !== bytes.length - at - 2) continue;
    return bytes[at + 2] << 8 | bytes[at + 3];
  }
}
