/**
 * What RFC 6455 says of frames, and what becomes of a connection on which one arrives. Where the two
 * transports differ, the row says both: the built-in one drops a connection where `ws` closes it with
 * the code that the RFC names.
 *
 * @module
 */
import {
  BINARY,
  bytesOf,
  CLOSE,
  closeFrame,
  CONTINUATION,
  frame,
  joined,
  PING,
  PONG,
} from "./frames.ts";
import type { Outcome } from "./raw_socket.ts";

/** One row: what is sent, and what becomes of the connection. */
export interface Row {
  readonly name: string;
  readonly sends: readonly Uint8Array[];
  /** Frames that are answered while the connection lives. */
  readonly answers?: readonly string[];
  readonly ws: Outcome;
  readonly deno: Outcome;
  /** What the built-in transport does wrong, if this row shows it. */
  readonly hole?: string;
}

const ASK = '{"type":"ping"}';
const ANSWER = 'text {"type":"pong"}';

/** A frame of the gateway with a certain length in bytes. */
function ask(length: number): string {
  const padded = (pad: string) => JSON.stringify({ type: "ping", pad });
  return padded("x".repeat(length - padded("").length));
}

/** The same becomes of it everywhere: it is answered. */
function taken(name: string, sends: readonly Uint8Array[], answers = [ANSWER]): Row {
  return { name, sends, answers, ws: "lives", deno: "lives" };
}

/** It is against the protocol. */
function refused(name: string, code: number, ...sends: Uint8Array[]): Row {
  return { name, sends, ws: code, deno: "dropped" };
}

/** It is against the protocol, and the built-in transport does not notice. */
function overlooked(row: Row, hole: string): Row {
  return { ...row, deno: "lives", hole };
}

const continued = (payload: string | number[], fin = true) =>
  frame(payload, { opcode: CONTINUATION, fin });
const begun = (payload: string | number[]) => frame(payload, { fin: false });
const ping = (payload: string) => frame(payload, { opcode: PING });
const text = (payload: number[]) => frame(payload);
const split = (payload: number[]) =>
  payload.map((byte, i) => i === 0 ? begun([byte]) : continued([byte], i === payload.length - 1));

const LENGTHS: readonly Row[] = [
  taken("5.2: a length of 125 in 7 bits", [frame(ask(125))]),
  taken("5.2: a length of 126 in 16 bits", [frame(ask(126))]),
  taken("5.2: a length of 65 535 in 16 bits", [frame(ask(65_535))]),
  taken("5.2: a length of 65 536 in 64 bits", [frame(ask(65_536))]),
  taken("5.2: 7 bits would do, and 16 are used", [frame(ASK, { lengthBytes: 3 })]),
  taken("5.2: 7 bits would do, and 64 are used", [frame(ASK, { lengthBytes: 9 })]),
  refused("5.2: a length of 2^63", 1009, frame("", { claims: 1n << 63n })),
  refused("5.2: a length of 2^64 - 1", 1009, frame("", { claims: (1n << 64n) - 1n })),
  refused("5.2: a length of 2^53", 1009, frame("", { claims: 1n << 53n })),
  refused("5.2: a length of 64 MiB", 1009, frame("", { claims: 1n << 26n })),
  taken("5.2: a frame byte by byte", [...frame(ASK)].map((byte) => Uint8Array.of(byte))),
  taken("5.2: a hundred frames at once", [joined(Array(100).fill(frame(ASK)))], [
    ...Array(100).fill(ANSWER),
  ]),
];

