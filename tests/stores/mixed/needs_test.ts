import { assert, assertEquals } from "@std/assert";
import { MixedData } from "../../../server/stores/mixed/data.ts";
import { Position } from "../../../server/stores/memory/position.ts";
import { seededRandom } from "../../../server/testing/seeded_random.ts";

const TERMS = {
  retention: {
    messageTtl: 1000,
    historySize: 10,
    historyBytes: 1000,
    maxChannelBytes: 1000,
    maxStoreBytes: 1_000_000,
    metaTtl: 1000,
    idempotencyWindow: 1000,
  },
  random: seededRandom(1).bytes,
};

/** What the positions need, worked out one by one. */
function expected(positions: Iterable<Position>): Map<string, number> {
  const lowest = new Map<string, number>();
  for (const position of positions) {
    const need = position.needsAfter(position.epoch);
    lowest.set(position.epoch, Math.min(lowest.get(position.epoch) ?? Infinity, need));
  }
  return lowest;
}

Deno.test("Needs knows, whatever positions do, what the one furthest behind needs in each epoch", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { next } = seededRandom(seed);
    const pick = (below: number) => Math.floor(next() * below);
    const data = new MixedData();
    const log = data.log("c", 0, TERMS);
    const positions = new Set<Position>();
    let told = new Map<string, number>();
    for (let step = 0; step < 200; step++) {
      const floor = pick(20);
      const late = pick(3) === 0 ? [{ seq: pick(floor + 1), attempts: 1 }] : [];
      const cursor = { epoch: `e${pick(3)}`, floor, sent: floor, own: 0, settled: [], late };
      const known = [...positions][pick(positions.size || 1)];
      if (known === undefined || pick(3) === 0) {
        const position = new Position(log, cursor);
        positions.add(position);
        log.place(position);
      } else if (pick(4) === 0) {
        positions.delete(known);
        log.remove(known);
      } else if (known.moveTo(cursor)) {
        log.place(known);
      }
      const now = new Map(data.needs.of("c"));
      assertEquals(now, expected(positions), `seed ${seed}, step ${step}`);
      // Whoever follows the changes knows the same.
      const lowered = data.needs.takeLowered();
      const isLower = [...now].some(([epoch, need]) => need < (told.get(epoch) ?? Infinity));
      assertEquals(lowered.length > 0, isLower, `seed ${seed}, step ${step}`);
      const changed = [...lowered, ...data.needs.takeChanged()];
      if (changed.length > 0) told = now;
      else assertEquals(now, told);
    }
    assert([...data.needs.channels].length <= 1);
  }
});
