import type { DeadLetter } from "../store.ts";
import { readLetterId } from "./letter_lua.ts";
import { readMessage, writeMessage } from "./position_text.ts";

/** Writes a dead letter: what its name does not say, and behind a line break the message. */
export function writeLetter({ attempts, reason, at, message }: DeadLetter): string {
  return `${attempts} ${reason} ${at}\n${writeMessage(message)}`;
}

/** Reads a dead letter; `undefined` if nobody can. */
export function readLetter(channel: string, id: string, text: string): DeadLetter | undefined {
  const about = readLetterId(id);
  const [head, attempts, reason, at] = /^(\d+) (timeout|nack) (\d+(?:\.\d+)?)\n/.exec(text) ?? [];
  if (about === undefined || head === undefined) return undefined;
  const message = readMessage(text.slice(head.length));
  if (message?.seq !== about.seq) return undefined;
  return {
    session: about.session,
    channel,
    epoch: about.epoch,
    message,
    attempts: Number(attempts),
    reason: reason as DeadLetter["reason"],
    at: Number(at),
  };
}
