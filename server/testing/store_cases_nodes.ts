import { assertEquals, assertNotEquals } from "@std/assert";
import type { StoreCase } from "./store_trial.ts";

// An engine's clock need not be exact.
const SPARE_MS = 1000;

/** Cases about nodes that share sessions: `a` is one of them, and `b` another. */
export const nodeCases: readonly StoreCase[] = [
  {
    name: "nodes have names of their own, and one length of lease",
    nodes: true,
    run(t) {
      assertNotEquals(t.a.cluster!.node, t.b.cluster!.node);
      assertEquals(t.a.cluster!.lease, t.b.cluster!.lease);
      return Promise.resolve();
    },
  },
  {
    name: "a session that a node has is held for others, which are told the node",
    nodes: true,
    async run(t) {
      const generation = await t.attach("s", { force: false });
      await t.stand("s", generation, "c", 1);
      assertEquals(await t.claim("s", { force: false }, t.b), {
        ok: false,
        reason: "held",
        node: t.a.cluster!.node,
      });
      assertEquals(await t.renew("s", generation), undefined);
      assertEquals(await t.stand("s", generation, "c", 2), true);
    },
  },
  {
    name: "force takes a session from a node that has it, and that node learns of it",
    nodes: true,
    async run(t) {
      const old = await t.attach("s", { force: false });
      await t.stand("s", old, "c", 1);
      const taken = await t.claim("s", { force: true }, t.b);
      assertEquals(taken.ok && [taken.previous, taken.resumed, taken.channels], [old, true, ["c"]]);
      assertEquals((await t.renew("s", old))?.held, false);
      assertEquals((await t.position("s", "c"))?.floor, 1);
      assertEquals(await t.stand("s", old, "c", 2), false);
      // From now on it is held for the first.
      assertEquals(await t.refusal("s", { force: false }, t.a), "held");
    },
  },
  {
    name: "a node takes its own sessions over as if there were no others",
    nodes: true,
    async run(t) {
      await t.attach("s", { force: false });
      await t.attach("s", { force: false });
    },
  },
  {
    name: "what makes a claim too old counts before who has the session",
    nodes: true,
    async run(t) {
      const terms = { instance: "one", force: false };
      await t.attach("s", { ...terms, attempt: 2, secretHash: "right" });
      const right = { ...terms, secretHash: "right" };
      assertEquals(await t.refusal("s", { ...right, attempt: 1 }, t.b), "replaced");
      assertEquals(await t.refusal("s", { ...right, attempt: 3 }, t.b), "held");
      assertEquals(await t.refusal("s", { ...right, from: "nobody" }, t.b), "replaced");
      assertEquals(await t.refusal("s", { ...terms, attempt: 3 }, t.b), "bad_secret");
    },
  },
  {
    name: "a session is not taken in a holder's stead while that one is attached elsewhere",
    nodes: true,
    async run(t) {
      const first = await t.attach("s", { holder: "first", force: false });
      const terms = { holder: "second", from: "first", force: false };
      assertEquals(await t.refusal("s", terms, t.b), "held");
      assertEquals(await t.a.release("s", first, t.now), true);
      await t.attach("s", terms, t.b);
      assertEquals((await t.renew("s", first))?.held, false);
    },
  },
  {
    name: "a session without its node's lease counts as released since then",
    nodes: true,
    async run(t) {
      const lease = t.lease!;
      const keeps = await t.attach("keeps", { force: false });
      const ends = await t.attach("ends", { force: false, ttl: 1 });
      const stays = await t.attach("stays", { force: false, ttl: lease });
      for (const [key, generation] of [["ends", ends], ["stays", stays]] as const) {
        await t.stand(key, generation, "c", 3);
      }
      await t.pass(0.6 * lease);
      assertEquals(await t.renew("keeps", keeps), undefined);
      await t.pass(0.4 * lease + SPARE_MS);
      await t.a.sweep(t.now);
      assertEquals(await t.refusal("keeps", { force: false }, t.b), "held");
      assertEquals(await t.refusal("ends", { force: false, existing: true }, t.b), "unknown");
      await t.attach("stays", { force: false, existing: true }, t.b);
      assertEquals((await t.position("stays", "c"))?.floor, 3);
      assertEquals((await t.renew("stays", stays))?.held, false);
      assertEquals((await t.renew("ends", ends))?.held, false);
    },
  },
];
