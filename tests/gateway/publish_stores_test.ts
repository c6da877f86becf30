import { assertEquals } from "@std/assert";
import type { GatewayOptions } from "../../mod.ts";
import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { startRedis } from "../support/redis.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";

const COUNT = 600;
const CHANNELS = ["a", "b"];

type Push = NonNullable<GatewayOptions["push"]>;

/**
 * A connection sends publishes of two channels in arrays and one by one, some of them wrong, and a
 * request brings the rest: each channel has them in order, and each answer is that of its publish.
 */
async function check(push: Push, transport: "deno" | "ws"): Promise<void> {
  const limits = { publishRate: 0, frameRate: 0 };
  await using gateway = await startGateway({
    websocket: transport,
    push: { ...push, limits, presence: { enabled: false } },
  });
  await using reader = await WireClient.open(gateway.ws);
  for (const channel of CHANNELS) await reader.subscribe(channel);
  const [opened] = await WireClient.connect(gateway.ws);
  await using writer = opened;
  const isWrong = (n: number) => n % 50 === 7;
  // Runs of one channel, and changes from each to the other.
  const channelOf = (n: number) => CHANNELS[n % 5 < 3 ? 0 : 1];
  const frames = Array.from({ length: COUNT }, (_, n) => ({
    type: "channel.publish",
    channel: channelOf(n),
    ...(isWrong(n) ? {} : { data: n }),
    id: `${n}`,
    request_id: n + 1,
  }));
  for (let at = 0, size = 1; at < COUNT; at += size, size = size % 97 + 13) {
    const part = frames.slice(at, at + size);
    if (at % 2 === 0) writer.send(JSON.stringify(part));
    else for (const frame of part) writer.send(frame);
  }
  const answers = new Map<number, Frame>();
  while (answers.size < COUNT) {
    const answer = await writer.next();
    answers.set(answer.request_id, answer);
  }
  const lines = frames.map((frame) => JSON.stringify(frame)).join("\n");
  const { text } = await ask(`${gateway.http}/api/push/publish`, {
    body: lines,
    headers: { "content-type": "application/x-ndjson" },
  });
  const receipts = text.trim().split("\n").map((line) => JSON.parse(line));
  const next: Record<string, number> = { a: 1, b: 1 };
  const data: Record<string, number[]> = { a: [], b: [] };
  frames.forEach(({ channel }, n) => {
    const answer = answers.get(n + 1)!;
    const expected = isWrong(n) ? "bad_request" : next[channel]++;
    assertEquals(answer.code ?? answer.seq, expected, `publish ${n}`);
    // Over HTTP without a token the subject is the same: these are repeats.
    const receipt = receipts[n];
    assertEquals(
      receipt.code ?? [receipt.seq, receipt.duplicate],
      isWrong(n) ? "bad_request" : [answer.seq, true],
    );
    if (!isWrong(n)) data[channel].push(n);
  });
  const got: Record<string, number[]> = { a: [], b: [] };
  for (const message of await reader.take(data.a.length + data.b.length)) {
    got[message.channel].push(message.data);
  }
  assertEquals(got, data);
}

for (const transport of ["deno", "ws"] as const) {
  Deno.test(`publishes that come together are stored in order, over ${transport}, in memory and in Deno KV`, async () => {
    await check({}, transport);
    const folder = await Deno.makeTempDir();
    try {
      const delivery = { storeBackend: "kv", kvPath: `${folder}/push.db` } as const;
      await check({ delivery }, transport);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("publishes that come together are stored in order in Redis", async () => {
  await using redis = await startRedis();
  const delivery = { storeBackend: "redis" } as const;
  await check({ delivery, redis: { url: redis.url } }, "deno");
});
