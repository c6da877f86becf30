/**
 * What an attack is, and what attackers share.
 *
 * @module
 */
import { codeOfClose } from "../../client/protocol/mod.ts";
import type { AttackSocket, Target } from "./socket.ts";

/** The token of the gateways that are attacked. */
export const TOKEN = "a-token-of-the-attacked";

/** Where an attack takes place. */
export interface Field extends Target {
  /** Part of the whole attack that is made: 1 is all of it. */
  readonly scale: number;
  /** Milliseconds after which it ends by itself. */
  readonly duration: number;
}

/** One attack. It runs in a process of its own. */
export interface Attack {
  readonly name: string;
  /** What the attacker does, as a row of the table begins. */
  readonly says: string;
  /** Most MiB of memory that the gateway may have, if that is more than for others. */
  readonly memory?: number;
  /** Milliseconds that it takes to see how it ends, if that is more than others get. */
  readonly lasts?: number;
  /** What the built-in transport cannot hold, and why; nothing if it can. */
  readonly unheld?: string;
  /** Attacks; resolves to how that ended, in words. */
  run(field: Field): Promise<string>;
}

/** How sockets ended, in words: every ending with how many had it. */
export function endings(sockets: readonly AttackSocket[]): string {
  const counts = new Map<string, number>();
  for (const socket of sockets) {
    const ending = endingOf(socket);
    counts.set(ending, (counts.get(ending) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.map(([ending, count]) => sockets.length > 1 ? `${count} ${ending}` : ending)
    .join(", ");
}

function endingOf({ seen: { status, close, isGone, codes } }: AttackSocket): string {
  if (close !== undefined) {
    const code = codeOfClose(close);
    return code === undefined ? `closed with ${close}` : `closed with ${close} \`${code}\``;
  }
  if (status !== undefined && status !== 101) {
    const [code] = codes.keys();
    return code === undefined ? `answered ${status}` : `answered ${status} \`${code}\``;
  }
  return isGone ? "dropped" : "left open";
}

/** Whether the time of an attack is over. */
export function timer({ duration }: Field): () => boolean {
  const end = performance.now() + duration;
  return () => performance.now() >= end;
}
