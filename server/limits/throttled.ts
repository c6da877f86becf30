import { type Code, PushError } from "@push/client/protocol";

/** Somebody was refused for now, and is told when to try again. */
export class Throttled extends PushError {
  /** Seconds to wait. */
  readonly retryAfter: number;

  /** @param wait milliseconds to wait */
  constructor(code: Code, detail: string, wait: number) {
    // Whoever is refused may come again at once, and a stack takes longer than all the rest of it.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(code, detail);
    Error.stackTraceLimit = stackTraceLimit;
    this.retryAfter = Math.ceil(wait) / 1000;
  }
}

/** Seconds that an error asks to wait, if it does. */
export function retryAfter(error: unknown): number | undefined {
  return error instanceof Throttled ? error.retryAfter : undefined;
}
