import type { Code } from "./protocol/codes.ts";

/** Why a client was closed. */
export interface Closed {
  /** `disconnected` after `disconnect()`; else what the gateway or the network said. */
  readonly code: Code;
  /** The same in words. */
  readonly reason: string;
}
