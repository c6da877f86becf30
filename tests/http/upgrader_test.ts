import { assertEquals } from "@std/assert";
import { denoUpgrader, type SocketEvents } from "../../server/http/upgrader.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { ManualClock } from "../../server/testing/manual_clock.ts";
import { TimingWheel } from "../../server/wheel.ts";

/** A socket of the runtime that tells only what the test says. */
class MuteSocket extends EventTarget {
  readyState: number = WebSocket.CONNECTING;
  close(): void {
    this.readyState = WebSocket.CLOSING;
  }
}

/** Upgrades a request to this socket, and notes what the gateway hears of it. */
function upgradeTo(socket: MuteSocket): { heard: string[]; clock: ManualClock; stop: () => void } {
  const clock = new ManualClock();
  const wheel = new TimingWheel(clock, 100);
  const heard: string[] = [];
  const events: SocketEvents = {
    text: (text) => heard.push(text),
    binary: () => heard.push("binary"),
    closing: () => heard.push("closing"),
    lost: () => heard.push("lost"),
    closed: (code) => heard.push(`closed ${code}`),
  };
  const { limits } = resolveOptions().push;
  const upgrade = Deno.upgradeWebSocket;
  Deno.upgradeWebSocket = () =>
    ({ socket, response: new Response() }) as unknown as Deno.WebSocketUpgrade;
  try {
    denoUpgrader.upgrade(new Request("http://push/ws"), { limits, wheel }, () => events);
  } finally {
    Deno.upgradeWebSocket = upgrade;
  }
  return { heard, clock, stop: () => wheel.stop() };
}

Deno.test("the built-in WebSocket: one that never opens counts as gone", async () => {
  const { heard, clock, stop } = upgradeTo(new MuteSocket());
  await clock.advance(20_000);
  assertEquals(heard, ["lost", "closed 1006"]);
  stop();
});

Deno.test("the built-in WebSocket: one that is closed before it opens counts as gone, too", async () => {
  const socket = new MuteSocket();
  const { heard, clock, stop } = upgradeTo(socket);
  socket.close();
  await clock.advance(20_000);
  assertEquals(heard, ["lost", "closed 1006"]);
  stop();
});

Deno.test("the built-in WebSocket: one that opens and then says nothing stays", async () => {
  const socket = new MuteSocket();
  const { heard, clock, stop } = upgradeTo(socket);
  socket.readyState = WebSocket.OPEN;
  socket.dispatchEvent(new Event("open"));
  await clock.advance(20_000);
  socket.dispatchEvent(new MessageEvent("message", { data: "late" }));
  assertEquals(heard, ["late"]);
  stop();
});
