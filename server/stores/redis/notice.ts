import type { LogNotice } from "../cluster.ts";
import type { StoredMessage } from "../store.ts";
import { decodeMessage, stateOf } from "./log_entry.ts";

/** Between the parts of a notice. No JSON text has it: there it is written as an escape. */
export const SEPARATOR = "\u001e";

/** Bytes of messages that a notice carries at most; followers read the rest from the log. */
export const NOTICE_BYTES = 65_536;

const MARK = "push1";

/**
 * Reads what an append has told those who follow the channel: the state, and the messages if they
 * were small enough.
 *
 * @returns `undefined` if it is not from Push, or from another version
 */
export function decodeNotice(text: string): LogNotice | undefined {
  if (!text.startsWith(MARK)) return undefined;
  const [first, ...parts] = text.split(SEPARATOR);
  const [mark, ...words] = first.split(" ");
  const state = stateOf(words);
  if (mark !== MARK || state === undefined || parts.length % 2 !== 0) return undefined;
  const count = parts.length / 2;
  if (count > state.head) return undefined;
  const messages: StoredMessage[] = [];
  for (let i = 0; i < count; i++) {
    const message = decodeMessage(state.head - count + 1 + i, parts[2 * i], parts[2 * i + 1]);
    if (message === undefined) return undefined;
    messages.push(message);
  }
  return { ...state, messages };
}
