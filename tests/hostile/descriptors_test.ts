import { assertEquals } from "@std/assert";
import { RunningProgram } from "../support/program.ts";
import { TcpClient } from "../support/tcp_client.ts";
import { until } from "../support/within.ts";
import { WireClient } from "../support/wire_client.ts";

const GATEWAY = new URL("../../mod.ts", import.meta.url).pathname;
/** File descriptors that the gateway may have; some forty are its own. */
const DESCRIPTORS = 120;

Deno.test("connections that use up all file descriptors end nobody's, and once they have gone others get in", async () => {
  const script = `ulimit -n ${DESCRIPTORS}; exec "$0" run -A --quiet "$@"`;
  await using program = new RunningProgram("sh", [
    "-c",
    script,
    Deno.execPath(),
    GATEWAY,
    "--port",
    "0",
  ]);
  const [, address] = await program.printed(/listens on (\S+)/);
  const port = Number(address.split(":").at(-1));
  const url = `ws://${address}/ws`;
  await using reader = await WireClient.open(`${url}?client_id=reader`);
  await reader.subscribe("news");
  await using writer = await WireClient.open(url);
  const assertServed = async (data: string) => {
    await writer.publish("news", data);
    const message = await reader.next("channel_message");
    assertEquals(message.data, data);
    reader.send({ type: "message_ack", event_id: message.event_id });
  };
  await assertServed("before");
  {
    using silent = new DisposableStack();
    for (let n = 0; n < 2 * DESCRIPTORS; n++) {
      // The kernel takes them, as far as its queue goes; who is refused is none.
      const client = await TcpClient.connect(port).catch(() => undefined);
      if (client === undefined) continue;
      silent.use(client);
      await client.write("GET /ws HT");
    }
    for (let n = 0; n < 20; n++) await assertServed(`under siege ${n}`);
  }
  await until(async () => {
    const newcomer = await WireClient.open(url).catch(() => undefined);
    if (newcomer === undefined) return false;
    await newcomer.close();
    return true;
  }, "a newcomer gets in");
  await assertServed("after");
});
