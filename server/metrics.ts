/**
 * Counters of one gateway: plain numbers, written where things happen, read by `/metrics` and
 * `/health`.
 */
export class Metrics {
  /** Messages stored. */
  published = 0;
  /** Publishes answered with the result of an earlier one of the same id. */
  duplicates = 0;
  /** Publishes refused or failed. */
  publishErrors = 0;
  /** Messages handed to connections, first deliveries. */
  delivered = 0;
  /** Messages handed to connections again. */
  redelivered = 0;
  /** Messages settled by an acknowledgement. */
  acknowledged = 0;
  /** Messages refused by a nack. */
  refused = 0;
  /** Deliveries that timed out. */
  timedOut = 0;
  /** Messages given up to the dead letters. */
  deadLettered = 0;
  /** Messages put back from the dead letters. */
  redriven = 0;
  /** Gap notices sent. */
  gaps = 0;
  /** Connections accepted since the start, by transport. */
  readonly connections = new Map<string, number>();
  /** Connections closed by the gateway, by code. */
  readonly closed = new Map<string, number>();
  /** Error frames and error answers, by code. */
  readonly errors = new Map<string, number>();
  /** Pages read from the store for subscribers behind the newest messages. */
  logReads = 0;
  /** Writes of positions that failed and are tried again. */
  commitErrors = 0;
  /** Exchanges with other nodes that failed and are tried again. */
  clusterErrors = 0;
  /** Long-pollers that came from another node. */
  pollsMoved = 0;

  /** Adds one to a labelled counter. */
  count(counter: Map<string, number>, label: string): void {
    counter.set(label, (counter.get(label) ?? 0) + 1);
  }
}
