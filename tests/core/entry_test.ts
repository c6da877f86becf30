import { assert, assertEquals } from "@std/assert";
import { Batch, Entry } from "../../server/channel/entry.ts";
import type { StoredMessage } from "../../server/stores/store.ts";

const message: StoredMessage = {
  seq: 7,
  at: 1_700_000_000_123,
  bytes: 70,
  origin: "n:ann:anonymous",
  source: 'a"b\\',
  id: 'i"d',
  payload: '{"x": 1.0}',
};

Deno.test("Entry writes the frame of each wire once, with the payload as it was written", () => {
  const entry = new Entry("c", "e", message);
  const text = entry.text("fixed");
  assert(text.includes('"data":{"x": 1.0},'));
  assertEquals(JSON.parse(text), {
    type: "channel_message",
    channel: "c",
    data: { x: 1 },
    event_id: "e:7:c",
    timestamp: 1_700_000_000.123,
    source: 'a"b\\',
    target: null,
  });
  assertEquals(JSON.parse(entry.text("extended")), {
    ...JSON.parse(text),
    seq: 7,
    epoch: "e",
    id: 'i"d',
  });
});

Deno.test("Entry marks a redelivery without writing it anew for the others", () => {
  const entry = new Entry("c", "e", { ...message, source: null, id: undefined });
  const again = JSON.parse(entry.redeliveryText("fixed", 2, false));
  assertEquals(again, { ...JSON.parse(entry.text("fixed")), _redelivered: true, _retry_count: 2 });
  const redriven = JSON.parse(entry.redeliveryText("extended", 0, true));
  assertEquals(redriven, {
    ...JSON.parse(entry.text("extended")),
    _redelivered: true,
    _retry_count: 0,
    _redriven: true,
  });
  assert(!("_redelivered" in JSON.parse(entry.text("extended"))));
});

Deno.test("Batch is one frame of one message, or an array of several", () => {
  const entries = [5, 6, 7].map((seq) => new Entry("c", "e", { ...message, seq }));
  const one = new Batch(entries.slice(0, 1));
  assertEquals(JSON.parse(one.text).seq, 5);
  const all = new Batch(entries);
  assertEquals(JSON.parse(all.text).map(({ seq }: { seq: number }) => seq), [5, 6, 7]);
  assertEquals([all.count, all.last, all.bytes], [3, 7, 210]);
  assertEquals([all.hasOrigin("n:ann:anonymous"), all.hasOrigin("n:bob:anonymous")], [true, false]);
});
