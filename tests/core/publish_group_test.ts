import { assert, assertEquals } from "@std/assert";
import { type GatewayFrame, PushError } from "@push/client/protocol";
import { inWorld, numbers, type Said, type TestClient, World } from "./harness.ts";

function publishOf(channel: string, n: number): Said {
  return { type: "channel.publish", channel, data: n, request_id: n };
}

function publishes(channel: string, count: number): Said[] {
  return numbers(1, count).map((n) => publishOf(channel, n));
}

/** By request id: the number that was answered, or the code. */
function answers(frames: readonly GatewayFrame[]): [id: number | undefined, answer: unknown][] {
  return frames.flatMap((frame): [number | undefined, unknown][] =>
    frame.type === "channel.published"
      ? [[frame.request_id, frame.seq]]
      : frame.type === "error"
      ? [[frame.request_id, frame.code]]
      : []
  );
}

/** The same in the order in which the client asked. */
function inOrder(client: TestClient): unknown[] {
  return answers(client.frames).sort(([a = 0], [b = 0]) => a - b).map(([, answer]) => answer);
}

async function stored(w: World, channel: string): Promise<number[]> {
  const { messages } = await w.interposed.store.read(channel, 0, 5000, w.clock.now());
  return messages.map(({ payload }) => Number(payload));
}

Deno.test(
  "publishes that come in one frame are appended in one step, and answered in order",
  inWorld({}, async (w) => {
    const ann = await w.extended("ann");
    w.interposed.reset();
    ann.say(...publishes("c", 200));
    await w.settle();
    assertEquals(w.interposed.count("append"), 1);
    assertEquals(answers(ann.frames), numbers(1, 200).map((n) => [n, n]));
    assertEquals(await stored(w, "c"), numbers(1, 200));
  }),
);

Deno.test(
  "an answer is the same whether its publish came alone or among others",
  inWorld({}, async (w) => {
    const [ann, bob] = [await w.extended("ann"), await w.connect("bob")];
    await w.subscriber("cid", "c");
    const [first] = publishes("c", 1);
    ann.say({ ...first, id: "x" });
    await w.settle();
    ann.say({ ...first, id: "x", request_id: 2 }, { ...first, request_id: 3, id: "y" });
    bob.say(first);
    await w.settle();
    const { epoch } = ann.connection.take("channel.published")[0];
    const place = (seq: number) => ({ event_id: `${epoch}:${seq}:c`, epoch, seq });
    const frame = { type: "channel.published" as const, channel: "c", delivered: 1 };
    assertEquals(ann.frames.filter(({ type }) => type === "channel.published"), [
      { ...frame, ...place(1), request_id: 1 },
      { ...frame, ...place(1), duplicate: true, request_id: 2 },
      { ...frame, ...place(2), request_id: 3 },
    ]);
    assertEquals(bob.frames.filter(({ type }) => type === "channel.published"), [frame]);
  }),
);

Deno.test(
  "a publish that is wrong is refused by itself: those around it are stored, in order",
  inWorld({}, async (w) => {
    const ann = await w.extended("ann");
    const frames = publishes("c", 9);
    frames[2] = { type: "channel.publish", channel: "c", request_id: 3 };
    frames[4] = { ...frames[4], channel: "a b" };
    frames[6] = { ...frames[6], data: "x".repeat(70_000) };
    ann.say(...frames);
    await w.settle();
    assertEquals(inOrder(ann), [
      1,
      2,
      "bad_request",
      3,
      "invalid_channel",
      4,
      "message_too_large",
      5,
      6,
    ]);
    assertEquals(await stored(w, "c"), [1, 2, 4, 6, 8, 9]);
  }),
);

Deno.test(
  "publishes to several channels in one frame keep the order of each",
  inWorld({}, async (w) => {
    const ann = await w.extended("ann");
    const channels = ["a", "b", "a", "a", "c", "b", "b", "a", "c"];
    w.interposed.reset();
    ann.say(...channels.map((channel, i) => publishOf(channel, i + 1)));
    await w.settle();
    assertEquals(inOrder(ann), [1, 1, 2, 3, 1, 2, 3, 4, 2]);
    assertEquals(await stored(w, "a"), [1, 3, 4, 8]);
    assertEquals(await stored(w, "b"), [2, 6, 7]);
    assertEquals(await stored(w, "c"), [5, 9]);
    assertEquals(w.interposed.count("append"), 3);
  }),
);

Deno.test(
  "what a client asks for between its publishes finds those before it, and none behind it",
  inWorld({}, async (w) => {
    const ann = await w.extended("ann");
    const release = w.interposed.hold("append");
    ann.say(
      publishOf("a", 1),
      { type: "channel.unsubscribe", channel: "a" },
      publishOf("a", 2),
      { type: "disconnect" },
      publishOf("a", 3),
    );
    await w.settle();
    release();
    await w.settle();
    assertEquals(await stored(w, "a"), [1, 2]);
    assertEquals(ann.closed, "normal");
  }),
);

