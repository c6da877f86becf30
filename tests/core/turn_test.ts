import { assertEquals } from "@std/assert";
import { ManualClock } from "../../server/testing/mod.ts";
import { Turn } from "../../server/turn.ts";

function setUp() {
  const clock = new ManualClock();
  const order: string[] = [];
  const turn = new Turn(clock);
  const pumped = (name: string, then = () => {}) => ({
    pump() {
      order.push(`pump ${name}`);
      then();
    },
  });
  const flushed = (name: string, then = () => {}) => ({
    flush() {
      order.push(`flush ${name}`);
      then();
    },
  });
  return { clock, order, turn, pumped, flushed };
}

Deno.test("Turn pumps once what was asked for often, at the end of the turn, in the order of asking", async () => {
  const { clock, order, turn, pumped } = setUp();
  const [a, b] = [pumped("a"), pumped("b")];
  for (const each of [a, b, a, b, a]) turn.pump(each);
  assertEquals(order, []);
  await clock.turn();
  assertEquals(order, ["pump a", "pump b"]);
  assertEquals(clock.pending, 0);
});

Deno.test("Turn flushes after everything was pumped, once", async () => {
  const { clock, order, turn, pumped, flushed } = setUp();
  const out = flushed("out");
  turn.flush(out);
  turn.pump(pumped("a", () => turn.flush(out)));
  turn.pump(pumped("b", () => turn.flush(out)));
  await clock.advance(0);
  assertEquals(order, ["pump a", "pump b", "flush out"]);
  assertEquals(clock.pending, 0);
});

Deno.test("Turn leaves what a pump asks for to the next turn, so that others get theirs", async () => {
  const { clock, order, turn, pumped, flushed } = setUp();
  const greedy = pumped("greedy", () => {
    if (order.length < 8) turn.pump(greedy);
    turn.flush(flushed("greedy"));
  });
  turn.pump(greedy);
  turn.pump(pumped("modest"));
  await clock.turn();
  assertEquals(order, ["pump greedy", "pump modest", "flush greedy"]);
  await clock.turn();
  assertEquals(order.slice(3), ["pump greedy", "flush greedy"]);
  await clock.advance(0);
  assertEquals(clock.pending, 0);
});

Deno.test("Turn pumps what a flush asks for in the next turn", async () => {
  const { clock, order, turn, pumped, flushed } = setUp();
  turn.flush(flushed("out", () => turn.pump(pumped("a"))));
  await clock.turn();
  assertEquals(order, ["flush out"]);
  await clock.turn();
  assertEquals(order, ["flush out", "pump a"]);
});

Deno.test("Turn: where much is sent the rest has the next turns, in order, and what came meanwhile is behind", async () => {
  const { clock, order, turn, pumped, flushed } = setUp();
  const big = (name: string, then = () => {}) =>
    pumped(name, () => {
      turn.sends(40, 0);
      then();
    });
  const all = [big("a"), big("b"), big("c"), big("d"), big("e")];
  for (const each of all) turn.pump(each);
  await clock.turn();
  assertEquals(order.splice(0), ["pump a", "pump b"]);
  turn.pump(all[0]);
  turn.flush(flushed("out"));
  await clock.turn();
  assertEquals(order.splice(0), ["pump c", "pump d", "flush out"]);
  await clock.turn();
  assertEquals(order.splice(0), ["pump e"]);
  await clock.turn();
  assertEquals(order.splice(0), ["pump a"]);
  assertEquals(clock.pending, 0);
});

Deno.test("Turn.pumpSoon() lets a pump that finds the turn full go on before the next cycle", async () => {
  const { clock, order, turn, pumped } = setUp();
  const rest = pumped("rest");
  turn.pump(pumped("first", () => {
    turn.sends(48, 0);
    turn.pump(pumped("next"));
    if (turn.isFull) turn.pumpSoon(rest);
  }));
  await clock.advance(0);
  assertEquals(order, ["pump first", "pump rest", "pump next"]);
});

Deno.test("Turn: an interval holds up pumps, and no flush", async () => {
  const clock = new ManualClock();
  const turn = new Turn(clock, 20);
  const order: string[] = [];
  const out = { flush: () => order.push("flush") };
  const messages = {
    pump: () => {
      order.push("pump");
      turn.sends(1, 10);
      turn.flush(out);
    },
  };
  turn.pump(messages);
  await clock.turn();
  assertEquals(order.splice(0), ["pump", "flush"]);
  turn.pump(messages);
  turn.pump(messages);
  turn.flush(out);
  await clock.advance(19);
  assertEquals(order.splice(0), ["flush"]);
  await clock.advance(1);
  assertEquals(order.splice(0), ["pump", "flush"]);
  turn.pump(messages);
  turn.stop();
  assertEquals(clock.pending, 0);
});

Deno.test("Turn: who has more to send than left at once goes on while others wait for the interval, who then do not wait for it", async () => {
  const clock = new ManualClock();
  const turn = new Turn(clock, 20);
  const order: string[] = [];
  let left = 200;
  const reader = {
    pump() {
      order.push("reader");
      turn.sends(1, 700_000);
      if (--left > 0) turn.goOn(reader);
    },
  };
  const other = {
    pump() {
      order.push("other");
      turn.sends(1, 10);
    },
  };
  turn.pump(reader);
  turn.pump(other);
  for (let n = 0; n < 10; n++) await clock.turn();
  assertEquals(order.splice(0).slice(0, 4), ["reader", "other", "reader", "reader"]);
  turn.pump(other);
  for (let n = 0; n < 10; n++) await clock.turn();
  assertEquals(order.splice(0).includes("other"), false, "the interval is not over");
  const advanced = clock.advance(20);
  await advanced;
  assertEquals([order.includes("other"), left], [true, 0]);
  turn.pump(other);
  turn.stop();
  assertEquals(clock.pending, 0);
});
