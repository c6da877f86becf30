import { assertEquals, assertNotEquals } from "@std/assert";
import { PushError } from "@push/client/protocol";
import { type NodesWorld, overNodes } from "./nodes_world.ts";
import type { Session } from "../../server/session/session.ts";

const SECOND = 1_000;

/** The store of a node knows a session no more. */
async function lose(w: NodesWorld, { key, generation }: Session): Promise<void> {
  await w.nodes[0].interposed.target.end(key, generation, w.clock.now());
}

Deno.test(
  "a lost session that begins anew names its other channels, too, though they cannot be stored at once",
  overNodes({}, async (w) => {
    await (await w.subscriber(0, "bob", "d", { wire: "fixed" })).drop();
    const { session, connection } = await w.hubClient(0, "bob", "c");
    const { interposed, hub } = w.nodes[0];
    await lose(w, session);
    let refused = 0;
    interposed.before = ({ operation }) => {
      if (operation !== "commit") return;
      refused++;
      throw new PushError(refused % 2 === 0 ? "unavailable" : "store_full");
    };
    const { generation } = session;
    await w.pass(8 * SECOND);
    assertNotEquals(session.generation, generation);
    assertNotEquals(refused, 0);
    assertEquals([w.position("bob", "c"), w.position("bob", "d")], [undefined, undefined]);
    interposed.before = undefined;
    await w.pass(SECOND);
    assertEquals(connection.closed, undefined);
    assertEquals(w.position("bob", "c")?.floor, 0);
    await w.publish(0, "d", 1);
    await hub.detach(session, connection, "lost");
    const bob = await w.subscriber(1, "bob", "d", { wire: "fixed" });
    assertEquals([bob.errors, bob.data], [["gap"], [1]]);
  }),
);

Deno.test(
  "what is subscribed to or unsubscribed from while a lost session cannot be stored stays so",
  overNodes({}, async (w) => {
    const before = await w.subscriber(0, "bob", "d", { wire: "fixed" });
    await before.subscribe("e");
    await before.drop();
    const { session, connection } = await w.hubClient(0, "bob", "c");
    const { interposed, hub } = w.nodes[0];
    await lose(w, session);
    interposed.before = ({ operation }) => {
      if (operation === "commit") throw new PushError("unavailable");
    };
    await w.pass(8 * SECOND);
    const subscribing = session.subscribe("d", {}, connection).catch((error) => error.code);
    const unsubscribing = session.unsubscribe("e", connection);
    await w.settle();
    assertEquals([await subscribing, await unsubscribing], ["unavailable", false]);
    interposed.before = undefined;
    await w.pass(SECOND);
    assertEquals([w.position("bob", "d")?.epoch, w.position("bob", "e")], ["lost", undefined]);
    await hub.detach(session, connection, "lost");
    const { session: again, connection: next } = await w.hubClient(0, "bob", "c");
    await w.settle();
    assertEquals(await again.unsubscribe("e", next), false);
    await hub.detach(again, next, "lost");
  }),
);

Deno.test(
  "a lost session that its client has elsewhere by now stays there",
  overNodes({}, async (w) => {
    const { session, connection } = await w.hubClient(0, "bob", "c");
    await lose(w, session);
    const claim = w.nodes[0].interposed.hold("claim");
    await w.pass(6 * SECOND);
    const bob = await w.subscriber(1, "bob", "c", { wire: "fixed" });
    claim();
    await w.pass(SECOND);
    assertEquals([connection.closed?.code, bob.closed], ["replaced", undefined]);
    await w.publish(0, "c", 1);
    assertEquals(bob.data, [1]);
  }),
);

Deno.test(
  "a lost session that its client had elsewhere meanwhile goes on from there",
  overNodes({}, async (w) => {
    const { session, connection } = await w.hubClient(0, "bob", "c");
    await lose(w, session);
    const claim = w.nodes[0].interposed.hold("claim");
    await w.pass(6 * SECOND);
    const bob = await w.subscriber(1, "bob", "c", { wire: "fixed" });
    await w.publish(1, "c", 1);
    await bob.ack(bob.messages[0]);
    await bob.drop();
    claim();
    await w.pass(SECOND);
    assertEquals(connection.closed?.code, "unavailable");
    assertEquals(w.position("bob", "c")?.floor, 1);
  }),
);
