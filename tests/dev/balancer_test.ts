import { assert, assertEquals } from "@std/assert";
import { Balancer } from "../../dev/cluster/balancer.ts";
import { TcpClient } from "../support/tcp_client.ts";
import { until } from "../support/within.ts";

const decoder = new TextDecoder();

/** A server that greets with its name and then sends back what it gets, until the client ends. */
class Greeter implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #conns = new Set<Deno.TcpConn>();
  readonly #serving = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor(readonly name: string, port = 0) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) {
      this.#conns.add(conn);
      this.#serving.add(this.#serve(conn));
    }
  }

  async #serve(conn: Deno.TcpConn): Promise<void> {
    try {
      await conn.write(new TextEncoder().encode(this.name));
      const buffer = new Uint8Array(1024);
      let count: number | null;
      while ((count = await conn.read(buffer)) !== null) {
        await conn.write(buffer.subarray(0, count));
      }
    } catch {
      // The other side is gone, or this one is closed.
    }
    if (this.#conns.delete(conn)) conn.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) conn.close();
    this.#conns.clear();
    await this.#accepting;
    await Promise.all(this.#serving);
  }
}

async function greeted(balancer: Balancer): Promise<[name: string, client: TcpClient]> {
  const client = await TcpClient.connect(balancer.port);
  return [decoder.decode(await client.read()), client];
}

/** Who greets the next `count` clients, each of which leaves again. */
async function round(balancer: Balancer, count: number): Promise<string> {
  let names = "";
  for (let n = 0; n < count; n++) {
    const [name, client] = await greeted(balancer);
    using _ = client;
    names += name;
  }
  return names;
}

Deno.test("Balancer gives each connection to the next backend, and passes bytes both ways to the end", async () => {
  await using a = new Greeter("a");
  await using b = new Greeter("b");
  await using c = new Greeter("c");
  const heard: (number | undefined)[] = [];
  const backends = [a.port, b.port, c.port];
  await using balancer = await Balancer.start({
    backends,
    onConnection: (port) => heard.push(port),
  });
  assertEquals(await round(balancer, 6), "abcabc");
  assertEquals(heard, [...backends, ...backends]);
  const [, client] = await greeted(balancer);
  using _ = client;
  await client.write("hello");
  assertEquals(decoder.decode(await client.read()), "hello");
  await client.end();
  assertEquals(await client.read(), undefined);
  await until(() => [...balancer.open.values()].every((count) => count === 0), "all are closed");
});

Deno.test("Balancer passes over a dead backend, and resets where all are dead", async () => {
  await using a = new Greeter("a");
  const b = new Greeter("b");
  await using c = new Greeter("c");
  const dead = b.port;
  await using balancer = await Balancer.start({ backends: [a.port, dead, c.port] });
  await b[Symbol.asyncDispose]();
  assertEquals([...await round(balancer, 6)].sort().filter((name) => name === "b"), []);
  {
    await using _again = new Greeter("B", dead);
    balancer.admit(dead);
    assertEquals([...await round(balancer, 3)].sort().join(""), "Bac");
  }
  const lonely = await Balancer.start({ backends: [dead] });
  using client = await TcpClient.connect(lonely.port);
  assertEquals(await client.read(), undefined);
  await lonely.stop();
});

Deno.test("Balancer.drain() sends nobody any more, and lets go on who is there", async () => {
  await using a = new Greeter("a");
  await using b = new Greeter("b");
  await using balancer = await Balancer.start({ backends: [a.port, b.port] });
  const [name, client] = await greeted(balancer);
  using _ = client;
  assertEquals(name, "a");
  balancer.drain(a.port);
  assertEquals(await round(balancer, 3), "bbb");
  await client.write("still here");
  assertEquals(decoder.decode(await client.read()), "still here");
  assertEquals(balancer.open.get(a.port), 1);
  balancer.admit(a.port);
  assert((await round(balancer, 2)).includes("a"));
});

Deno.test("Balancer.stop() ends what is open", async () => {
  await using a = new Greeter("a");
  const balancer = await Balancer.start({ backends: [a.port] });
  const [, client] = await greeted(balancer);
  using _ = client;
  await balancer.stop();
  await balancer.stop();
  assertEquals(await client.read(), undefined);
});
