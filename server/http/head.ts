/** Header fields, as far as they are read one by one. */
export interface HeaderFields {
  /** The value of a field, or all of them with commas between; `null` if it is missing. */
  get(name: string): string | null;
  /** Whether a field is there. */
  has(name: string): boolean;
  /** Every field. */
  [Symbol.iterator](): IterableIterator<[name: string, value: string]>;
}

/** The head of a request: all there is to one without a body. */
export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderFields;
}

/** A head of which a `Request` can be made: to make one costs more than an upgrade does beside it. */
export interface Heading extends RequestHead {
  /**
   * The request. Called once at most.
   *
   * @throws {PushError} `bad_request` if there is no such `Request`
   */
  whole(): Request;
}

/** A request that has arrived, made or not. */
export type Arrived = Request | Heading;

/** A request that has arrived, made. */
export function wholeOf(arrived: Arrived): Request {
  return arrived instanceof Request ? arrived : arrived.whole();
}
