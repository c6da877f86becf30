import type { Json } from "@push/client/protocol";

/**
 * Since when the messages of one subscription are in flight, as milliseconds before or after the
 * moment at which it was stopped: the clocks of two nodes have nothing in common.
 */
export interface Flight {
  /** Epoch that the numbers belong to. */
  readonly epoch: string;
  /** All up to this number was sent so long ago… */
  readonly older: readonly [seq: number, age: number];
  /** …and all up to this one so long ago. */
  readonly newer: readonly [seq: number, age: number];
  /** When these marks move on; absent if nothing is in flight in order. */
  readonly next?: number;
  /** Late messages: whether they are in flight, and when they are due. */
  readonly late: readonly (readonly [seq: number, inFlight: boolean, due: number])[];
}

/** Flights by the names of their channels. */
export type Flights = ReadonlyMap<string, Flight>;

/** Flights as JSON. */
export function writeFlights(flights: Flights): string {
  return JSON.stringify([...flights]);
}

/** What {@linkcode writeFlights} has made; what is anything else is left out. */
export function readFlights(text: string | undefined): Flights {
  const flights = new Map<string, Flight>();
  let entries: Json;
  try {
    entries = JSON.parse(text ?? "[]");
  } catch {
    return flights;
  }
  for (const entry of Array.isArray(entries) ? entries : []) {
    if (!Array.isArray(entry)) continue;
    const [name, flight] = entry;
    if (typeof name === "string" && isFlight(flight)) flights.set(name, flight);
  }
  return flights;
}

function isFlight(value: unknown): value is Flight {
  if (typeof value !== "object" || value === null) return false;
  const { epoch, older, newer, next, late } = value as { [key: string]: unknown };
  return typeof epoch === "string" && areNumbers(older) && areNumbers(newer) &&
    (next === undefined || typeof next === "number") && Array.isArray(late) &&
    late.every((each) =>
      Array.isArray(each) && typeof each[1] === "boolean" && areNumbers([each[0], each[2]])
    );
}

function areNumbers(values: unknown): boolean {
  return Array.isArray(values) && values.length === 2 &&
    values.every((value) => typeof value === "number");
}
