import { Bucket, type BucketTerms, costOf } from "./bucket.ts";

/** Part of a second's tokens that a client which was refused is to wait for. */
const PAUSE = 0.5;
/** Milliseconds that the others of a client wait for the first that was refused to come again. */
const PATIENCE = 5_000;

/**
 * Lets the publishes of one client pass, as many as its bucket has tokens for.
 *
 * What was sent behind one that was refused may be on its way still, and must not be stored before
 * it: until that one comes again, by its request id, everything behind it is refused, too. A client
 * sends again in order: one that begins with a later number has given it up, and goes on with that. If
 * it sends nothing again it goes on after a few seconds.
 */
export class PublishGate {
  readonly #terms: BucketTerms;
  readonly #bucket: Bucket;
  /** Request id of the first that was refused; 0 if none waits. */
  #first = 0;
  /** Highest request id that was refused since, and when the client was told to come again. */
  #last = 0;
  #comesAt = 0;
  #patientUntil = 0;
  /** When it was asked last. */
  #askedAt = 0;

  /** @param now Unix milliseconds */
  constructor(terms: BucketTerms, now: number) {
    this.#terms = terms;
    this.#bucket = new Bucket(terms, now);
  }

  /**
   * @param requestId number of the request, from 1; `undefined` for a client that numbers none
   * @param size characters of the payload
   * @returns 0 if it may pass; else milliseconds to wait
   */
  pass(now: number, requestId: number | undefined, size: number): number {
    if (this.#terms.rate === 0) return 0;
    this.#follow(now);
    const isBehind = this.#first > 0 && requestId !== undefined && requestId > this.#first &&
      now < this.#patientUntil && !this.#isAgain(now, requestId);
    if (!isBehind && this.#bucket.pay(now, size)) {
      // What is not behind the first that was refused is that one, or older.
      this.#first = 0;
      return 0;
    }
    const wait = Math.max(this.#wait(now, size), 1);
    if (requestId !== undefined) {
      this.#last = requestId;
      if (!isBehind) {
        this.#first = requestId;
        this.#comesAt = now + wait;
        this.#patientUntil = this.#comesAt + PATIENCE;
      }
    }
    return wait;
  }

  /** A clock that is set back takes the waits with it: nobody waits longer for that. */
  #follow(now: number): void {
    const back = Math.max(this.#askedAt - now, 0);
    this.#comesAt -= back;
    this.#patientUntil -= back;
    this.#askedAt = now;
  }

  /** Whether this one was refused before, and now comes before the first that was. */
  #isAgain(now: number, requestId: number): boolean {
    return requestId <= this.#last && now >= this.#comesAt;
  }

  /**
   * The same for what is no publish, and so in no order with them.
   *
   * @returns 0 if it may pass; else milliseconds to wait
   */
  pay(now: number, size: number): number {
    if (this.#bucket.pay(now, size)) return 0;
    return Math.max(this.#bucket.wait(now, costOf(size)), 1);
  }

  #wait(now: number, size: number): number {
    return this.#bucket.wait(now, Math.max(costOf(size), this.#terms.rate * PAUSE));
  }
}
