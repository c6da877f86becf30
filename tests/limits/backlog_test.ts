import { assert, assertEquals } from "@std/assert";
import type { GatewayFrame } from "@push/client/protocol";
import { Tickets } from "../../server/access/tickets.ts";
import type { HubContext } from "../../server/context.ts";
import { Backlog, type BacklogOwner } from "../../server/dialog/backlog.ts";
import { Door } from "../../server/http/door.ts";
import { Sockets } from "../../server/http/upgrade.ts";
import type { SocketEvents } from "../../server/http/upgrader.ts";
import { Buffers } from "../../server/limits/buffers.ts";
import { Slices } from "../../server/slices.ts";
import { seededRandom } from "../../server/testing/mod.ts";
import { type Overrides, World } from "../core/harness.ts";

const ANONYMOUS = { subject: "anonymous" };

/** Somebody who takes so many texts in a turn. */
class Taker implements BacklogOwner {
  readonly backlog: Backlog;
  readonly taken: string[] = [];
  readonly weight = 1;
  left = 0;

  constructor() {
    const buffers = new Buffers(2 ** 30, () => 0);
    const slices = new Slices({ now: () => 0, schedule: () => () => {} });
    const context = { slices, limits: { buffers } };
    this.backlog = new Backlog(this, context as unknown as HubContext);
  }

  goesOn(): boolean {
    return this.left > 0;
  }
  take(text: string): [] {
    this.left--;
    this.taken.push(text);
    return [];
  }
  handle(): void {}
  emptied(): void {
    this.left = 0;
  }
  overflowed(): void {}
  paused(): void {}
  filled(): void {}
  failed(error: unknown): void {
    throw error;
  }
}

Deno.test("a backlog gives back what came, in order, whatever the order of adding and taking", () => {
  const random = seededRandom(7).bytes;
  const taker = new Taker();
  const { backlog, taken } = taker;
  let [added, size] = [0, 0];
  for (let n = 0; n < 30_000; n++) {
    // It grows at first, and is emptied then.
    if (random(1)[0] < (n < 15_000 ? 160 : 90)) {
      const text = `${added++}`;
      backlog.add(text);
      size += text.length;
    } else {
      const before = taken.length;
      taker.left = 1;
      backlog.resume();
      for (const text of taken.slice(before)) size -= text.length;
    }
    assertEquals(backlog.waiting, size);
  }
  assert(taken.length > 10_000);
  assertEquals(taken, Array.from({ length: taken.length }, (_, n) => `${n}`));
});

Deno.test("a backlog that is never empty keeps nothing of what was taken", () => {
  const taker = new Taker();
  const { backlog } = taker;
  const bytes = new Uint8Array(8_192).fill(120);
  const more = (n: number) => {
    bytes[n % bytes.length]++;
    backlog.add(new TextDecoder().decode(bytes));
  };
  more(0);
  const size = backlog.waiting;
  const before = Deno.memoryUsage().heapUsed;
  // 400 MB in all.
  for (let n = 1; n < 50_000; n++) {
    more(n);
    taker.left = 1;
    backlog.resume();
    assertEquals(taker.taken.splice(0).length, 1);
  }
  assert(backlog.waiting <= 3 * size);
  const grown = (Deno.memoryUsage().heapUsed - before) / 1e6;
  assert(grown < 200, `${grown} MB`);
});

/** A socket that a client drives, with no wire between. */
class FakeSocket {
  readyState = 1;
  bufferedAmount = 0;
  paused = false;
  readonly closes: (number | undefined)[] = [];
  readonly frames: GatewayFrame[] = [];
  send(text: string): void {
    this.frames.push(JSON.parse(text));
  }
  close(code?: number): void {
    this.readyState = 2;
    this.closes.push(code);
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
}

/** Sockets of a hub whose clock waits for the sockets: until the test says that it has. */
class Bed extends World {
  readonly sockets: Sockets;
  #waiting = new Set<() => void>();

