/**
 * Attacks by guessing.
 *
 * @module
 */
import { type Attack, timer } from "./attack.ts";
import { AttackSocket, postRequest, upgradeRequest } from "./socket.ts";

/** Tokens and poll tokens, guessed over many connections. */
export const guesses: Attack = {
  name: "guesses",
  says: "tokens and poll tokens guessed without a pause over 32 connections",
  async run(field) {
    const isOver = timer(field);
    const codes = new Map<string, number>();
    let guessed = 0;
    const guess = async (request: () => string) => {
      while (!isOver()) {
        const socket = await AttackSocket.connect(field).catch(() => undefined);
        if (socket === undefined) continue;
        // As long as the gateway keeps the connection.
        for (let n = 0; n < 100 && !socket.seen.isGone && !isOver(); n++) {
          await socket.ask(request());
          guessed++;
        }
        for (const [code, count] of socket.seen.codes) {
          codes.set(code, (codes.get(code) ?? 0) + count);
        }
        socket.destroy();
      }
    };
    await Promise.all(
      Array.from({ length: 32 }, (_, i) => guess(i % 2 ? pollRequest : wrongUpgrade)),
    );
    const told = [...codes].sort(([, a], [, b]) => b - a).map(([code, n]) => `${n} \`${code}\``);
    return `${guessed} guesses, answered ${told.join(", ")}`;
  },
};

function wrongUpgrade(): string {
  return upgradeRequest(crypto.randomUUID());
}

function pollRequest(): string {
  const body = JSON.stringify({ poll_token: crypto.randomUUID().replaceAll("-", ""), timeout: 0 });
  return postRequest("/api/push/poll/messages", body);
}
