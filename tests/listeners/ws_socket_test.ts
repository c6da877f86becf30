import { assertEquals } from "@std/assert";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Arrived } from "../../server/http/head.ts";
import type { SocketEvents, UpgradeTerms } from "../../server/http/upgrader.ts";
import { WsUpgrader, type WsWebSocket } from "../../server/listeners/ws_socket.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { TimingWheel } from "../../server/wheel.ts";

const IDLE = 60_000;
const MIB = 1_048_576;

/** A peer that says nothing, as the library shows it: it is asked, and cut. */
function silent() {
  const clock = new ManualClock();
  const wheel = new TimingWheel(clock, 250);
  const told: string[] = [];
  const socket = {
    readyState: 1,
    bufferedAmount: 0,
    isPaused: false,
    ping: () => void told.push("ping"),
    terminate: () => void told.push("terminate"),
  };
  const library = {
    handleUpgrade: (
      _request: IncomingMessage,
      _socket: Duplex,
      _head: Uint8Array,
      done: (socket: WsWebSocket) => void,
    ) => done(socket as unknown as WsWebSocket),
  };
  const incoming = { httpVersion: "1.1", headers: {} } as IncomingMessage;
  const upgrader = new WsUpgrader(library, incoming, {} as Duplex, new Uint8Array());
  const terms = { limits: { idleTimeout: IDLE }, wheel } as UpgradeTerms;
  const events = { lost: () => void told.push("lost") } as unknown as SocketEvents;
  upgrader.upgrade({} as Arrived, terms, () => events);
  return { clock, wheel, told, socket };
}

Deno.test("ws: a peer that is silent is asked after half of idleTimeout, and cut after all of it", async () => {
  const { clock, wheel, told } = silent();
  await clock.advance(IDLE / 2 + 500);
  assertEquals(told, ["ping"]);
  await clock.advance(IDLE / 2);
  assertEquals(told, ["ping", "lost", "terminate"]);
  assertEquals([wheel.size, clock.pending], [0, 0]);
});

Deno.test("ws: who reads a long write is not silent: it has not read the ping behind that; but not for ever", async () => {
  const { clock, wheel, told, socket } = silent();
  socket.bufferedAmount = MIB;
  await clock.advance(2 * IDLE);
  assertEquals(told, []);
  await clock.advance(2 * IDLE);
  assertEquals(told, ["ping", "lost", "terminate"]);
  assertEquals([wheel.size, clock.pending], [0, 0]);
});

Deno.test("ws: once a long write has left, a peer has as long to answer as ever", async () => {
  const { clock, wheel, told, socket } = silent();
  socket.bufferedAmount = MIB;
  await clock.advance(IDLE * 3 / 2);
  socket.bufferedAmount = 0;
  await clock.advance(IDLE / 2 + 500);
  assertEquals(told, ["ping"]);
  wheel.stop();
});
