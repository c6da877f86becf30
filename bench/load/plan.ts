/** What a load generator is asked for, and what it answers. */
import type { Acks } from "./connection.ts";
import type { Verdict } from "./ledger.ts";
import type { WireName } from "./wires.ts";

/** What it does. */
export interface Plan {
  /** Language of the server. */
  readonly wire: WireName;
  /** Ports of 127.0.0.1; connections take them in turns. */
  readonly ports: readonly number[];
  /** Processes whose CPU time and memory count. */
  readonly pids: readonly number[];
  /** Connections that listen. */
  readonly subscribers: number;
  /** Whether they are WebSockets or long-pollers. */
  readonly transport: "websocket" | "polling";
  /** Channels; subscribers and publishers are spread over them. */
  readonly channels: number;
  /** Connections that publish. */
  readonly publishers: number;
  /** Messages of one publisher that are under way: not yet come to everybody, or not yet answered. */
  readonly inFlight: number;
  /** Publishes a second of all together, sent when they are due; 0: as many as may be in flight. */
  readonly rate: number;
  /** How subscribers acknowledge. */
  readonly acks: Acks;
  /** Whether each publisher asks a responder, and waits for its answer. */
  readonly isRequests: boolean;
  /** Whether nobody publishes within what counts; each publisher publishes one message after it. */
  readonly isIdle: boolean;
  /** Seconds between two signs of life of a connection that does nothing else; 0 for none. */
  readonly beatInterval: number;
  /** Seconds for which what they cost counts. */
  readonly beatSeconds: number;
  /** Seconds before what counts. */
  readonly warm: number;
  /** Seconds that count. */
  readonly seconds: number;
  /** Seconds for which messages may be under way once nobody publishes any more. */
  readonly patience: number;
}

/** What came of it. Times are seconds, sizes bytes. */
export interface Result {
  /** Time that counted. */
  readonly seconds: number;
  /** Messages that came within it. */
  readonly received: number;
  /** Frames or answers that brought them. */
  readonly frames: number;
  /** Publishes within it: answered ones, where the server answers. */
  readonly accepted: number;
  /** Publishes of the whole run. */
  readonly sent: number;
  /** CPU time of the processes within it. */
  readonly cpu: number;
  /** CPU time of the generator within it. */
  readonly ownCpu: number;
  /** From publish to receive, in milliseconds; of runs with a rate, and of requests. */
  readonly latency: { readonly p50: number; readonly p99: number };
  /** Memory of the processes: before anybody connected, when all had, at the end, and at most. */
  readonly memory: {
    readonly before: number;
    readonly connected: number;
    readonly end: number;
    readonly peak: number;
  };
  /** Connecting: time, and CPU time of the processes. */
  readonly connecting: { readonly seconds: number; readonly cpu: number };
  /** Signs of life that were answered within a time, and CPU time of the processes within it. */
  readonly beats: { readonly seconds: number; readonly cpu: number; readonly answered: number };
  /** Whether every message came. */
  readonly verdict: Verdict;
  /** What else went wrong: errors, gaps, lost connections. */
  readonly trouble: readonly string[];
}