Deno.test(
  "a publish rate that is reached in the middle refuses the rest, and a new channel is paid for once",
  inWorld({ limits: { publishRate: 1, publishBurst: 20 } }, async (w) => {
    const ann = await w.extended("ann");
    ann.say(...publishes("c", 30));
    await w.settle();
    // Making the channel costs as much as seven more.
    const passed = 13;
    const refused = Array(30 - passed).fill("too_many_publishes");
    assertEquals(inOrder(ann), [...numbers(1, passed), ...refused]);
    assertEquals(await stored(w, "c"), numbers(1, passed));
  }),
);

Deno.test(
  "a commit that fails in the middle refuses its own publishes, and none of the others",
  inWorld({}, async (w) => {
    const bob = await w.subscriber("bob", "c");
    const ann = await w.extended("ann");
    let appends = 0;
    w.interposed.before = ({ operation }) => {
      if (operation === "append" && ++appends === 2) throw new PushError("unavailable");
    };
    // Two and a half commits; no group ends where one of them does.
    ann.say(...publishes("c", 2500));
    await w.settle();
    const all = inOrder(ann);
    assertEquals(all.length, 2500);
    assertEquals(all.slice(0, 1000), numbers(1, 1000));
    assertEquals(all.slice(1000, 2000), Array(1000).fill("unavailable"));
    assertEquals(all.slice(2000), numbers(1001, 1500));
    await w.pass(1000);
    assertEquals(bob.data, [...numbers(1, 1000), ...numbers(2001, 2024)], "a window of them");
  }),
);

Deno.test(
  "who may not publish in one of several channels is refused there, and stored elsewhere",
  inWorld(
    { rules: [{ subjects: ["*"], channels: ["mine"], actions: ["publish"] }] },
    async (w) => {
      const ann = await w.extended("ann");
      ann.say(...["mine", "other", "other", "mine"].map((channel, i) => publishOf(channel, i + 1)));
      await w.settle();
      assertEquals(inOrder(ann), [1, "forbidden", "forbidden", 2]);
      const refused = ann.frames.filter((frame) => frame.type === "error");
      assertEquals(refused.map(({ channel }) => channel), ["other", "other"]);
    },
  ),
);

Deno.test("publishes that wait for a right are stored in order, or not at all once it is lost", async () => {
  for (const isLost of [false, true]) {
    let asked = Promise.withResolvers<boolean>();
    const authorize = () => asked.promise;
    const w = new World({ authorize });
    const ann = await w.extended("ann");
    ann.say(...publishes("c", 3));
    await w.settle();
    ann.say(publishOf("d", 4), publishOf("c", 5));
    await w.settle();
    assertEquals(await stored(w, "c"), []);
    const first = asked;
    if (isLost) {
      asked = Promise.withResolvers<boolean>();
      asked.resolve(false);
      await w.hub.reauthorize({});
    }
    first.resolve(true);
    await w.settle();
    const forbidden = "forbidden";
    assertEquals(
      inOrder(ann),
      isLost ? Array(5).fill(forbidden) : [1, 2, 3, 1, 4],
    );
    assertEquals(await stored(w, "c"), isLost ? [] : [1, 2, 3, 5]);
    await w.end();
  }
});

Deno.test(
  "what came in one frame before the connection broke is stored",
  inWorld({}, async (w) => {
    const ann = await w.extended("ann");
    const release = w.interposed.hold("append");
    ann.say(...publishes("c", 50));
    await ann.drop();
    release();
    await w.settle();
    assertEquals(await stored(w, "c"), numbers(1, 50));
    assertEquals(answers(ann.frames), [], "nobody is there to be answered");
  }),
);

Deno.test(
  "a publish id that is repeated among others is stored once",
  inWorld({}, async (w) => {
    const ann = await w.extended("ann");
    ann.say(...publishes("c", 6).map((each, i) => ({ ...each, id: `${i % 3}` })));
    await w.settle();
    assertEquals(inOrder(ann), [1, 2, 3, 1, 2, 3]);
    assertEquals(await stored(w, "c"), [1, 2, 3]);
  }),
);

Deno.test(
  "publishes behind 'connect' and in the same breath as others are stored in order, however long",
  inWorld({}, async (w) => {
    const ann = w.dial();
    ann.say({ type: "connect", version: 1, instance: "i", attempt: 1 });
    const all = publishes("c", 1000);
    ann.say(...all.slice(0, 600));
    for (const each of all.slice(600, 700)) ann.say(each);
    ann.say(...all.slice(700));
    await w.settle();
    assertEquals(answers(ann.frames), numbers(1, 1000).map((n) => [n, n]));
    assert(ann.closed === undefined);
  }),
);