  constructor(overrides: Overrides = {}) {
    super(overrides);
    const { clock } = this;
    Object.assign(clock, {
      afterIo: (task: () => void) => {
        this.#waiting.add(task);
        return () => void this.#waiting.delete(task);
      },
    });
    const tickets = new Tickets({ clock, random: seededRandom(2).bytes, ttl: 1000 });
    this.sockets = new Sockets(this.hub, new Door(this.authenticator, tickets, false));
  }

  async open(clientId: string): Promise<[socket: FakeSocket, events: SocketEvents]> {
    const socket = new FakeSocket();
    const events = this.sockets.accept(socket, { identity: ANONYMOUS, clientId });
    events.text('{"type":"ping"}');
    await this.settle();
    return [socket, events];
  }

  async turns(): Promise<void> {
    while (this.#waiting.size > 0) {
      const waiting = this.#waiting;
      this.#waiting = new Set();
      for (const task of waiting) task();
      await this.settle();
    }
  }

  async head(channel: string): Promise<number> {
    return (await this.interposed.store.read(channel, 0, 1, this.clock.now())).head;
  }
}

function publish(channel: string, data: number | string): string {
  return JSON.stringify({ type: "channel.publish", channel, data });
}

const LONG = "x".repeat(2000);

Deno.test("a socket is not read while too much waits of it, and is read again once little does", async () => {
  const bed = new Bed();
  const [socket, events] = await bed.open("ann");
  for (let n = 0; n < 90; n++) events.text(publish("c", LONG));
  assertEquals(socket.paused, false, "a little waits");
  for (let n = 0; n < 10; n++) events.text(publish("c", LONG));
  assertEquals(socket.paused, true);
  await bed.settle();
  await bed.turns();
  assertEquals([socket.paused, await bed.head("c")], [false, 100]);
  events.closed(1000);
  await bed.end();
});

Deno.test("a socket that is closed while its frames wait is read again: the peer's close is among it", async () => {
  const bed = new Bed();
  const [replaced, old] = await bed.open("ann");
  for (let n = 0; n < 110; n++) old.text(publish("c", LONG));
  await bed.settle();
  assertEquals(replaced.paused, true);
  const [, events] = await bed.open("ann");
  assertEquals([replaced.closes.length, replaced.paused], [1, false]);
  await bed.turns();
  assert(await bed.head("c") < 100);
  old.closed(1000);
  events.closed(1000);
  assertEquals(bed.hub.context.limits.connections.size, 0);
  await bed.end();
});

Deno.test("what waits of a client that has closed is not done once its session is taken from it", async () => {
  const bed = new Bed();
  const [, old] = await bed.open("ann");
  for (let n = 0; n < 500; n++) old.text(publish("c", n));
  await bed.settle();
  old.closed(1006);
  await bed.settle();
  const before = await bed.head("c");
  assert(before < 100, `${before}`);
  const [, events] = await bed.open("ann");
  await bed.turns();
  assertEquals(await bed.head("c"), before);
  events.closed(1000);
  assertEquals(bed.hub.context.limits.connections.size, 0);
  await bed.end();
});

Deno.test("what waits of all clients together is limited: who has waited longest with the most is closed", async () => {
  const bed = new Bed({ limits: { maxTotalBufferedBytes: 400_000 } });
  const [first, one] = await bed.open("ann");
  const [second, two] = await bed.open("bob");
  const text = publish("c", 1).padEnd(2_000);
  for (let n = 0; n < 150; n++) one.text(text);
  await bed.settle();
  await bed.pass(100);
  for (let n = 0; n < 130; n++) two.text(text);
  assertEquals([first.closes.length, second.closes.length], [1, 0]);
  assertEquals(bed.hub.context.metrics.closed.get("too_many_frames"), 1);
  await bed.turns();
  assertEquals([await bed.head("c") < 280, bed.hub.context.limits.buffers.size], [true, 0]);
  one.closed(1000);
  two.closed(1000);
  await bed.end();
});
