import { assertEquals } from "@std/assert";
import type { AppendResult } from "../../server/stores/store.ts";
import { numbers } from "./harness.ts";
import { overNodes, type WorldNode } from "./nodes_world.ts";

const SECOND = 1_000;
const WELL = { loss: 0, repeats: 0, delay: 0, jitter: 0 };

/** The next append's answer is lost and asked for again, after others have appended, too. */
function answerLate({ interposed }: WorldNode, others: () => Promise<void>): void {
  const { target } = interposed;
  interposed.target = new Proxy(target, {
    get(_, key) {
      const value = Reflect.get(target, key);
      if (key !== "append") return typeof value === "function" ? value.bind(target) : value;
      return async (...args: Parameters<typeof target.append>): Promise<AppendResult> => {
        interposed.target = target;
        const result = await target.append(...args);
        await others();
        const [state] = await target.states([args[0]], args[2]);
        return { ...result, ...state! };
      };
    },
  });
}

Deno.test(
  "an append whose answer comes after what others have appended leaves the row whole",
  overNodes({}, async (w) => {
    const bob = await w.subscriber(0, "bob", "c");
    const [one, two] = w.nodes;
    answerLate(one, async () => {
      for (const delay of [11, 15]) {
        w.cluster.rumours = { ...WELL, delay };
        await two.hub.publish("c", `${delay}`, {});
      }
    });
    w.cluster.rumours = { ...WELL, delay: 10 };
    const published = one.hub.publish("c", "10", {});
    await w.pass(10);
    assertEquals((await published).seq, 1);
    assertEquals(bob.data, [10]);
    await w.pass(10);
    assertEquals(bob.data, [10, 11, 15]);
    w.cluster.rumours = WELL;
    await w.publish(1, "c", ...numbers(16, 3));
    await w.pass(SECOND);
    assertEquals(bob.messages.map(({ seq }) => seq), numbers(1, 6));
  }),
);
