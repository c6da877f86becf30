/** Columns that several tables have, and what they are made of. */
import type { Result } from "../load/plan.ts";
import { BARE, TURN } from "../peers/mod.ts";
import type { Column, Figures } from "../scenario.ts";
import type { Ratio } from "../stage.ts";

/** What a delivered message costs the server. */
export const CPU: Column = { key: "cpu", title: "CPU a message, µs", digits: 2 };
/** The same beside the two loops of the same round. */
export const BY_BARE: Column = { key: "byBare", title: "× bare", digits: 2 };
export const BY_TURN: Column = { key: "byTurn", title: "× turn", digits: 2 };
/** Messages that came. */
export const RATE: Column = { key: "rate", title: "messages/s", digits: 0 };
/** Messages in a frame, on average. */
export const IN_FRAME: Column = { key: "inFrame", title: "messages a frame", digits: 1 };
/** Share of a core that the server took. */
export const SERVER: Column = { key: "server", title: "server, % of a core", digits: 0 };
/** Share of a core that the generator took: near 100 it is what is measured. */
export const GENERATOR: Column = { key: "generator", title: "generator, %", digits: 0 };
/** From publish to receive. */
export const P50: Column = { key: "p50", title: "p50, ms", digits: 1 };
export const P99: Column = { key: "p99", title: "p99, ms", digits: 1 };
/** Most memory while it ran. */
export const PEAK: Column = { key: "peak", title: "memory at most, MiB", digits: 0 };

/** The ratios of the cost of a message. */
export const RATIOS: readonly Ratio[] = [
  { key: BY_BARE.key, of: CPU.key, base: BARE },
  { key: BY_TURN.key, of: CPU.key, base: TURN },
];

/** All of these of a run. */
export function figuresOf(result: Result): Figures {
  const { seconds, received, frames, cpu, ownCpu, latency, memory } = result;
  return {
    cpu: cpu * 1e6 / received,
    rate: received / seconds,
    inFrame: received / frames,
    server: 100 * cpu / seconds,
    generator: 100 * ownCpu / seconds,
    p50: latency.p50,
    p99: latency.p99,
    peak: memory.peak / 2 ** 20,
  };
}
