import { type Code, CODES } from "./codes.ts";

/** Options of {@linkcode PushError}. */
export interface PushErrorOptions extends ErrorOptions {
  /** Wait this many seconds before trying again. */
  readonly retryAfter?: number;
}

/**
 * Everything that goes wrong between a client and a gateway: one class, told apart by its
 * {@linkcode PushError.code}.
 *
 * Errors of the caller (a wrong argument) are `TypeError` and `RangeError` instead.
 */
export class PushError extends Error {
  /** Name of the class. */
  override readonly name = "PushError";
  /** What happened, as a code of the table in `PROTOCOL.md`. */
  readonly code: Code;
  /** Whether trying the same again may succeed. */
  readonly retry: boolean;
  /** Seconds to wait before trying again, where the gateway said so. */
  readonly retryAfter: number | undefined;

  /**
   * An error with a code.
   *
   * @param code a code of the table
   * @param detail what exactly, as a sentence; the code's own text if left out
   * @param options cause, and seconds to wait before a retry
   */
  constructor(code: Code, detail: string = CODES[code].text, options: PushErrorOptions = {}) {
    super(detail, options);
    this.code = code;
    this.retry = CODES[code].retry;
    this.retryAfter = options.retryAfter;
  }

  /** What the receiver should do, as one sentence. */
  get action(): string {
    return CODES[this.code].action;
  }
}
