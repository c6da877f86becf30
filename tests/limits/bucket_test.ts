import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { addressKey } from "../../server/limits/addresses.ts";
import { Bucket, costOf } from "../../server/limits/bucket.ts";
import { Buckets } from "../../server/limits/buckets.ts";
import { Connections } from "../../server/limits/connections.ts";
import { PublishGate } from "../../server/limits/publishes.ts";

const SEED = 20_261_123;

const terms = fc.record({
  rate: fc.integer({ min: 1, max: 10_000 }),
  burst: fc.integer({ min: 1, max: 20_000 }),
});
/** Milliseconds between two takings, and how many tokens each wants. */
const takings = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 50 })),
);

Deno.test("Bucket lets through at most its burst and rate times the time, whatever is asked", () => {
  fc.assert(
    fc.property(terms, takings, (terms, takings) => {
      const bucket = new Bucket(terms, 0);
      let now = 0;
      let taken = 0;
      for (const [pause, tokens] of takings) {
        now += pause;
        if (bucket.take(now, tokens)) taken += tokens;
        assert(taken <= terms.burst + terms.rate * now / 1000 + 1e-6);
      }
    }),
    { seed: SEED, numRuns: 500 },
  );
});

Deno.test("Bucket.wait() says when what was refused is let through, and not before", () => {
  fc.assert(
    fc.property(terms, takings, (terms, takings) => {
      const bucket = new Bucket(terms, 0);
      let now = 0;
      for (const [pause, wanted] of takings) {
        now += pause;
        const tokens = Math.min(wanted, terms.burst);
        if (bucket.take(now, tokens)) continue;
        const wait = bucket.wait(now, tokens);
        assert(wait > 0);
        if (wait > 0.01) assert(!bucket.take(now + wait - 0.01, tokens));
        now += wait + 1e-6;
        assert(bucket.take(now, tokens));
      }
    }),
    { seed: SEED, numRuns: 500 },
  );
});

Deno.test("Bucket gives nothing for a clock that goes back, and no more than a burst for a jump", () => {
  const bucket = new Bucket({ rate: 1, burst: 2 }, 1_000_000);
  assertEquals([bucket.take(1_000_000, 2), bucket.take(0), bucket.take(900)], [true, false, false]);
  assert(bucket.take(1_000));
  assert(bucket.take(1e12, 2));
  assert(!bucket.take(1e12));
});

Deno.test("Bucket without a rate lets everything through", () => {
  const bucket = new Bucket({ rate: 0, burst: 1 }, 0);
  for (let i = 0; i < 100; i++) assert(bucket.take(0, 1000));
  assertEquals(bucket.wait(0, 1000), 0);
});

Deno.test("Bucket.pay() takes a token for each 4 KiB, and never more than there can be", () => {
  assertEquals([0, 4095, 4096, 65_536].map(costOf), [1, 1, 2, 17]);
  const small = new Bucket({ rate: 1, burst: 3 }, 0);
  assert(small.pay(0, 1_000_000));
  assert(!small.pay(2_999, 1_000_000));
  assert(small.pay(3_000, 1_000_000));
});

Deno.test("Bucket.charge() makes debts, of one burst at most", () => {
  const bucket = new Bucket({ rate: 1, burst: 2 }, 0);
  for (let i = 0; i < 50; i++) bucket.charge(0, 1);
  assertEquals(bucket.wait(0), 3_000);
});

Deno.test("Bucket.refund() never fills it beyond its burst", () => {
  const bucket = new Bucket({ rate: 1, burst: 2 }, 0);
  for (let i = 0; i < 5; i++) bucket.refund();
  assert(bucket.take(0, 2));
  assert(!bucket.take(0));
  bucket.refund();
  assert(bucket.take(0));
});

Deno.test("Buckets are bounded: the one longest unused goes first, and a full one when swept", () => {
  const buckets = new Buckets({ rate: 1, burst: 2 }, 3);
  for (const name of ["a", "b", "c"]) assert(buckets.use(name, 0).take(0, 2));
  buckets.use("a", 0);
  assert(buckets.use("d", 0).take(0));
  assertEquals(["a", "b", "c", "d"].map((name) => buckets.find(name) !== undefined), [
    ...[true, false, true, true],
  ]);
  for (let i = 0; i < 10_000; i++) buckets.use(`name ${i}`, 0);
  assertEquals(buckets.size, 3);
  buckets.sweep(2_000);
  assertEquals(buckets.size, 0);
});

Deno.test("Buckets.sweep() keeps what is not full again", () => {
  const buckets = new Buckets({ rate: 1, burst: 10 }, 3);
  buckets.use("idle", 0).take(0);
  buckets.use("busy", 500).take(500, 10);
  buckets.sweep(1_000);
  assertEquals([buckets.find("idle"), buckets.find("busy") === undefined], [undefined, false]);
});

