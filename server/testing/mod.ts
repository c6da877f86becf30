/**
 * The kit that stores and transports are proved with, and that programs which embed a gateway can
 * test themselves with: a clock that goes on when it is told to, random numbers that repeat, a
 * connection that ends in the test, several nodes in one process, and the cases that every store must
 * pass.
 *
 * Nothing here sleeps. Time passes with {@linkcode ManualClock.advance}, and a test waits for the
 * frame that it expects with {@linkcode MemoryConnection.next}:
 *
 * @example A conversation under a manual clock
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ManualClock, MemoryPair, seededRandom } from "@push/gateway/testing";
 *
 * const clock = new ManualClock();
 * const random = seededRandom(42);
 *
 * // Stands in for a gateway: it answers a ping within a second.
 * const pair = new MemoryPair(() => {
 *   clock.schedule(random.below(1000), () => pair.connection.send('{"type":"pong"}', 0));
 * });
 *
 * pair.say({ type: "ping" });
 * const pong = pair.connection.next("pong");
 * await clock.advance(1000);
 * assertEquals(await pong, { type: "pong" });
 * assertEquals(clock.pending, 0);
 * ```
 *
 * A store of your own is proved by {@linkcode storeSuite}, which asks for two handles on the same
 * fresh data and runs {@linkcode STORE_CASES} over them; what its nodes keep for each other by
 * {@linkcode clusterSuite}.
 *
 * @module
 */
export type { Cancel, Clock, RandomBytes } from "../clock.ts";
export * from "../stores/cluster.ts";
export * from "../stores/revocations.ts";
export * from "../stores/store.ts";
export type { Connection } from "../transports/connection.ts";
export * from "./cluster_suite.ts";
export * from "./manual_clock.ts";
export * from "./memory_cluster.ts";
export * from "./memory_pair.ts";
export * from "./seeded_random.ts";
export * from "./store_suite.ts";
export { type StoreCase, StoreTrial, type StoreTrialOptions } from "./store_trial.ts";
