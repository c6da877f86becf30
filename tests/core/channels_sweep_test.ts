import { assert, assertEquals } from "@std/assert";
import { World } from "./harness.ts";

const COUNT = 2000;
/** Milliseconds for which all of them stay… */
const STAY = 5_000;
/** …and after which none is there. */
const IDLE = 8_000;

function name(n: number): string {
  return `once:${n}`;
}

/** Channels that the gateway has in hand. */
function inUse({ hub }: World): number {
  let count = 0;
  for (let n = 0; n < COUNT; n++) if (hub.context.limits.channels.isInUse(name(n))) count++;
  return count;
}

async function publishInAll(world: World): Promise<void> {
  const all = Array.from({ length: COUNT }, (_, n) => world.hub.publish(name(n), `${n}`, {}));
  await world.settle();
  await Promise.all(all);
}

Deno.test("channels that were used once are let go, a part at a time", async () => {
  const world = new World();
  await publishInAll(world);
  assertEquals(inUse(world), COUNT);
  await world.pass(STAY);
  let most = 0;
  for (let before = COUNT, ms = STAY; ms < IDLE && before > 0; ms++) {
    await world.pass(1);
    const now = inUse(world);
    most = Math.max(most, before - now);
    before = now;
  }
  assertEquals(inUse(world), 0);
  assert(most > 0 && most <= COUNT / 4, `${most} were let go at once`);
  world.hub.stop();
});

Deno.test("a channel with a subscriber outlives thousands that were used once", async () => {
  const world = new World();
  const subscriber = await world.subscriber("a", name(7));
  await publishInAll(world);
  await world.pass(IDLE);
  assertEquals(inUse(world), 1);
  const published = world.hub.publish(name(7), `"again"`, {});
  await world.settle();
  assertEquals((await published).seq, 2);
  assertEquals(subscriber.messages.map(({ data }) => data), [7, "again"]);
  world.hub.stop();
});

Deno.test("a hub that is stopped in the middle of a sweep leaves no timer behind", async () => {
  const world = new World();
  await publishInAll(world);
  await world.pass(STAY);
  for (let ms = STAY; ms < IDLE && inUse(world) === COUNT; ms++) await world.pass(1);
  const left = inUse(world);
  assert(left > 0 && left < COUNT);
  world.hub.stop();
  await world.pass(IDLE);
  assertEquals(inUse(world), left);
});
