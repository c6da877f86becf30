import { assertEquals } from "@std/assert";
import { seededRandom } from "../../server/testing/mod.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { type Answer, ask } from "../support/http_client.ts";
import { startRedis } from "../support/redis.ts";
import { within } from "../support/within.ts";

const COUNT = 20;

Deno.test("pollers whose requests go to all nodes at once get all, and nothing acknowledged again (Redis)", async () => {
  const seed = 7;
  const random = seededRandom(seed);
  await using redis = await startRedis();
  await using stack = new AsyncDisposableStack();
  const nodes: Served[] = [];
  for (let i = 0; i < 3; i++) {
    nodes.push(stack.use(
      await startGateway({
        push: {
          presence: { broadcastChanges: false },
          delivery: { storeBackend: "redis", ackTimeout: 1, maxRetries: 100, retryBackoff: 1 },
          redis: { url: redis.url },
        },
      }),
    ));
  }
  const any = () => random.pick(nodes);
  const failures: string[] = [];

  /** Registers a poller; resolves to what receives and acknowledges everything. */
  const poller = async (client_id: string | undefined) => {
    const poll = `${any().http}/api/push/poll`;
    const { poll_token } = (await ask(`${poll}/register`, { body: { client_id } })).body;
    const post = async (route: string, body: object): Promise<Answer> => {
      const url = `${any().http}/api/push/poll/${route}`;
      const answer = await ask(url, { body: { poll_token, ...body } });
      if (answer.status !== 200) failures.push(`seed ${seed}: ${route}: ${answer.text}`);
      return answer;
    };
    await post("subscribe", { channel: "news" });
    return async () => {
      const acked = new Set<number>();
      while (acked.size < COUNT && failures.length === 0) {
        const work: Promise<unknown>[] = [];
        if (random.below(3) === 0) work.push(post("heartbeat", { status: "busy" }));
        if (random.below(3) === 0) work.push(post("subscribe", { channel: `c${random.below(9)}` }));
        const { body } = await post("messages", { timeout: 1 });
        for (const { data, event_id } of body.messages ?? []) {
          if (acked.has(data)) failures.push(`seed ${seed}: ${data} was acknowledged`);
          if (random.below(8) === 0) continue;
          work.push(
            post("ack", { event_id }).then(({ body }) => {
              if (body.ok) acked.add(data);
            }),
          );
        }
        await Promise.all(work);
      }
    };
  };
  const pollers = await Promise.all(
    [undefined, "ann", undefined, "bob"].map((name) => poller(name)),
  );
  const received = Promise.all(pollers.map((receive) => receive()));
  for (let n = 1; n <= COUNT; n++) await any().gateway.publish("news", n);
  await within(received, "every poller to get everything", 60_000);
  assertEquals(failures, []);
});
