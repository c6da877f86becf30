import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { IdKeys } from "../../../server/stores/memory/id_key.ts";
import { IdTable } from "../../../server/stores/memory/id_table.ts";
import { seededRandom } from "../../../server/testing/mod.ts";

/** What a table is to say, by a `Map` and a list. */
interface Known {
  readonly id: string;
  readonly seq: number;
  readonly at: number;
}

for (const [what, mask] of [["", 0xffffffff], [" whose hashes are mostly the same", 3]] as const) {
  Deno.test(`IdTable knows ids${what} in their order, however many come and go`, () => {
    const keys = new IdKeys(seededRandom(1).bytes);
    const spell = (id: string) => {
      keys.spell("s", id);
      keys.hash = (keys.hash & mask) >>> 0;
    };
    const step = fc.oneof(
      fc.record({ is: fc.constant("add" as const), ids: fc.array(fc.string(), { maxLength: 40 }) }),
      fc.record({ is: fc.constant("shift" as const), count: fc.nat(60) }),
    );
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const table = new IdTable();
      const known: Known[] = [];
      const all = new Set<string>();
      let seq = 0;
      for (const step of steps) {
        const at = seq;
        if (step.is === "shift") {
          for (let i = Math.min(step.count, table.size); i > 0; i--) {
            table.shift();
            known.shift();
          }
        } else {
          const fresh = new IdTable(step.ids.length);
          for (const id of step.ids) {
            all.add(id);
            spell(id);
            if (table.find(keys) !== undefined || fresh.find(keys) !== undefined) continue;
            fresh.add(keys, ++seq, 0);
            known.push({ id, seq, at });
          }
          table.addAll(fresh, at);
        }
        assertEquals(table.size, known.length);
        assertEquals(
          known.map((_, i) => [table.seqAt(i), table.timeAt(i)]),
          known.map(({ seq, at }) => [seq, at]),
        );
      }
      const seqs = new Map(known.map(({ id, seq }) => [id, seq]));
      for (const id of all) {
        spell(id);
        assertEquals(table.find(keys), seqs.get(id));
      }
    }));
  });
}

Deno.test("IdTable gives its keys as they were spelled, to be spelled again", () => {
  const keys = new IdKeys(seededRandom(1).bytes);
  const table = new IdTable(2);
  const ids = ["one", "\ud83d\ude00 \ud83d", "", "x".repeat(100_000)];
  ids.forEach((id, i) => {
    keys.spell("subject", id);
    table.add(keys, i + 1, 0);
  });
  let from = 0;
  const bytes = table.keys(0, table.size);
  const again = new IdTable();
  ids.forEach((_, i) => {
    keys.take(bytes.subarray(from, from += table.lengthAt(i)));
    again.add(keys, table.seqAt(i), 0);
  });
  assertEquals([from, table.bytes], [bytes.length, bytes.length]);
  ids.forEach((id, i) => {
    keys.spell("subject", id);
    assertEquals(again.find(keys), i + 1);
  });
});

Deno.test("IdKeys spells no two pairs of subject and id alike", () => {
  const keys = new IdKeys(seededRandom(1).bytes);
  const spell = (subject: string, id: string) => {
    keys.spell(subject, id);
    return keys.bytes.slice(0, keys.length).join();
  };
  const text = fc.string({ unit: fc.constantFrom("a", "\0", "\x80", "\ud83d"), maxLength: 3 });
  fc.assert(fc.property(text, text, text, text, (subject, id, other, another) => {
    const isSame = subject === other && id === another;
    assertEquals(spell(subject, id) === spell(other, another), isSame);
  }));
});

Deno.test("IdKeys hashes by a secret", () => {
  const hash = (seed: number, id: string) => {
    const keys = new IdKeys(seededRandom(seed).bytes);
    keys.spell("s", id);
    return keys.hash;
  };
  assertEquals(hash(1, "id"), hash(1, "id"));
  const hashes = [hash(1, "id"), hash(2, "id"), hash(1, "ie"), hash(1, "idid"), hash(1, "id\0")];
  assertEquals(new Set(hashes).size, hashes.length);
});
