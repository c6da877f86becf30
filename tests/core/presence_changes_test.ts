import { assert, assertEquals } from "@std/assert";
import type { PresenceDiffFrame } from "@push/client/protocol";
import {
  mergeChange,
  PresenceChange,
  type PresenceChanges,
} from "../../server/presence/changes.ts";
import { seededRandom } from "../../server/testing/mod.ts";

const change = (kind: PresenceChange["kind"], status = "online") =>
  new PresenceChange(kind, "ann", status, {});

/** What is told of changes of one client that were gathered. */
function merged(...changes: PresenceChange[]): string[] {
  const pending: PresenceChanges = new Map();
  for (const each of changes) mergeChange(pending, "key", each);
  return [...pending.values()].map(({ kind, status }) => `${kind} ${status}`);
}

Deno.test("mergeChange() tells the sum: as little as can be, and the last word", () => {
  assertEquals(merged(change("join"), change("leave")), []);
  assertEquals(merged(change("join"), change("update", "busy")), ["join busy"]);
  assertEquals(merged(change("update", "a"), change("update", "b")), ["update b"]);
  assertEquals(merged(change("update", "a"), change("leave")), ["leave online"]);
  assertEquals(merged(change("leave"), change("join", "busy")), ["update busy"]);
  assertEquals(merged(change("leave"), change("join"), change("leave")), ["leave online"]);
  assertEquals(merged(change("join"), change("leave"), change("join", "x")), ["join x"]);
});

Deno.test("who believes every diff knows at each moment what was told last, for random changes", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = seededRandom(seed);
    const names = ["a", "b", "c"];
    const present = new Map<string, string>();
    const believed = new Map<string, string>();
    let pending: PresenceChanges = new Map();
    for (let step = 0; step < 60; step++) {
      const name = random.pick(names);
      const status = random.pick(["online", "busy", "idle"]);
      const kind = present.has(name) ? random.pick(["update", "leave"] as const) : "join";
      if (kind === "leave") present.delete(name);
      else present.set(name, status);
      mergeChange(pending, name, new PresenceChange(kind, name, status, {}));
      if (random.below(4) > 0) continue;
      const changes = [...pending.values()];
      assert(changes.length <= names.length);
      const diff: PresenceDiffFrame = JSON.parse(PresenceChange.diff("c", 1, changes));
      pending = new Map();
      for (const { client_id, status } of diff.joins) {
        assert(!believed.has(client_id), `seed ${seed}: joined twice`);
        believed.set(client_id, status);
      }
      for (const { client_id, status } of diff.updates) {
        assert(believed.has(client_id), `seed ${seed}: changed before it joined`);
        believed.set(client_id, status);
      }
      for (const { client_id } of diff.leaves) {
        assert(believed.delete(client_id), `seed ${seed}: left before it joined`);
      }
      assertEquals(believed, present, `seed ${seed}`);
    }
  }
});
