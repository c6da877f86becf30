/**
 * Attacks by not reading.
 *
 * @module
 */
import { type Attack, endings, timer, TOKEN } from "./attack.ts";
import { AttackSocket, frame, sleep } from "./socket.ts";

/** Readers that subscribe, read nothing, and ask without end. */
export const slowReaders: Attack = {
  name: "slow-readers",
  says: "20 subscribers of a channel with 40 kB a message that read nothing and ask without end",
  async run(field) {
    const count = Math.ceil(20 * field.scale);
    const readers = await Promise.all(
      Array.from({ length: count }, () => AttackSocket.upgrade(field, TOKEN)),
    );
    const subscribe = frame('{"type":"channel.subscribe","channel":"flow"}');
    const asks = frame('{"type":"presence.query","channel":"flow"}');
    for (const reader of readers) {
      await reader.write(subscribe);
      await sleep(20);
      reader.deafen();
    }
    const publisher = await AttackSocket.upgrade(field, TOKEN);
    const data = JSON.stringify("x".repeat(40_000));
    const publish = frame(`{"type":"channel.publish","channel":"flow","data":${data}}`);
    const isOver = timer(field);
    while (!isOver()) {
      await publisher.write(publish);
      for (const reader of readers) reader.write(asks);
      await sleep(10);
    }
    await Promise.all(readers.map((reader) => reader.listenToTheEnd(1500)));
    return endings(readers);
  },
};
