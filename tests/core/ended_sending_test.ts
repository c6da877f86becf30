import { assertEquals } from "@std/assert";
import type { FrameOf } from "../../server/testing/mod.ts";
import { MemoryConnection } from "../../server/testing/mod.ts";
import { World } from "./harness.ts";

/** A connection that ends, as one of a slow consumer does, while it is sent something. */
class Ending extends MemoryConnection {
  /** Called in the midst of the next message. */
  onMessage: (() => void) | undefined;

  override send(text: string, count: number): void {
    super.send(text, count);
    const { onMessage } = this;
    if (count === 0 || onMessage === undefined) return;
    this.onMessage = undefined;
    this.capacity = 0;
    this.close("slow_consumer");
    onMessage();
  }
}

for (const wire of ["fixed", "extended"] as const) {
  Deno.test(`a connection that ends while it is sent messages (${wire}): all of them come again, marked and in order`, async () => {
    const world = new World();
    const attach = async (connection: MemoryConnection) => {
      const { session } = await world.hub.attach({
        identity: { subject: "anonymous" },
        name: "ann",
        ttl: 60_000,
        wire,
      }, connection);
      (await session.subscribe("news", {}, connection)).start();
      await world.settle();
      return session;
    };
    const first = new Ending();
    const session = await attach(first);
    await world.publish("news", 1);
    const [{ event_id }] = first.take("channel_message");
    session.ackEvent(event_id, first);
    // The session stays in memory, as its position could not be stored.
    world.interposed.before = ({ operation }) => {
      if (operation === "commit") throw new Error("away");
    };
    first.onMessage = () => void world.hub.detach(session, first, "lost");
    await world.publish("news", 2, 3, 4);
    world.interposed.before = undefined;

    const second = new MemoryConnection();
    assertEquals(await attach(second), session);
    await world.publish("news", 5);
    const came = second.take("channel_message").map((frame: FrameOf<"channel_message">) =>
      [frame.data, frame._redelivered ?? false] as const
    );
    assertEquals(came, [[2, true], [3, true], [4, true], [5, false]]);
    await world.hub.detach(session, second, "lost");
    await world.end();
  });
}
