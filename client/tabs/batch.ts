import { type Incoming, readIncoming } from "../incoming.ts";

/** The frames in a text that a tab sends. */
export function framesOf(text: string): Incoming[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const values: unknown[] = Array.isArray(value) ? value : [value];
  return values.map(readIncoming).filter((frame) => frame !== undefined);
}

/**
 * Frames of the gateway, with messages that came together by their numbers. After a reconnect it
 * begins with those that were refused; to a tab that has not heard of what is before them it would
 * seem that they are all.
 */
export function inOrder(values: readonly unknown[]): Incoming[] {
  const frames = values.map(readIncoming).filter((frame) => frame !== undefined);
  const isMessage = ({ type }: Incoming): boolean => type === "channel_message";
  const result: Incoming[] = [];
  for (let i = 0; i < frames.length;) {
    const begin = i++;
    while (i < frames.length && isMessage(frames[begin]) && isMessage(frames[i])) i++;
    const run = frames.slice(begin, i);
    result.push(...run.length > 1 ? run.sort((a, b) => Number(a.seq) - Number(b.seq)) : run);
  }
  return result;
}
