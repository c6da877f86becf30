import { upgradeRequest } from "../support/tcp_client.ts";
import { frame, joined } from "./frames.ts";

/** An opening handshake (RFC 6455 section 4.2.1), and the status that answers it. */
export interface Handshake {
  readonly name: string;
  readonly request: string | Uint8Array;
  readonly ws: number;
  readonly deno: number;
  /** What the built-in transport does wrong, if this row shows it. */
  readonly hole?: string;
}

function answered(name: string, status: number, request: string | Uint8Array): Handshake {
  return { name, request, ws: status, deno: status };
}

const upgrade = (fields: Record<string, string | undefined>) => upgradeRequest("/ws", fields);
const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`X-${i}`, "1"]));

/** The rows. */
export const HANDSHAKES: readonly Handshake[] = [
  answered("as it should be", 101, upgrade({})),
  answered("no key", 400, upgrade({ "Sec-WebSocket-Key": undefined })),
  answered("a key of 3 bytes", 400, upgrade({ "Sec-WebSocket-Key": "YWJj" })),
  answered("a key that is no base64", 400, upgrade({ "Sec-WebSocket-Key": "*".repeat(24) })),
  answered("no version", 426, upgrade({ "Sec-WebSocket-Version": undefined })),
  answered("version 8", 426, upgrade({ "Sec-WebSocket-Version": "8" })),
  answered("version 13 and 8", 426, upgrade({ "Sec-WebSocket-Version": "13, 8" })),
  answered("POST", 405, upgradeRequest("/ws", {}, "POST /ws HTTP/1.1")),
  {
    name: "POST with a body",
    request: `${upgradeRequest("/ws", { "Content-Length": "2" }, "POST /ws HTTP/1.1")}{}`,
    ws: 405,
    deno: 400,
  },
  answered("another protocol", 426, upgrade({ Upgrade: "h2c" })),
  answered("no header Upgrade", 426, upgrade({ Upgrade: undefined })),
  answered("no header Connection", 400, upgrade({ Connection: undefined })),
  answered("Connection: keep-alive", 400, upgrade({ Connection: "keep-alive" })),
  answered("Connection: keep-alive, Upgrade", 101, upgrade({ Connection: "keep-alive, Upgrade" })),
  answered("subprotocols without spaces", 101, upgrade({ "Sec-WebSocket-Protocol": "a,b" })),
  answered("subprotocols that are none", 101, upgrade({ "Sec-WebSocket-Protocol": ", ," })),
  answered(
    "compression is offered",
    101,
    upgrade({
      "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
    }),
  ),
  answered("another path", 404, upgradeRequest("/other")),
  { ...answered("500 fields", 101, upgrade(many)), deno: 400 },
  { ...answered("a field of 300 kB", 431, upgrade({ "X-Big": "x".repeat(300_000) })), deno: 400 },
  answered("two hosts", 400, upgrade({ Host: "a\r\nHost: b" })),
  answered("a host that is none", 400, upgrade({ Host: "a b" })),
  {
    ...answered("no host", 400, upgrade({ Host: undefined })),
    deno: 101,
    hole: "upgrades without one",
  },
  answered("a zero byte in a field", 400, upgrade({ "X-Zero": "a\0b" })),
  answered(
    "a length and chunks",
    400,
    upgrade({
      "Content-Length": "3",
      "Transfer-Encoding": "chunked",
    }),
  ),
  answered("two lengths", 400, upgrade({ "Content-Length": "3\r\nContent-Length: 4" })),
  answered(
    "an address in absolute form",
    101,
    upgradeRequest(
      "/ws",
      {},
      "GET http://127.0.0.1/ws HTTP/1.1",
    ),
  ),
  {
    ...answered("HTTP/1.0", 400, upgradeRequest("/ws", {}, "GET /ws HTTP/1.0")),
    deno: 101,
    hole: "upgrades it",
  },
  answered("HTTP/3.0", 400, upgradeRequest("/ws", {}, "GET /ws HTTP/3.0")),
  answered("no HTTP", 400, "hello\r\n\r\n"),
  answered(
    "a frame in the same packet",
    101,
    joined([
      new TextEncoder().encode(upgrade({})),
      frame('{"type":"ping"}'),
    ]),
  ),
];
