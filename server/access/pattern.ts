import { MAX_CHANNEL_NAME } from "@push/client/protocol";

/** Most segments of a pattern. */
export const MAX_SEGMENTS = 16;

/** Stands for one segment, whatever it is. */
const ONE = Symbol("one");
/** Stands for one segment or more. */
const MORE = Symbol("more");
/** Stands for the subject of who asks. */
const SUBJECT = Symbol("subject");

type Segment = string | typeof ONE | typeof MORE | typeof SUBJECT;

const WORDS: ReadonlyMap<string, Segment> = new Map<string, Segment>([
  ["*", ONE],
  ["**", MORE],
  ["{subject}", SUBJECT],
]);
const LITERAL = /^[A-Za-z0-9_.-]*$/;

/**
 * Names channels by their segments, which stand between colons: `*` is one segment, `**` one or more,
 * `{subject}` the subject of who asks, as one segment. Anything else stands for itself.
 *
 * Matching takes time in proportion to the channel's segments, at most {@linkcode MAX_SEGMENTS} steps
 * for each: a `**` that was passed is never gone back to once a later one was reached.
 */
export class Pattern {
  /** As it was written. */
  readonly text: string;
  readonly #segments: readonly Segment[];

  /**
   * @param text 1 to 255 characters, at most {@linkcode MAX_SEGMENTS} segments
   * @throws {RangeError} if it is no pattern; the message says what is wrong with it
   */
  constructor(text: string) {
    const wrong = faultOf(text);
    if (wrong !== undefined) throw new RangeError(wrong);
    this.text = text;
    this.#segments = text.split(":").map((each) => WORDS.get(each) ?? each);
  }

  /** Whether it names every channel. */
  get isAll(): boolean {
    return this.#segments.length === 1 && this.#segments[0] === MORE;
  }

  /**
   * Whether it names a channel.
   *
   * @param channel the segments of the channel's name
   * @param subject subject of who asks
   */
  matches(channel: readonly string[], subject: string): boolean {
    const segments = this.#segments;
    let at = 0;
    /** The last `**` that was reached, and the segment of the channel that it ends with for now. */
    let more = -1;
    let end = -1;
    for (let i = 0; i < channel.length;) {
      const segment = segments[at];
      if (segment === MORE) {
        more = at++;
        end = i++;
      } else if (at < segments.length && isOne(segment, channel[i], subject)) {
        at++;
        i++;
      } else if (more < 0) {
        return false;
      } else {
        // It takes one segment more, and what comes behind it is tried again from there.
        at = more + 1;
        i = ++end + 1;
      }
    }
    return at === segments.length;
  }
}

/** What is wrong with a pattern; nothing if it is one. */
export function faultOf(text: string): string | undefined {
  if (text.length === 0 || text.length > MAX_CHANNEL_NAME) {
    return `a pattern has 1 to ${MAX_CHANNEL_NAME} characters`;
  }
  const segments = text.split(":");
  if (segments.length > MAX_SEGMENTS) return `a pattern has at most ${MAX_SEGMENTS} segments`;
  const isPattern = segments.every((each) => WORDS.has(each) || LITERAL.test(each));
  return isPattern
    ? undefined
    : "a segment of a pattern is *, **, {subject} or of A-Z a-z 0-9 _ . - only";
}

function isOne(segment: Segment, found: string, subject: string): boolean {
  if (segment === ONE) return true;
  return segment === SUBJECT ? found === subject && subject !== "" : found === segment;
}
