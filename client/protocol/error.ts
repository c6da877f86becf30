import { actionOf, type Code, mayRetry, textOf } from "./codes.ts";

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
  declare readonly code: Code;
  /** Whether trying the same again may succeed. */
  declare readonly retry: boolean;

  /**
   * An error with a code.
   *
   * @param code a code of the table
   * @param detail what exactly, as a sentence; that of the code if left out
   * @param options what caused it
   */
  constructor(code: Code, detail: string = textOf(code), options?: ErrorOptions) {
    super(detail, options);
    this.code = code;
    this.retry = mayRetry(code);
  }

  /** What the receiver should do, as one sentence. */
  get action(): string {
    return actionOf(this.code);
  }
}