const BITS: readonly Row[] = [
  ...[0b100, 0b010, 0b001, 0b111].map((rsv) =>
    refused(`5.2: reserved bits ${rsv.toString(2).padStart(3, "0")}`, 1002, frame(ASK, { rsv }))
  ),
  refused("5.2: a reserved bit of a control frame", 1002, frame("", { opcode: PING, rsv: 0b100 })),
  refused(
    "5.2: a reserved bit of a continuation",
    1002,
    begun('{"type":'),
    frame('"ping"}', { opcode: CONTINUATION, rsv: 0b100 }),
  ),
  ...[3, 4, 5, 6, 7].map((opcode) =>
    refused(`5.2: reserved opcode ${opcode}`, 1002, frame(ASK, { opcode }))
  ),
  ...[0xb, 0xc, 0xd, 0xe, 0xf].map((opcode) =>
    refused(`5.2: reserved control opcode ${opcode}`, 1002, frame("", { opcode }))
  ),
];

const MASKING: readonly Row[] = [
  overlooked(
    refused("5.1: a text that is not masked", 1002, frame(ASK, { masked: false })),
    "takes frames that are not masked",
  ),
  overlooked(
    refused("5.1: a ping that is not masked", 1002, frame("", { opcode: PING, masked: false })),
    "takes control frames that are not masked",
  ),
];

const CONTROL: readonly Row[] = [
  taken("5.5.2: a ping without a payload", [ping("")], ["pong "]),
  taken("5.5.2: a ping of one byte", [ping("x")], ["pong x"]),
  taken("5.5.2: a ping of 125 bytes", [ping("x".repeat(125))], [`pong ${"x".repeat(125)}`]),
  taken("5.5.2: ten pings", Array.from({ length: 10 }, (_, i) => ping(`${i}`)), [
    ...Array.from({ length: 10 }, (_, i) => `pong ${i}`),
  ]),
  refused("5.5: a ping of 126 bytes", 1002, ping("x".repeat(126))),
  refused("5.5: a ping in fragments", 1002, frame("x", { opcode: PING, fin: false })),
  refused("5.5: a close in fragments", 1002, frame([3, 232], { opcode: CLOSE, fin: false })),
  taken("5.5.3: a pong that nobody asked for", [frame("x", { opcode: PONG }), frame(ASK)]),
  overlooked(
    refused("5.5: a pong of 126 bytes", 1002, frame("x".repeat(126), { opcode: PONG })),
    "takes pongs of any size",
  ),
];

const FRAGMENTS: readonly Row[] = [
  taken("5.4: a text in two fragments", [begun('{"type":'), continued('"ping"}')]),
  taken("5.4: a text in fragments of one byte", split([...bytesOf(ASK)])),
  taken("5.4: a text in fragments, some of them empty", [
    begun(""),
    continued("", false),
    continued(ASK, false),
    continued("", false),
    continued(""),
  ]),
  taken("5.4: a ping between two fragments is answered before the text", [
    begun('{"type":'),
    ping("now"),
    frame("", { opcode: PONG }),
    continued('"ping"}'),
  ], ["pong now", ANSWER]),
  refused("5.4: a continuation of nothing", 1002, continued(ASK)),
  refused("5.4: a continuation of nothing, not the last", 1002, continued(ASK, false)),
  refused("5.4: a continuation behind a whole text", 1002, frame(ASK), continued(ASK)),
  refused("5.4: a text between the fragments of a text", 1002, begun('{"type":'), frame(ASK)),
  refused(
    "5.4: a binary frame between the fragments of a text",
    1002,
    begun('{"type":'),
    frame("", { opcode: BINARY }),
  ),
  overlooked(
    refused("5.4: a second beginning", 1002, begun('{"type":'), begun('{"type":')),
    "forgets the fragments before it",
  ),
];

