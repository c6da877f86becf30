import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { startCluster } from "../../dev/cluster/cluster.ts";
import { GatewayNode, startGateways } from "../../dev/cluster/gateways.ts";
import { isFree } from "../../dev/cluster/ports.ts";
import { ask } from "../support/http_client.ts";

const MEMORY = ["--store", "memory"];

Deno.test("startGateways(): each answers, is killed and stopped, and starts again on its port", async () => {
  const [first, second] = await startGateways(2, () => ({ args: MEMORY }));
  assertEquals((await ask(`${first.http}/health`)).status, 200);
  const { pid, port } = first;
  await first.kill();
  assertEquals([first.running, first.ending?.signal], [false, "SIGKILL"]);
  assertEquals((await ask(`${second.http}/health`)).status, 200);
  await first.start();
  assertEquals([first.port, first.starts], [port, 2]);
  assertNotEquals(first.pid, pid);
  assertEquals((await ask(`${first.http}/health`)).status, 200);
  await first.stop();
  assertEquals(first.ending, { success: true, code: 0, signal: null });
  await second.kill();
  assert(isFree(first.port) && isFree(second.port));
});

Deno.test("startGateways() says what a gateway that does not start wrote, and leaves none", async () => {
  const lines: string[] = [];
  await assertRejects(
    () =>
      startGateways(2, (n) => ({
        args: n === 1 ? MEMORY : ["--no-such-flag"],
        onLine: (line) => lines.push(line),
      })),
    Error,
    "--no-such-flag",
  );
  const port = Number(/listens on 127\.0\.0\.1:(\d+)/.exec(lines.join("\n"))?.[1]);
  assert(port > 0 && isFree(port));
});

Deno.test("GatewayNode: a port that is taken is waited for", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  let isHeard = false;
  await using node = await GatewayNode.start({
    args: MEMORY,
    port,
    onLine: () => {
      if (!isHeard) listener.close();
      isHeard = true;
    },
  });
  assertEquals((await ask(`${node.http}/health`)).status, 200);
});

Deno.test("startCluster(): connections through the balancer go round, and stop() ends everything", async () => {
  const went: number[] = [];
  const cluster = await startCluster({
    store: () => MEMORY,
    args: ["--token", "s3cret"],
    onConnection: (n) => went.push(n),
  });
  for (let n = 0; n < 3; n++) {
    const { status } = await ask(`${cluster.balancer.http}/health`, {
      headers: { connection: "close" },
    });
    assertEquals(status, 200);
  }
  assertEquals(went, [1, 2, 3]);
  assertEquals(cluster.redis, undefined);
  await cluster.stop();
  await cluster.stop();
  assert([cluster.balancer.port, ...cluster.gateways.map(({ port }) => port)].every(isFree));
});
