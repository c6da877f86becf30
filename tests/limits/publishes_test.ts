import { assert, assertEquals } from "@std/assert";
import { PublishGate } from "../../server/limits/publishes.ts";
import { seededRandom } from "../../server/testing/mod.ts";

Deno.test("PublishGate: what is behind one that was refused is refused until that one comes again", () => {
  const gate = new PublishGate({ rate: 10, burst: 2 }, 0);
  assertEquals([1, 2].map((id) => gate.pass(0, id, 1)), [0, 0]);
  assert(gate.pass(0, 3, 1) > 0);
  for (const id of [4, 5, 6]) assert(gate.pass(1_000, id, 1) > 0, `${id} is behind 3`);
  assertEquals([3, 4].map((id) => gate.pass(1_000, id, 1)), [0, 0]);
});

Deno.test("PublishGate: a client that has given the first up goes on with the next that comes again", () => {
  const gate = new PublishGate({ rate: 10, burst: 2 }, 0);
  for (const id of [1, 2]) assertEquals(gate.pass(0, id, 1), 0);
  const wait = gate.pass(0, 3, 1);
  for (const id of [4, 5]) assert(gate.pass(0, id, 1) > 0);
  // A new one may be on its way since before the refusal.
  assert(gate.pass(wait, 6, 1) > 0);
  assertEquals(gate.pass(wait, 5, 1), 0);
  assertEquals(gate.pass(wait, 6, 1), 0);
});

Deno.test("PublishGate: the rest of what is sent again is behind another one that is refused, however long it takes", () => {
  const gate = new PublishGate({ rate: 10, burst: 2 }, 0);
  for (const id of [1, 2]) assertEquals(gate.pass(0, id, 1), 0);
  for (const id of [3, 4, 5, 6, 7]) assert(gate.pass(0, id, 1) > 0);
  assertEquals([3, 4].map((id) => gate.pass(1_000, id, 1)), [0, 0]);
  assert(gate.pass(1_000, 5, 1) > 0);
  // They come over a slow line: there would be tokens by now.
  assert(gate.pass(2_000, 6, 1) > 0);
  assert(gate.pass(3_000, 7, 1) > 0);
  assertEquals([5, 6].map((id) => gate.pass(4_000, id, 1)), [0, 0]);
});

Deno.test("PublishGate: nobody waits longer because the clock was set back", () => {
  const hour = 3_600_000;
  const gate = new PublishGate({ rate: 10, burst: 2 }, hour);
  for (const id of [1, 2]) assertEquals(gate.pass(hour, id, 1), 0);
  const wait = gate.pass(hour, 3, 1);
  assert(wait > 0);
  assert(gate.pass(0, 4, 1) > 0, "what is behind stays behind");
  assertEquals(gate.pass(wait, 4, 1), 0, "3 was given up");
  for (const id of [5, 6, 7, 8]) gate.pass(wait, id, 1);
  assertEquals(gate.pass(10_000, 9, 1), 0, "nothing of that came again");
});

Deno.test("PublishGate: over any line that keeps the order, what passes is ascending but for what came again", () => {
  const seed = 5;
  const random = seededRandom(seed).bytes;
  const gate = new PublishGate({ rate: 200, burst: 20 }, 0);
  /** On its way, in order. */
  let line: number[] = [];
  const pending = new Set<number>();
  const passed: number[] = [];
  let [now, next, resumeAt] = [0, 1, 0];
  for (let step = 0; step < 50_000; step++) {
    const [what, much] = random(2);
    now += what % 4;
    if (resumeAt > 0) {
      // Whoever waits gives one up now and then.
      if (what < 8) pending.delete([...pending][much % Math.max(pending.size, 1)]);
      if (now >= resumeAt) [resumeAt, line] = [0, [...line, ...pending]];
    } else if (what < 60) {
      for (let n = 0; n <= much % 8; n++) line.push(next), pending.add(next++);
    }
    for (let n = much % 5; n > 0 && line.length > 0; n--) {
      const id = line.shift()!;
      const wait = gate.pass(now, id, 1);
      if (wait > 0) resumeAt ||= pending.has(id) ? now + wait : 0;
      else passed.push(id), pending.delete(id);
    }
  }
  assert(passed.length > 1_000, `${passed.length} passed`);
  const firsts = [...new Set(passed)];
  assertEquals(firsts, firsts.toSorted((a, b) => a - b), `seed ${seed}`);
});
