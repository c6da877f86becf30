/** Appends ten million messages to one channel of a memory store, in as little memory as it is given. */
import { resolveOptions } from "../../../../server/options/options.ts";
import { systemRandom } from "../../../../server/clock.ts";
import { MemoryStore } from "../../../../server/stores/memory/store.ts";
import { retentionOf, storeLimitsOf } from "../../../../server/stores/open.ts";

const { push } = resolveOptions({ push: { enabled: true } });
const store = new MemoryStore({
  retention: retentionOf(push),
  limits: storeLimitsOf(push),
  random: systemRandom,
});
const draft = { subject: "s", origin: null, source: null, payload: '"x"' };
const drafts = Array.from({ length: 1000 }, () => draft);
for (let i = 0; i < 10_000; i++) await store.append("c", drafts, i);
console.log((await store.stats(10_000)).messages);
