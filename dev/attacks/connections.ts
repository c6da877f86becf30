/**
 * Attacks with connections that come to nothing.
 *
 * @module
 */
import { type Attack, endings, timer } from "./attack.ts";
import { AttackSocket, sleep } from "./socket.ts";

/** Connections that send their header bit by bit. */
export const slowHeaders: Attack = {
  name: "slow-headers",
  says: "900 connections that send a header a few bytes a second and never end it",
  // A server that ends them does so after ten seconds, and looks for them every two.
  lasts: 14_000,
  async run(field) {
    const sockets = await openAll(900 * field.scale, () => AttackSocket.connect(field));
    await Promise.all(sockets.map((socket) => socket.write("GET /ws HTTP/1.1\r\nHost: a\r\n")));
    const isOver = timer(field);
    for (let n = 0; !isOver(); n++) {
      await Promise.all(sockets.map((socket) => socket.write(`X-${n}: 1\r\n`)));
      await sleep(500);
    }
    return endings(sockets);
  },
};

/** Connections that are upgraded and then say nothing. */
export const silentHandshakes: Attack = {
  name: "silent-handshakes",
  says: "2000 WebSockets that are opened without a token and then say nothing",
  async run(field) {
    const sockets = await openAll(
      2000 * field.scale,
      () => AttackSocket.upgrade(field, undefined),
    );
    const isOver = timer(field);
    while (!isOver() && sockets.some(({ seen }) => !seen.isGone)) await sleep(100);
    return endings(sockets);
  },
};

/** Opens connections, 50 at a time; one that is not let in at all is left out. */
async function openAll(
  count: number,
  open: () => Promise<AttackSocket>,
): Promise<AttackSocket[]> {
  const sockets: AttackSocket[] = [];
  while (count > 0) {
    const some = Array.from({ length: Math.min(50, Math.ceil(count)) }, open);
    const opened = await Promise.allSettled(some);
    for (const each of opened) if (each.status === "fulfilled") sockets.push(each.value);
    count -= some.length;
  }
  return sockets;
}
