import { Buffer } from "node:buffer";
import { assertEquals } from "@std/assert";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Arrived } from "../../server/http/head.ts";
import type { SocketEvents, UpgradeTerms } from "../../server/http/upgrader.ts";
import { PING } from "../../server/listeners/ws_frames.ts";
import { type WsTerms, WsUpgrader } from "../../server/listeners/ws_socket.ts";
import { ManualClock } from "../../server/testing/mod.ts";
import { TimingWheel } from "../../server/wheel.ts";

const IDLE = 60_000;
const MIB = 1_048_576;

/** A peer that says nothing, over a connection that shows what is done to it: it is asked, and cut. */
function silent() {
  const clock = new ManualClock();
  const wheel = new TimingWheel(clock, 250);
  const told: string[] = [];
  const socket = {
    readable: true,
    writable: true,
    writableLength: 0,
    setNoDelay() {},
    on() {},
    write: (text: string) => void (text === PING && told.push("ping")),
    destroy: () => void told.push("terminate"),
  };
  const incoming = { httpVersion: "1.1" } as IncomingMessage;
  const connection = socket as unknown as Duplex;
  const upgrader = new WsUpgrader({} as WsTerms, incoming, connection, Buffer.alloc(0));
  const terms = { limits: { idleTimeout: IDLE }, wheel } as UpgradeTerms;
  const events = { lost: () => void told.push("lost") } as unknown as SocketEvents;
  upgrader.upgrade({ headers: new Headers() } as Arrived, terms, () => events);
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
  socket.writableLength = MIB;
  await clock.advance(2 * IDLE);
  assertEquals(told, []);
  await clock.advance(2 * IDLE);
  assertEquals(told, ["ping", "lost", "terminate"]);
  assertEquals([wheel.size, clock.pending], [0, 0]);
});

Deno.test("ws: once a long write has left, a peer has as long to answer as ever", async () => {
  const { clock, wheel, told, socket } = silent();
  socket.writableLength = MIB;
  await clock.advance(IDLE * 3 / 2);
  socket.writableLength = 0;
  await clock.advance(IDLE / 2 + 500);
  assertEquals(told, ["ping"]);
  wheel.stop();
});
