/**
 * Holds a history against the invariants that a gateway promises.
 *
 * @module
 */
import type { Entry } from "./history.ts";
import * as delivery from "./rules_delivery.ts";
import type { Terms } from "./rules_delivery.ts";
import * as nodes from "./rules_nodes.ts";
import * as settling from "./rules_settling.ts";
import { View } from "./view.ts";

export type { Terms };

/** An invariant. */
export interface Invariant {
  /** Its number. */
  readonly name: string;
  /** What it says. */
  readonly says: string;
  /** Finds what breaks it, a sentence each. */
  readonly broken: (view: View, terms: Terms) => string[];
}

/** Every invariant, by its number. */
export const INVARIANTS: readonly Invariant[] = [
  {
    name: "I1",
    says: "what was answered reaches everyone who was there, or its loss is told",
    broken: delivery.noAnsweredLoss,
  },
  { name: "I2", says: "what arrives was published, just so", broken: delivery.noInvention },
  { name: "I3", says: "nothing arrives where nobody asked", broken: delivery.isolation },
  { name: "I4", says: "one order for all", broken: delivery.order },
  { name: "I5", says: "what is acknowledged does not come again", broken: settling.ackFinality },
  {
    name: "I6",
    says: "attempts end, in one dead letter",
    broken: settling.boundedAttempts,
  },
  {
    name: "I7",
    says: "no number is missing without a notice, and no notice is for nothing",
    broken: (view, terms) => [...delivery.noSilentGap(view), ...delivery.noFalseAlarm(view, terms)],
  },
  { name: "I8", says: "presence tells who is there", broken: nodes.presenceConverges },
  { name: "I9", says: "nothing grows for good", broken: nodes.boundedResources },
  { name: "I10", says: "what can arrive arrives in time", broken: delivery.liveness },
  {
    name: "I11",
    says: "no process ends by itself, and no client is turned away",
    broken: nodes.survival,
  },
  { name: "I12", says: "what is refused does nothing", broken: settling.refusalsDoNothing },
];

/** What was found about one invariant. */
export interface Finding {
  /** Number of the invariant. */
  readonly invariant: string;
  /** What breaks it. */
  readonly violations: readonly string[];
}

/** What a run is held against unless it says otherwise. */
export const TERMS: Terms = {
  maxRetries: 3,
  mayLose: false,
  patience: 15_000,
  growth: { rss: 256 << 20, fds: 64 },
};

/** Holds a history against every invariant; one finding each. */
export function check(entries: readonly Entry[], terms: Partial<Terms> = {}): Finding[] {
  const view = new View(entries);
  return INVARIANTS.map(({ name, broken }) => (
    { invariant: name, violations: broken(view, { ...TERMS, ...terms }) }
  ));
}

/** The violations of all findings, each with its invariant. */
export function violationsOf(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ invariant, violations }) =>
    violations.map((violation) => `${invariant}: ${violation}`)
  );
}
