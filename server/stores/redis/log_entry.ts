/**
 * How messages and states are written in Redis (`log_lua.ts`), and how they are read: whatever
 * another program has left there is told apart, never trusted.
 *
 * @module
 */
import { isEpoch, isSeq } from "@push/client/protocol";
import { messageBytes } from "../memory/bytes.ts";
import type { Draft, Era, LogState, StoredMessage } from "../store.ts";

/** A state as scripts return it. */
export interface Told {
  /** The state. */
  readonly state: LogState & { readonly time: number };
  /** Whether the script made the channel. */
  readonly isNew: boolean;
  /** Entries and values that it could not read, and has let go of. */
  readonly quarantined: number;
}

/** What an entry says of a draft beside its payload: the end of the JSON list in `m`. */
export function headerOf({ id, origin, source }: Draft): string {
  return `${id === undefined ? "null" : JSON.stringify(id)},${text(origin)},${text(source)}`;
}

/**
 * Reads a message.
 *
 * @param m the field `m` of its entry
 * @param payload the field `p`
 * @returns `undefined` if no version of Push wrote that
 */
export function decodeMessage(
  seq: number,
  m: unknown,
  payload: unknown,
): StoredMessage | undefined {
  if (typeof m !== "string" || typeof payload !== "string") return undefined;
  const list = parsed(m);
  if (!Array.isArray(list) || list.length !== 5 || parsed(payload) === undefined) return undefined;
  const [at, sum, id, origin, source] = list;
  if (!isSeq(at) || !isSeq(sum) || !isText(id) || !isText(origin) || !isText(source)) {
    return undefined;
  }
  const bytes = messageBytes(payload);
  return { ...(id === null ? {} : { id }), seq, at, bytes, origin, source, payload };
}

/** Reads an entry's number; `undefined` if another program gave the id. */
export function seqOf(id: unknown): number | undefined {
  const digits = typeof id === "string" ? /^(\d{1,16})-0$/.exec(id)?.[1] : undefined;
  const seq = Number(digits);
  return digits !== undefined && isSeq(seq) ? seq : undefined;
}

/** Reads a state. @throws {TypeError} if that is none, which only a foreign server can give */
export function toldOf(answer: unknown): Told {
  const words = typeof answer === "string" ? answer.split(" ") : [];
  // What is spoiled among the earlier epochs is left out: a position of such a one has a gap.
  const eras = words[6]?.match(/\b[a-z0-9]{1,32}:\d{1,15}(?:\?|\b)/g)?.join(",") ?? "";
  const state = words.length < 7 ? undefined : stateOf([...words.slice(0, 4), eras]);
  if (state === undefined) {
    throw new TypeError(`Cannot read a channel's state as Redis answered '${answer}'`);
  }
  return { state, isNew: words[4] === "1", quarantined: Number(words[5]) };
}

/** Reads epoch, head, oldest, time and earlier epochs; `undefined` if they are not. */
export function stateOf(words: readonly string[]): Told["state"] | undefined {
  const [epoch, ...rest] = words;
  const [head, oldest, time] = rest.map(Number);
  if (!isEpoch(epoch) || !isSeq(head) || !isSeq(oldest) || !isSeq(time)) return undefined;
  if (oldest < 1 || oldest > head + 1 || words.length !== 5) return undefined;
  const state = { epoch, head, oldest, time };
  if (words[4] === "") return state;
  const earlier: Era[] = [];
  for (const era of words[4].split(",")) {
    const [, name, base, mark] = /^([^:]*):(\d+)(\??)$/.exec(era) ?? [];
    if (!isEpoch(name) || !isSeq(Number(base))) return undefined;
    const found = { epoch: name, base: Number(base) };
    earlier.push(mark === "" ? found : { ...found, isLossy: true });
  }
  return { ...state, earlier };
}

function text(value: string | null): string {
  return value === null ? "null" : JSON.stringify(value);
}

function isText(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
