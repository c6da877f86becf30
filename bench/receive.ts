/**
 * Receives what `replay.ts` sends, with a bare WebSocket or with `@push/client`, and checks that
 * every message came once and in order. Arguments: `bare` or `push`, the address, how many messages,
 * and whether to say how large the heap is after each tenth of them.
 *
 * For each line on its standard input it receives all of them once, and prints how long that took.
 */
import { PushClient } from "@push/client";

const [kind, url, messages, heap] = Deno.args;
const count = Number(messages);
const { gc } = globalThis as { gc?: () => void };

for await (const _ of Deno.stdin.readable) {
  const begun = performance.now();
  await (kind === "bare" ? bare() : push());
  console.log(`done ${(performance.now() - begun) / 1000}`);
}

/** The least that a program can do with these frames. */
function bare(): Promise<void> {
  const socket = new WebSocket(url);
  return new Promise((resolve, reject) => {
    const take = counter(() => {
      socket.onclose = () => resolve();
      socket.close(1000);
    });
    socket.onopen = () =>
      socket.send('{"type":"connect","version":1,"instance":"b","attempt":1,"subscriptions":[]}');
    socket.onclose = () => reject(new Error("The connection was lost."));
    socket.onmessage = ({ data }) => {
      const value = JSON.parse(data);
      if (!Array.isArray(value)) {
        if (value.type === "channel_message") take(value.data);
        return;
      }
      for (const frame of value) take(frame.data);
    };
  });
}

async function push(): Promise<void> {
  const client = new PushClient(url, { fallbackToPolling: false });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const take = counter(resolve);
  client.on("error", ({ error }) => reject(error));
  client.on("gap", () => reject(new Error("Messages are lost.")));
  const subscribing = client.subscribe<{ n: number }>("bench", ({ data }) => take(data));
  await client.connect();
  await subscribing;
  await promise;
  await client.disconnect();
}

/** Counts messages, which have to come one after the other. @param done called with the last */
function counter(done: () => void): (data: { readonly n: number }) => void {
  let last = 0;
  return ({ n }) => {
    if (n !== ++last) {
      console.error(`Message ${n} came where ${last} was due.`);
      Deno.exit(1);
    }
    if (heap && n % (count / 10) === 0) {
      gc?.();
      console.log(`heap ${Deno.memoryUsage().heapUsed}`);
    }
    if (n === count) done();
  };
}
