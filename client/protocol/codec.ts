import { PushError } from "./error.ts";
import type { Json } from "./frames.ts";
import { MAX_NESTING } from "./limits.ts";

/** A parsed JSON object whose members have not been looked at. */
export type JsonObject = { [key: string]: Json };

/** A decoded frame, and the exact text that its members were written with. */
export interface Decoded {
  /** The frame. */
  readonly frame: JsonObject;
  /** JSON text of the frame. */
  readonly text: string;
}

/**
 * Parses JSON from the network: refuses deep nesting before the parser sees it, and never throws
 * anything but a {@linkcode PushError}.
 *
 * @param text what arrived
 * @param maxNesting deepest nesting accepted
 * @throws {PushError} `bad_frame` if it is not JSON, `nesting_too_deep` if it is nested too deeply
 */
export function parseJson(text: string, maxNesting: number = MAX_NESTING): Json {
  if (text.length > maxNesting && nestingOf(text, maxNesting) > maxNesting) {
    throw new PushError("nesting_too_deep", `The JSON is nested more than ${maxNesting} deep.`);
  }
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new PushError("bad_frame", `The frame is not JSON: it begins with ${excerpt(text)}.`);
  }
}

/**
 * Decodes one frame.
 *
 * @param text text of one frame: a JSON object
 * @throws {PushError} as {@linkcode parseJson}; `bad_frame` if the JSON is no object
 */
export function decodeFrame(text: string, maxNesting: number = MAX_NESTING): Decoded {
  return asFrame(parseJson(text, maxNesting), text);
}

/**
 * Decodes a frame that may be a batch: one JSON object, or an array of them.
 *
 * @param text text of one WebSocket frame
 * @throws {PushError} as {@linkcode decodeFrame}; nothing of a batch counts if a part is no object
 */
export function decodeBatch(text: string, maxNesting: number = MAX_NESTING): Decoded[] {
  // The array around a batch is none of the frames' nesting.
  const isArray = text[skipSpace(text, 0)] === "[";
  const value = parseJson(text, isArray ? maxNesting + 1 : maxNesting);
  if (!Array.isArray(value)) return [asFrame(value, text)];
  const texts = elementTexts(text);
  return value.map((element, index) => asFrame(element, texts[index]));
}

/**
 * Exact JSON text of one member of a decoded frame, so that a payload passes through as it was
 * written: no number loses digits, no key changes its order.
 *
 * @param decoded a decoded frame
 * @param key name of the member; the last one of that name counts, as for `JSON.parse`
 * @returns the text, or `undefined` if there is no such member
 */
export function memberText(decoded: Decoded, key: string): string | undefined {
  if (!Object.hasOwn(decoded.frame, key)) return undefined;
  const { text } = decoded;
  let found: string | undefined;
  let at = skipSpace(text, 0) + 1;
  while (true) {
    at = skipSpace(text, at);
    if (text[at] !== '"') break;
    const keyEnd = endOfString(text, at);
    const quoted = text.slice(at, keyEnd);
    // An escape may spell the same name in another way.
    const name = quoted.includes("\\") ? JSON.parse(quoted) : quoted.slice(1, -1);
    at = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, at);
    if (name === key) found = text.slice(at, end);
    at = skipSpace(text, end);
    if (text[at] !== ",") break;
    at++;
  }
  return found;
}

/** Beginning of hostile text, safe to show: printable, quoted, short. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
    .replace(/[\u007f-\uffff]/g, (c) => c === "…" ? c : "?");
}

function asFrame(value: Json, text: string): Decoded {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new PushError("bad_frame", `A frame is a JSON object: found ${excerpt(text)}.`);
  }
  return { frame: value, text };
}

/** Deepest nesting of brackets outside strings, counted up to one more than `limit`. */
function nestingOf(text: string, limit: number): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      i = endOfString(text, i) - 1;
    } else if (c === 0x7b || c === 0x5b) {
      if (++depth > deepest) deepest = depth;
      if (deepest > limit) break;
    } else if (c === 0x7d || c === 0x5d) {
      depth--;
    }
  }
  return deepest;
}

// The scanners below run only over text that JSON.parse has accepted.

/**
 * Exact JSON texts of the elements of an array.
 *
 * @param text JSON text of an array that {@linkcode parseJson} has accepted
 */
export function elementTexts(text: string): string[] {
  const texts: string[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (at < text.length && text[at] !== "]") {
    const end = endOfValue(text, at);
    texts.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return texts;
}

function skipSpace(text: string, at: number): number {
  while (at < text.length && text.charCodeAt(at) <= 0x20) at++;
  return at;
}

/** Index after the closing quote of the string that begins at `at`. */
function endOfString(text: string, at: number): number {
  for (let from = at + 1;;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) return text.length;
    let escapes = 0;
    while (text.charCodeAt(quote - 1 - escapes) === 0x5c) escapes++;
    if (escapes % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}

/** Index after the value that begins at `at`. */
function endOfValue(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      i = endOfString(text, i) - 1;
      if (depth === 0) return i + 1;
    } else if (c === 0x7b || c === 0x5b) {
      depth++;
    } else if (c === 0x7d || c === 0x5d) {
      if (depth === 0) return i;
      if (--depth === 0) return i + 1;
    } else if (depth === 0 && (c === 0x2c || c <= 0x20)) {
      return i;
    }
  }
  return text.length;
}
