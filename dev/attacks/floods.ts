/**
 * Attacks with more than anybody asks for.
 *
 * @module
 */
import { type Attack, endings, type Field, timer, TOKEN } from "./attack.ts";
import { AttackSocket, frame, sleep } from "./socket.ts";

/** Publishes from one socket as fast as it takes them. */
export const publishFlood: Attack = {
  name: "publish-flood",
  says: "100 000 publishes a second from one socket",
  run: (field) => flood(field, 100_000, () => "flood"),
};

/** Publishes that each make a channel. */
export const manyChannels: Attack = {
  name: "many-channels",
  says: "publishes to new channels without end, 9000 a second from one socket",
  run: (field) => flood(field, 9_000, (n) => `many:${n}`),
};

/** Publishes so many times a second, as long as it is let. */
async function flood(
  field: Field,
  rate: number,
  channel: (n: number) => string,
): Promise<string> {
  const socket = await AttackSocket.upgrade(field, TOKEN);
  const isOver = timer(field);
  const most = 1_000_000 * field.scale;
  const started = performance.now();
  let sent = 0;
  let goesOn = true;
  while (sent < most && goesOn && !isOver()) {
    const frames: Uint8Array[] = [];
    for (let i = 0; i < 1000; i++, sent++) {
      frames.push(frame(`{"type":"channel.publish","channel":"${channel(sent)}","data":${sent}}`));
    }
    goesOn = await socket.write(joined(frames));
    const ahead = 1000 * sent / rate - (performance.now() - started);
    if (ahead > 0) await sleep(ahead);
  }
  const seconds = (performance.now() - started) / 1000;
  await socket.listenToTheEnd(2000);
  const codes = [...socket.seen.codes.keys()].map((code) => `\`${code}\``).join(", ");
  const refusals = codes === "" ? "" : `, answered ${codes}`;
  return `${endings([socket])} after ${sent / 1000} k publishes in ${
    seconds.toFixed(1)
  } s${refusals}`;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
