import { assertEquals } from "@std/assert";
import { createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../server/clock.ts";
import { AcceptWatch } from "../../server/listeners/accept_watch.ts";
import { until, within } from "../support/within.ts";

const SHORT = { watch: 5, probe: 50 };
const LONG = { watch: 5, probe: 60_000 };

/** A server that does with each connection what it is told. */
class Neighbour implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that came. */
  count = 0;

  private constructor(treat: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.count++;
      this.#sockets.add(socket);
      socket.on("error", () => {});
      treat(socket);
    });
  }

  static async open(treat: (socket: Socket) => void): Promise<Neighbour> {
    const neighbour = new Neighbour(treat);
    neighbour.#server.listen(0, "127.0.0.1");
    await once(neighbour.#server, "listening");
    return neighbour;
  }

  get address(): { hostname: string; port: number } {
    return { hostname: "127.0.0.1", port: (this.#server.address() as AddressInfo).port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

for (const reusePort of [false, true]) {
  const where = reusePort ? "on a shared port" : "on a port of its own";

  Deno.test(`a server that answers no connection, ${where}, is given up`, async () => {
    await using silent = await Neighbour.open(() => {});
    const lost = Promise.withResolvers<void>();
    const watch = new AcceptWatch({ clock: systemClock, reusePort }, SHORT, lost.resolve);
    watch.begin(silent.address);
    await within(lost.promise, "the server to be given up");
    assertEquals(silent.count, 3);
    watch.end();
  });

  Deno.test(`a server that accepts what comes, ${where}, is left in peace`, async () => {
    let isLost = false;
    const watch = new AcceptWatch(
      { clock: systemClock, reusePort },
      LONG,
      () => isLost = true,
    );
    await using server = await Neighbour.open((socket) => {
      watch.accepted();
      socket.end();
    });
    watch.begin(server.address);
    await until(() => server.count === 6, "six looks");
    watch.end();
    assertEquals(isLost, false);
  });
}

const NEIGHBOURS: readonly [what: string, treat: (socket: Socket) => void][] = [
  ["answers", (socket) => void socket.write("no")],
  ["hangs up", (socket) => void socket.end()],
];
for (const [what, treat] of NEIGHBOURS) {
  Deno.test(`a look where another server of the port ${what} proves nothing`, async () => {
    await using neighbour = await Neighbour.open(treat);
    let isLost = false;
    const watch = new AcceptWatch(
      { clock: systemClock, reusePort: true },
      LONG,
      () => isLost = true,
    );
    watch.begin(neighbour.address);
    await until(() => neighbour.count === 6, "six looks");
    watch.end();
    assertEquals(isLost, false);
  });
}

Deno.test("looks that others answer do not hide that nobody answers the rest", async () => {
  let count = 0;
  await using neighbour = await Neighbour.open((socket) => {
    if (count++ % 2 === 0) socket.end("no");
  });
  const lost = Promise.withResolvers<void>();
  const watch = new AcceptWatch(
    { clock: systemClock, reusePort: true },
    { watch: 5, probe: 200 },
    lost.resolve,
  );
  watch.begin(neighbour.address);
  await within(lost.promise, "the server to be given up");
  watch.end();
});
