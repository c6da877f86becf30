import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatEventId } from "../../client/protocol/mod.ts";
import { Entry } from "../../server/channel/entry.ts";
import {
  isTooLong,
  type LogPlace,
  placeOf,
  readPlaces,
  writePlaces,
} from "../../server/transports/places.ts";

const epochs = fc.stringMatching(/^[a-z0-9]{1,32}$/);
const channels = fc.stringMatching(/^[A-Za-z0-9_:.-]{1,255}$/);
const seqs = fc.maxSafeNat();

Deno.test("places: what was written is read, and nothing of it needs escaping in an address", () => {
  const places = fc.array(fc.tuple(channels, fc.record({ epoch: epochs, seq: seqs })), {
    minLength: 1,
    maxLength: 20,
  }).map((entries) => new Map<string, LogPlace>(entries));
  fc.assert(fc.property(places, (places) => {
    const text = writePlaces(places);
    assertEquals([...readPlaces(text)!], [...places]);
    const url = new URL(`http://push/?last_event_id=${text}`);
    assertEquals(url.searchParams.get("last_event_id"), text);
    assertEquals(new Headers({ "last-event-id": text }).get("last-event-id"), text);
  }));
});

Deno.test("places: anything else is refused, and reading it never throws", () => {
  const good = "k3f9:7:news";
  const wrong = [
    ...["", ",", good + ",", "," + good, `${good},${good}`, `${good} `, ` ${good}`, `${good}\n`],
    ...["k3f9:7:", "k3f9::news", ":7:news", "k3f9:7", "K:7:news", "k3f9:07x:news", "k3f9:-1:news"],
    ...["k3f9:1.5:news", "k3f9:1e3:news", "k3f9:9007199254740992:news", "k3f9:7:a b", "k3f9:7:ä"],
    ...[`${"k".repeat(33)}:7:news`, `k:7:${"n".repeat(256)}`, "k:7:".padEnd(70_000, "n")],
  ];
  for (const text of wrong) assertEquals(readPlaces(text), undefined, text.slice(0, 80));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void readPlaces(text)));
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9:,]{0,40}$/), (text) => {
      const places = readPlaces(text);
      if (places !== undefined) assertEquals(readPlaces(writePlaces(places)), places);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("placeOf() finds the place of any message, whatever its payload says", () => {
  const payloads = fc.oneof(
    fc.json(),
    fc.constantFrom(
      '{"event_id":"x:1:y"}',
      '"\\"event_id\\":\\"x:1:y\\""',
      '[{"event_id":"x:1:y","a":{"event_id":"z:2:w"}}]',
    ),
  );
  const sources = fc.option(fc.string({ unit: "binary" }));
  fc.assert(
    fc.property(channels, epochs, seqs, payloads, sources, (channel, epoch, n, payload, source) => {
      const seq = Math.max(n, 1);
      const message = { seq, at: 1.5e12, source, origin: null, payload, bytes: 1 };
      const entry = new Entry(channel, epoch, message);
      const place = { channel, epoch, seq };
      assertEquals(placeOf(entry.text("fixed"), true), place);
      assertEquals(placeOf(entry.redeliveryText("fixed", 2, true), true), place);
      assertEquals(placeOf(entry.text("fixed"), false), undefined);
      assertEquals(formatEventId(channel, epoch, seq), writePlaces(new Map([[channel, place]])));
    }),
  );
});

Deno.test("isTooLong() lets pass only channels whose places are always read again", () => {
  const names = fc.uniqueArray(channels, { minLength: 1, maxLength: 400 });
  fc.assert(fc.property(names, (names) => {
    const place = { epoch: "z".repeat(32), seq: Number.MAX_SAFE_INTEGER };
    const places = new Map(names.map((name) => [name, place]));
    if (!isTooLong(names)) assertEquals(readPlaces(writePlaces(places)), places);
  }));
  const named = (count: number) => Array.from({ length: count }, (_, i) => `${i}`.padEnd(255, "x"));
  assertEquals([128, 400].map((count) => isTooLong(named(count))), [false, true]);
});
