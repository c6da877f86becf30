/** What a scenario is, and what comes of it. */
import type { Stage } from "./stage.ts";

/** Numbers by the keys of columns. */
export type Figures = Readonly<Record<string, number>>;

/** A column of figures. */
export interface Column {
  /** Key of its figures. */
  readonly key: string;
  /** What stands above it, with its unit. */
  readonly title: string;
  /** Digits behind the point. */
  readonly digits: number;
}

/** What one server came to. */
export interface Row {
  /** The server, or what was done to it. */
  readonly name: string;
  /** Its figures; none if it has no right to any. */
  readonly figures: Figures;
  /** Why it has none: something did not come once and in order, or it did not run. */
  readonly isVoid?: string;
}

/** A picture of a table's figures. */
export interface Picture {
  /** Bars of each row, or a line for each row. */
  readonly kind: "bars" | "lines";
  /** What stands above it. */
  readonly title: string;
  /** What its figures are, with the unit. */
  readonly unit: string;
  /** Columns that are shown: bars of one row, or points of one line. */
  readonly keys: readonly string[];
  /** Of a picture of lines: what the columns are, and where each stands. */
  readonly across?: { readonly unit: string; readonly values: readonly number[] };
}

/** A table, and what it is about. */
export interface Section {
  /** Unique, in letters that a file's name may have. */
  readonly name: string;
  /** What stands above it. */
  readonly title: string;
  /** What was done. */
  readonly about: string;
  /** Figures of each row. */
  readonly columns: readonly Column[];
  /** Servers. */
  readonly rows: readonly Row[];
  /** Its picture. */
  readonly picture?: Picture;
}

/** Something that is measured. */
export interface Scenario {
  /** What people call it: `--only NAME`. */
  readonly name: string;
  /** What it measures, in a line. */
  readonly about: string;
  /** Measures it. */
  run(stage: Stage): Promise<readonly Section[]>;
}

/** How much of everything a run does. */
export interface Scale {
  /** Whether variants are left out. */
  readonly isShort: boolean;
  /** Seconds that count in each run, and those before. */
  readonly seconds: number;
  readonly warm: number;
  /** Seconds for which messages may be under way once nobody publishes any more. */
  readonly patience: number;
  /** Subscribers of a fan-out, one after the other, and of everything else. */
  readonly fanOut: readonly number[];
  readonly subscribers: number;
  /** Independent publishers. */
  readonly publishers: number;
  /** Publishes a second of a latency, one after the other, and of an overload. */
  readonly rates: readonly number[];
  readonly overload: number;
  /** Channels that have nothing to do with each other. */
  readonly channels: number;
  /** Clients that ask one that answers. */
  readonly requesters: number;
  /** Connections of which none does anything. */
  readonly idle: number;
  /** Minutes of coming and going, and clients that do. */
  readonly minutes: number;
  readonly churners: number;
}

/** The sizes that the figures in bench/README.md are of. */
export const FULL: Scale = {
  isShort: false,
  seconds: 1.2,
  // A program that has just begun takes twice the time for a message that it takes a second later.
  warm: 1.5,
  patience: 20,
  fanOut: [100, 1000, 5000],
  subscribers: 1000,
  publishers: 50,
  rates: [100, 500],
  overload: 500,
  channels: 100,
  requesters: 100,
  idle: 10_000,
  minutes: 0.5,
  churners: 300,
};

/** Sizes for a look: what runs, and about how it stands. */
export const QUICK: Scale = {
  ...FULL,
  isShort: true,
  seconds: 0.4,
  warm: 0.2,
  fanOut: [1000],
  rates: [500],
  idle: 2000,
  minutes: 0.1,
};
