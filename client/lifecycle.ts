/**
 * The states of a client, and why it is in one.
 *
 * @module
 */
import type { Code } from "./protocol/codes.ts";

/** How frames travel. */
export type Transport = "websocket" | "sse" | "longpoll";

/** Name of a state of the client. */
export type StateName = "idle" | "connecting" | "connected" | "reconnecting" | "closed";

/** State of the client. */
export interface State {
  /** Its name. */
  state: StateName;
  /** What led here; absent where nothing went wrong. */
  code?: Code | undefined;
  /** The same in words. */
  reason: string;
  /** How frames travel now. */
  transport?: Transport | undefined;
}

/** How a link ended, or why none came about. */
export interface Ending {
  readonly code: Code;
  readonly reason: string;
  /** Whether coming back is pointless or unwanted. */
  readonly final: boolean;
}

/** Why a client was closed. */
export interface Closed {
  /** `disconnected` after `disconnect()`; else what the gateway or the network said. */
  readonly code: Code;
  /** The same in words. */
  readonly reason: string;
}
