import { assert, assertEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { inWorld, type TestClient, type World } from "./harness.ts";

const delivery = { maxRetries: 0 };
const SWEEP = 2_000;

/** A client whose message 1 is a dead letter, and whose message 2 is outstanding. */
async function refuser(w: World): Promise<TestClient> {
  const bob = await w.subscriber("bob", "c");
  await w.publish("c", 1);
  assert(await bob.nack(bob.take()[0]));
  await w.publish("c", 2);
  assertEquals(bob.takeData(), [2]);
  return bob;
}

/** What was put back and is delivered now. */
function redriven(client: TestClient): unknown[] {
  return client.take().filter(({ _redriven }) => _redriven).map(({ data }) => data);
}

Deno.test(
  "what is put back while a connection takes its session over reaches the new connection",
  inWorld({ delivery }, async (w) => {
    await refuser(w);
    const release = w.interposed.hold("commit");
    const putBack = w.hub.redrive({ limit: 1 });
    await w.settle();
    // What the old claim was about to store is refused.
    const again = await w.connect("bob");
    const subscribed = again.subscribe("c");
    await w.settle();
    release();
    await subscribed;
    assertEquals((await putBack).length, 1);
    await w.pass(SWEEP);
    assertEquals(redriven(again), [1]);
  }),
);

Deno.test(
  "what is put back while the position of a lost connection cannot be stored reaches the next one",
  inWorld({ delivery }, async (w) => {
    const bob = await refuser(w);
    const { promise: failure, reject: fail } = Promise.withResolvers<void>();
    w.interposed.before = ({ operation }) => operation === "commit" ? failure : undefined;
    await bob.drop();
    const putBack = w.hub.redrive({ limit: 1 });
    await w.settle();
    fail(new PushError("unavailable"));
    await w.settle();
    w.interposed.before = undefined;
    assertEquals((await putBack).length, 1);
    // Its positions are in memory still.
    const again = await w.subscriber("bob", "c");
    await w.pass(SWEEP);
    assertEquals(redriven(again), [1]);
  }),
);

Deno.test(
  "what is put back while its position is on its way from the store is delivered",
  inWorld({ delivery }, async (w) => {
    await (await refuser(w)).drop();
    const again = await w.connect("bob");
    const { promise: arrival, resolve: arrive } = Promise.withResolvers<void>();
    w.interposed.after = ({ operation }) => operation === "load" ? arrival : undefined;
    const subscribed = again.subscribe("c");
    await w.settle();
    w.interposed.after = undefined;
    const putBack = w.hub.redrive({ limit: 1 });
    await w.settle();
    arrive();
    await subscribed;
    assertEquals((await putBack).length, 1);
    await w.pass(SWEEP);
    assertEquals(redriven(again), [1]);
  }),
);