const CLOSES: readonly Row[] = [
  {
    name: "5.5.1: a close without a code",
    sends: [frame("", { opcode: CLOSE })],
    ws: 1005,
    deno: 1005,
  },
  { name: "5.5.1: 1000", sends: [closeFrame(1000)], ws: 1000, deno: 1000 },
  { name: "5.5.1: 1000 and a reason", sends: [closeFrame(1000, "bye")], ws: 1000, deno: 1000 },
  {
    name: "5.5.1: a reason of 123 bytes",
    sends: [closeFrame(1000, "x".repeat(123))],
    ws: 1000,
    deno: 1000,
  },
  ...[1001, 1002, 1003, 1007, 1011, 3000, 3999, 4000, 4999].map((code): Row => ({
    name: `7.4: close code ${code}`,
    sends: [closeFrame(code)],
    ws: code,
    deno: code,
  })),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((
    code,
  ) => ({ ...refused(`7.4: close code ${code}`, 1002, closeFrame(code)), deno: 1002 } as const)),
  refused("5.5.1: a close with one byte", 1002, frame([3], { opcode: CLOSE })),
  {
    ...refused("5.5.1: a reason of 124 bytes", 1002, closeFrame(1000, "x".repeat(124))),
    deno: 1000,
    hole: "takes closes of any size",
  },
  refused("5.5.1: a reason that is no UTF-8", 1007, closeFrame(1000, [0xff])),
  {
    name: "5.5.1: nothing counts behind a close",
    sends: [joined([closeFrame(1000), frame(ASK), frame([0xff])])],
    ws: 1000,
    deno: 1000,
  },
];

// Each is invalid as a whole, and when its bytes come in fragments of their own.
const INVALID: readonly [what: string, bytes: number[]][] = [
  ["a byte that is never UTF-8", [0x22, 0xff, 0x22]],
  ["a continuation byte alone", [0x22, 0x80, 0x22]],
  ["a character cut short", [0x22, 0xe2, 0x82, 0x22]],
  ["an overlong slash", [0x22, 0xc0, 0xaf, 0x22]],
  ["an overlong zero", [0x22, 0xe0, 0x80, 0x80, 0x22]],
  ["a surrogate", [0x22, 0xed, 0xa0, 0x80, 0x22]],
  ["a number above U+10FFFF", [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]],
];

const CUT_SHORT = [0x22, 0xf0, 0x9f, 0x98];

const UTF8: readonly Row[] = [
  ...INVALID.flatMap(([what, bytes]) => [
    refused(`8.1: ${what}`, 1007, text(bytes)),
    refused(`8.1: ${what}, in fragments`, 1007, ...split(bytes)),
  ]),
  refused("8.1: a character cut short by the end", 1007, text(CUT_SHORT)),
  overlooked(
    refused("8.1: a character cut short by the end, in fragments", 1007, ...split(CUT_SHORT)),
    "takes the text without its last character",
  ),
  taken("8.1: characters of one to four bytes, each in fragments", [
    ...split([...bytesOf('{"type":"ping","x":"aü€😀"}')]),
  ]),
];

/** Rows about frames and their order. */
export const ROWS: readonly Row[] = [
  ...LENGTHS,
  ...BITS,
  ...MASKING,
  ...CONTROL,
  ...FRAGMENTS,
  ...CLOSES,
  ...UTF8,
];

/** Largest frame where the rows about size are tried, in bytes. */
export const LIMIT = 1024;

/** Rows about size; what the gateway itself refuses, it closes with 4513. */
export const SIZES: readonly Row[] = [
  taken("a text of the largest size", [frame(ask(LIMIT))]),
  taken("a text of the largest size in fragments", [
    begun(ask(LIMIT).slice(0, 500)),
    continued(ask(LIMIT).slice(500)),
  ]),
  {
    name: "7.4.1: a text one byte too large",
    sends: [frame(ask(LIMIT + 1))],
    ws: 1009,
    deno: 4513,
  },
  {
    name: "7.4.1: fragments that are too large together",
    sends: [begun(ask(LIMIT)), continued("", false), continued("x")],
    ws: 1009,
    deno: 4513,
  },
  {
    name: "10.4: fragments without end",
    sends: [begun("x"), ...Array(64).fill(continued("x".repeat(LIMIT), false))],
    ws: 1009,
    deno: "lives",
    hole: "keeps fragments without any limit",
  },
  {
    name: "10.4: empty fragments without end",
    sends: [begun(""), ...Array(64).fill(continued("", false))],
    ws: "lives",
    deno: "lives",
  },
];
