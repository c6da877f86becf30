import { assert, assertEquals } from "@std/assert";
import { Latencies } from "../../bench/load/latency.ts";

Deno.test("quantiles of times are right within a hundredth", () => {
  const times = new Latencies();
  for (let i = 1; i <= 1000; i++) times.add(i * 1000);
  for (const [share, expected] of [[0.5, 500], [0.99, 990], [1, 1000]]) {
    const found = times.quantile(share);
    assert(Math.abs(found / expected - 1) < 0.011, `${share}: ${found} ms, not ${expected}`);
  }
  times.clear();
  assertEquals(times.quantile(0.5), 0);
});
