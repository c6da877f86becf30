/**
 * Sends recorded frames to whoever connects, as a gateway would: first the answer to `connect`, then
 * all messages. They were recorded on a real gateway, once with each message in a frame of its own
 * (`/single/ws`) and once as a busy gateway sends them (`/batch/ws`). What comes to `/endless/ws`
 * gets the same messages again and again under new numbers, and more only once it has acknowledged
 * what it has.
 */
import { Gateway } from "../mod.ts";

const CHANNEL = "bench";
const PADDING = "x".repeat(64);
/** Publishes in one turn of the event loop, where the gateway is busy. */
const TURN = 32;
/** Messages of the endless replay that wait for their acknowledgement. */
const WINDOW = 1024;

interface Recording {
  /** The answer to `connect`. */
  readonly connected: string;
  readonly frames: readonly string[];
}

const count = Number(Deno.args[0]);
const recordings = new Map([
  ["/single/ws", await record(1)],
  ["/batch/ws", await record(TURN)],
]);

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`port ${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  const { pathname } = new URL(request.url);
  const recording = recordings.get(pathname) ?? recordings.get("/batch/ws")!;
  const endless = pathname === "/endless/ws" ? messagesOf(recording) : undefined;
  let open = 0;
  const more = (): void => {
    if (!endless) return;
    const messages = [];
    for (; open < WINDOW; open++) messages.push(endless.next().value);
    for (let i = 0; i < messages.length; i += TURN) {
      socket.send(JSON.stringify(messages.slice(i, i + TURN)));
    }
  };
  socket.onmessage = ({ data }) => {
    const value = JSON.parse(data);
    for (const frame of Array.isArray(value) ? value : [value]) {
      if (frame.type === "connect") {
        socket.send(recording.connected);
        if (!endless) { for (const each of recording.frames) socket.send(each); }
        more();
      } else if (frame.type === "ack") {
        for (const { ranges } of frame.acks) {
          for (let i = 0; i < ranges.length; i += 2) open -= ranges[i + 1] - ranges[i] + 1;
        }
        more();
      } else if (frame.type === "ping" || frame.type === "presence.heartbeat") {
        socket.send('{"type":"pong"}');
      }
    }
  };
  return response;
});

/** What a gateway sends of so many publishes, with `turn` of them at a time. */
async function record(turn: number): Promise<Recording> {
  const limits = { frameRate: 0, publishRate: 0 };
  await using gateway = new Gateway({ port: 0, push: { enabled: true, limits } });
  await gateway.start();
  const frames: string[] = [];
  let connected = "";
  let seen = 0;
  const ready = Promise.withResolvers<void>();
  let caughtUp = Promise.withResolvers<void>();
  let published = 0;
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.address.port}/ws`);
  const connect = { version: 1, instance: "recorder", attempt: 1 };
  const subscriptions = [{ channel: CHANNEL }];
  socket.onopen = () => socket.send(JSON.stringify({ type: "connect", ...connect, subscriptions }));
  socket.onerror = () => ready.reject(new Error("The gateway cannot be recorded."));
  socket.onmessage = ({ data }) => {
    const value = JSON.parse(data);
    const batch = Array.isArray(value) ? value : [value];
    if (batch[0].type === "connected") {
      connected = data;
      return ready.resolve();
    }
    // Of presence nothing is recorded.
    if (batch[0].type !== "channel_message") return;
    frames.push(data);
    seen += batch.length;
    const { channel, epoch, seq } = batch.at(-1);
    socket.send(JSON.stringify({ type: "ack", acks: [{ channel, epoch, upto: seq }] }));
    if (seen === published) caughtUp.resolve();
  };
  await ready.promise;
  while (published < count) {
    caughtUp = Promise.withResolvers();
    const publishes = [];
    for (const end = Math.min(published + turn, count); published < end;) {
      const data = { n: ++published, text: PADDING };
      publishes.push(gateway.publish(CHANNEL, data, { id: crypto.randomUUID() }));
    }
    await Promise.all(publishes);
    await caughtUp.promise;
  }
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close(1000);
  await closed;
  return { connected, frames };
}

/** The recorded messages one by one, without an end, under new numbers and ids. */
function* messagesOf({ frames }: Recording): Generator<unknown, never> {
  for (let n = 0;;) {
    for (const text of frames) {
      const value = JSON.parse(text);
      for (const frame of Array.isArray(value) ? value : [value]) {
        const seq = ++n;
        const event_id = `${frame.epoch}:${seq}:${frame.channel}`;
        yield { ...frame, data: { ...frame.data, n }, seq, event_id, id: crypto.randomUUID() };
      }
    }
  }
}
