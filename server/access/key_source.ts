import { PushError } from "@push/client/protocol";
import type { Clock } from "../clock.ts";
import { KeySet, type PublicKey, type TokenHeader } from "./jwks.ts";

/** Where the key of a token is looked for. */
export interface KeySource {
  /**
   * The key that the header of a token means; `undefined` if there is none.
   *
   * @throws {PushError} `unavailable` if that cannot be found out at present
   */
  find(header: TokenHeader): Promise<PublicKey | undefined>;
}

/** Reads a set of keys anew, as JSON. */
export type LoadKeys = () => Promise<unknown>;

/** Milliseconds for which a set is used without asking again. */
const MAX_AGE = 600_000;
/** Milliseconds between two readings because of a key that is missing… */
const COOL_DOWN = 30_000;
/** …and between two that failed, while there is no set. */
const RETRY_PAUSE = 5_000;
/** Names of keys that the present set is known not to have. */
const MOST_UNKNOWN = 1000;
/** Milliseconds that an answer with keys may take, and bytes that it may have. */
const FETCH_TIMEOUT = 5_000;
const MAX_BYTES = 262_144;

/** One key, which every token is checked with. */
export class OneKey implements KeySource {
  readonly #key: PublicKey;

  /** @param key if it has no name, that of a token does not matter */
  constructor(key: PublicKey) {
    this.#key = key;
  }

  /** See {@linkcode KeySource.find}. */
  find({ alg, kid }: TokenHeader): Promise<PublicKey | undefined> {
    const named = this.#key.kid;
    const fits = this.#key.algorithms.includes(alg) &&
      (named === undefined || kid === undefined || named === kid);
    return Promise.resolve(fits ? this.#key : undefined);
  }
}

/**
 * A set of keys that changes: it is read again when it is old, or a token names a key that it does not
 * have. While it cannot be read, the last one that could is used.
 */
export class ChangingKeys implements KeySource {
  readonly #load: LoadKeys;
  readonly #clock: Clock;
  readonly #failed: (error: unknown) => void;
  #set: KeySet | undefined;
  /** Unix milliseconds of the last reading that succeeded, and of the last that did not. */
  #readAt = 0;
  #failedAt = -Infinity;
  /** When a name that the set does not have was asked for last. */
  #askedAt = -Infinity;
  /** What was asked of the present set, right after it was read, and is not in it. */
  readonly #unknown = new Set<string>();
  #reading: Promise<boolean> | undefined;

  /**
   * @param load reads the set
   * @param failed told why it could not be read
   */
  constructor(load: LoadKeys, clock: Clock, failed: (error: unknown) => void) {
    this.#load = load;
    this.#clock = clock;
    this.#failed = failed;
  }

  /**
   * Reads the set for the first time.
   *
   * @throws whatever kept it from being read
   */
  async open(): Promise<KeySet> {
    return this.#take(await this.#load());
  }

  /** See {@linkcode KeySource.find}. */
  async find(header: TokenHeader): Promise<PublicKey | undefined> {
    const now = this.#clock.now();
    const isOld = this.#set === undefined || isPast(this.#readAt, MAX_AGE, now);
    const pause = this.#set === undefined ? RETRY_PAUSE : COOL_DOWN;
    if (isOld && isPast(this.#failedAt, pause, now)) await this.#read();
    if (this.#set === undefined) throw unavailable();
    const found = this.#set.find(header);
    const { kid } = header;
    if (found !== undefined || kid === undefined) return found;
    if (this.#set.has(kid) || this.#unknown.has(kid)) return undefined;
    // Who sends tokens with names that nobody has must not make it ask each time.
    if (this.#reading === undefined && !isPast(this.#askedAt, COOL_DOWN, now)) throw unavailable();
    this.#askedAt = now;
    if (!await this.#read()) throw unavailable();
    const again = this.#set.find(header);
    if (again === undefined && this.#unknown.size < MOST_UNKNOWN) this.#unknown.add(kid);
    return again;
  }

  /** Reads the set, once at a time; resolves to whether that succeeded. */
  #read(): Promise<boolean> {
    return this.#reading ??= this.#tryToRead().finally(() => this.#reading = undefined);
  }

  async #tryToRead(): Promise<boolean> {
    try {
      this.#take(await this.#load());
      return true;
    } catch (error) {
      this.#failedAt = this.#clock.now();
      this.#failed(error);
      return false;
    }
  }

  #take(value: unknown): KeySet {
    const set = KeySet.read(value);
    if (set === undefined) throw new TypeError("It is no set of keys that can check signatures.");
    this.#set = set;
    this.#readAt = this.#clock.now();
    this.#unknown.clear();
    return set;
  }
}

/**
 * Reads JSON from an address, which must not lead to another one.
 *
 * @param ended ends what is under way
 */
export function fetchKeys(url: string, clock: Clock, ended: AbortSignal): LoadKeys {
  return async () => {
    const abort = new AbortController();
    const cancel = clock.schedule(FETCH_TIMEOUT, () => abort.abort());
    try {
      const response = await fetch(url, {
        redirect: "manual",
        signal: AbortSignal.any([abort.signal, ended]),
        headers: { accept: "application/jwk-set+json, application/json" },
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new TypeError(`The answer has status ${response.status}.`);
      }
      return JSON.parse(await readText(response));
    } finally {
      cancel();
    }
  };
}

async function readText({ body }: Response): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new RangeError(`The answer has more than ${MAX_BYTES} bytes.`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Whether so long has passed since a moment. A clock that went back counts as one that went on. */
function isPast(since: number, milliseconds: number, now: number): boolean {
  return Math.abs(now - since) >= milliseconds;
}

function unavailable(): PushError {
  return new PushError("unavailable", "The keys of tokens cannot be read at present: try again.");
}
