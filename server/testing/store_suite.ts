import { assertEquals } from "@std/assert";
import { type RandomBytes, systemRandom } from "../clock.ts";
import type { Retention, Store, StoreLimits } from "../stores/store.ts";
import { claimCases } from "./store_cases_claims.ts";
import { letterCases } from "./store_cases_letters.ts";
import { lifeCases } from "./store_cases_life.ts";
import { logCases } from "./store_cases_log.ts";
import { nodeCases } from "./store_cases_nodes.ts";
import { positionCases } from "./store_cases_positions.ts";
import { retentionCases } from "./store_cases_retention.ts";
import { revocationCases } from "./store_cases_revocations.ts";
import { sessionCases } from "./store_cases_sessions.ts";
import { subjectCases } from "./store_cases_subjects.ts";
import { type StoreCase, StoreTrial } from "./store_trial.ts";

/** What the stores of one case are to be made with. */
export interface StoreTerms {
  /** How much of a log is kept. */
  readonly retention: Retention;
  /** Limits of dead letters and sessions. */
  readonly limits: StoreLimits;
  /** Source of randomness. */
  readonly random: RandomBytes;
}

/** Two stores on the same fresh data. The suite opens both and disposes both. */
export interface StoreHandles {
  /** One handle… */
  readonly a: Store;
  /** …and another, as a second node would have. */
  readonly b: Store;
  /**
   * Only for an engine with a clock of its own: makes that clock go on by so many milliseconds. The
   * times that operations are told go on by as much.
   */
  advance?(ms: number): Promise<void>;
  /** Removes the data, after both handles are disposed. */
  cleanUp?(): Promise<void>;
}

/** Options of {@linkcode storeSuite}. */
export interface StoreSuiteOptions {
  /** Name of the store; every test's name begins with it. */
  readonly name: string;
  /** Makes two stores on fresh data. Called once for each case. */
  open(terms: StoreTerms): Promise<StoreHandles> | StoreHandles;
  /** Takes one test: `Deno.test`, or what another runner has. */
  test(name: string, fn: () => Promise<void>): void;
  /**
   * Messages that the store may keep beyond what it must, because it drops them in blocks. Default 0.
   */
  readonly spare?: number;
  /**
   * Whether the two handles are nodes that share sessions: each has a `cluster` of its own. Without,
   * the cases about such nodes are left out. Default false.
   */
  readonly nodes?: boolean;
  /**
   * Unix milliseconds at which a case begins, asked for each; those of the engine, where it has a clock
   * of its own. Default the year 2025.
   */
  start?(): number;
}

/** Every case, in the order of the contract. */
export const STORE_CASES: readonly StoreCase[] = [
  ...logCases,
  ...retentionCases,
  ...sessionCases,
  ...subjectCases,
  ...claimCases,
  ...nodeCases,
  ...positionCases,
  ...letterCases,
  ...revocationCases,
  ...lifeCases,
];

const HOUR = 3_600_000;

const RETENTION: Retention = {
  messageTtl: HOUR,
  historySize: 1000,
  historyBytes: 2 ** 20,
  maxChannelBytes: 2 ** 22,
  maxStoreBytes: 2 ** 26,
  metaTtl: 4 * HOUR,
  idempotencyWindow: 300_000,
};

const LIMITS: StoreLimits = { maxSessions: 1000, deadLetterTtl: 2 * HOUR, maxDeadLetters: 100 };

/**
 * Proves a store: one test for each case of {@linkcode STORE_CASES} that is about such stores. A store
 * that passes them all keeps what `Store` promises.
 *
 * @param options the store, and who runs the tests
 *
 * @example
 * ```ts ignore
 * import { storeSuite } from "@push/gateway/testing";
 *
 * storeSuite({
 *   name: "MyStore",
 *   open: (terms) => {
 *     const data = new MyData();
 *     return { a: new MyStore(data, terms), b: new MyStore(data, terms) };
 *   },
 *   test: (name, fn) => Deno.test(name, fn),
 * });
 * ```
 */
export function storeSuite(options: StoreSuiteOptions): void {
  const { name, open, test, spare = 0, nodes = false } = options;
  for (const storeCase of STORE_CASES) {
    if (storeCase.nodes && !nodes) continue;
    test(`${name}: ${storeCase.name}`, async () => {
      const handles = await open({
        retention: { ...RETENTION, ...storeCase.retention },
        limits: { ...LIMITS, ...storeCase.limits },
        random: systemRandom,
      });
      const { a, b } = handles;
      try {
        await a.open();
        await b.open();
        for (const { cluster } of [a, b]) {
          // Else cases would be left out by mistake, or run over what they are not about.
          assertEquals(cluster?.sharesSessions ?? false, nodes, "Whether handles are nodes");
        }
        const start = options.start?.() ?? Date.UTC(2025, 0, 1);
        await storeCase.run(
          new StoreTrial(a, b, { start, spare, advance: (ms) => handles.advance?.(ms) }),
        );
      } finally {
        await a[Symbol.asyncDispose]();
        await b[Symbol.asyncDispose]();
        await handles.cleanUp?.();
      }
    });
  }
}