Deno.test("addressKey() counts an IPv6 address by its /64, and this machine's own not at all", () => {
  const key = "2001:db8:0:1::/64";
  for (const address of ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1:a:b:c:d"]) {
    assertEquals(addressKey(address), key);
  }
  assertEquals(addressKey("2001:db8:0:2::1"), "2001:db8:0:2::/64");
  assertEquals(addressKey("2001:db8::1"), "2001:db8:0:0::/64");
  assertEquals(addressKey("::2"), "0:0:0:0::/64");
  assertEquals(addressKey("fe80::"), "fe80:0:0:0::/64");
  assertEquals(addressKey("192.0.2.1"), "192.0.2.1");
  for (const address of ["127.0.0.1", "127.8.8.8", "::1", undefined]) {
    assertEquals(addressKey(address), undefined);
  }
});

Deno.test("Connections: what came has gone, whatever the order; no address is kept without one", () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 5 })));
  fc.assert(
    fc.property(steps, (steps) => {
      const connections = new Connections({ maxConnections: 8, maxConnectionsPerAddress: 3 });
      const places = [];
      const model = new Map<string, number>();
      for (const [what, which] of steps) {
        if (what < 3) {
          const address = `192.0.2.${which % 3}`;
          let allowed = true;
          try {
            connections.check(address);
          } catch {
            allowed = false;
          }
          const count = model.get(address) ?? 0;
          assertEquals(allowed, places.length < 8 && count < 3);
          if (!allowed) continue;
          places.push(connections.enter(address));
          model.set(address, count + 1);
        } else if (places.length > 0) {
          const [place] = places.splice(which % places.length, 1);
          connections.leave(place);
          connections.leave(place);
          model.set(place.key!, model.get(place.key!)! - 1);
        }
        assertEquals(connections.size, places.length);
      }
      for (const place of places) connections.leave(place);
      assertEquals([connections.size, connections.addresses], [0, 0]);
    }),
    { seed: SEED, numRuns: 300 },
  );
});

Deno.test("Connections: a poller and its stream count once, a further stream by itself", () => {
  const connections = new Connections({ maxConnections: 9, maxConnectionsPerAddress: 9 });
  const poller = connections.enter("192.0.2.1");
  const open = () => {
    connections.lend(poller);
    return connections.enter("192.0.2.1");
  };
  const close = (stream: ReturnType<typeof open>) => {
    connections.leave(stream);
    connections.giveBack(poller);
  };
  const one = open();
  assertEquals(connections.size, 1);
  const two = open();
  assertEquals(connections.size, 2);
  close(one);
  assertEquals(connections.size, 1);
  close(two);
  assertEquals(connections.size, 1, "the poller");
  const last = open();
  connections.leave(poller);
  assertEquals(connections.size, 1, "a stream outlives its poller");
  close(last);
  assertEquals([connections.size, connections.addresses], [0, 0]);
});

Deno.test("PublishGate: nothing that was sent behind a refused publish passes before it", () => {
  const gate = new PublishGate({ rate: 10, burst: 2 }, 0);
  const pass = (now: number, id: number) => gate.pass(now, id, 1) === 0;
  assertEquals([1, 2, 3, 4].map((id) => pass(0, id)), [true, true, false, false]);
  // There are tokens by now, and 5 was on its way.
  assertEquals(pass(1_000, 5), false);
  assertEquals([3, 4].map((id) => pass(1_000, id)), [true, true]);
  assertEquals(pass(1_000, 5), false);
  assertEquals(pass(1_200, 5), true);
});

Deno.test("PublishGate: a client that gave the refused publish up goes on after some seconds", () => {
  const gate = new PublishGate({ rate: 10, burst: 1 }, 0);
  const pass = (now: number, id: number) => gate.pass(now, id, 1) === 0;
  assertEquals([pass(0, 1), pass(0, 2), pass(1_000, 3), pass(6_000, 3)], [
    true,
    false,
    false,
    true,
  ]);
});

Deno.test("PublishGate: who waits as long as it says is let through, in whatever crowd", () => {
  fc.assert(
    fc.property(terms, fc.integer({ min: 1, max: 2_000 }), (terms, count) => {
      const gate = new PublishGate(terms, 0);
      const order: number[] = [];
      let waiting = Array.from({ length: count }, (_, i) => i + 1);
      let now = 0;
      let rounds = 0;
      while (waiting.length > 0) {
        let wait = 0;
        waiting = waiting.filter((id) => {
          const asked = gate.pass(now, id, 1);
          if (asked === 0) order.push(id);
          wait ||= asked;
          return asked > 0;
        });
        now += Math.ceil(wait);
        assert(++rounds <= count + 1, "each round lets one through at least");
      }
      assertEquals(order, Array.from({ length: count }, (_, i) => i + 1));
    }),
    { seed: SEED, numRuns: 100 },
  );
});
