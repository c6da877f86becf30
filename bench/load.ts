/**
 * The load generator: one process with many subscribers and one publisher. It speaks to the gateway
 * in the fixed wire, or as `@push/client` does, and to the bare loop in no wire at all; it checks
 * that every subscriber got every message, once, in order.
 */
type Wire = "bare" | "fixed" | "extended";

interface Plan {
  readonly wire: Wire;
  readonly port: number;
  readonly subscribers: number;
  readonly messages: number;
  /** Messages that the publisher has unanswered. */
  readonly inFlight: number;
  readonly acknowledge: boolean;
}

const PADDING = "x".repeat(64);
await run(JSON.parse(Deno.args[0]));

async function run({ wire, port, subscribers, messages, inFlight, acknowledge }: Plan) {
  const expected = subscribers * messages;
  let received = 0;
  let wrong = 0;
  let epoch = "";
  const { promise: complete, resolve: onComplete } = Promise.withResolvers<void>();
  for (let i = 0; i < subscribers; i++) {
    let last = 0;
    await open(wire, port, "sub", i, (text, answer) => {
      // Notices of presence name no epoch.
      if (wire === "extended" && epoch === "") epoch = /"epoch":"(\w+)"/.exec(text)?.[1] ?? "";
      const before = last;
      // Frames are compared by what the publisher wrote, without parsing: the receiver must not be
      // what is measured.
      for (let at = text.indexOf('"n":'); at >= 0; at = text.indexOf('"n":', at + 4)) {
        const n = parseInt(text.slice(at + 4, at + 12));
        if (n !== last + 1) wrong++;
        last = n;
        received++;
      }
      if (acknowledge && last > before) {
        answer(
          `{"type":"ack","acks":[{"channel":"bench","epoch":"${epoch}","ranges":[${
            before + 1
          },${last}]}]}`,
        );
      }
      if (received >= expected) onComplete();
    });
  }
  console.log("ready");
  if (messages === 0) return;
  await go();
  const started = performance.now();
  await publish(wire, port, messages, inFlight);
  await complete;
  const seconds = (performance.now() - started) / 1000;
  // Whatever comes too often comes now.
  await new Promise((resolve) => setTimeout(resolve, 100));
  console.log(`done ${JSON.stringify({ seconds, received, expected, wrong })}`);
}

async function publish(wire: Wire, port: number, messages: number, inFlight: number) {
  let sent = 0;
  let answered = 0;
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const next = (send: (text: string) => void) => {
    sent++;
    const data = `{"n":${String(sent).padStart(8)},"p":"${PADDING}"}`;
    send(wire === "bare" ? data : `{"type":"channel.publish","channel":"bench","data":${data}}`);
  };
  const socket = await open(wire, port, "pub", 0, (text, answer) => {
    const answers = wire === "bare" ? 1 : text.split('"channel.published"').length - 1;
    for (let i = 0; i < answers; i++) {
      answered++;
      if (sent < messages) next(answer);
    }
    if (answered >= messages) resolve();
  });
  for (let i = 0; i < Math.min(inFlight, messages); i++) next((text) => socket.send(text));
  await all;
}

function open(
  wire: Wire,
  port: number,
  role: "sub" | "pub",
  index: number,
  onText: (text: string, answer: (text: string) => void) => void,
): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${wire === "bare" ? role : "ws"}`);
  const answer = (text: string) => socket.send(text);
  return new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("A connection failed."));
    socket.onopen = () => {
      if (wire === "fixed") {
        socket.send('{"type":"ping"}');
        if (role === "sub") socket.send('{"type":"channel.subscribe","channel":"bench"}');
      } else if (wire === "extended") {
        const subscriptions = role === "sub" ? '[{"channel":"bench"}]' : "[]";
        socket.send(
          `{"type":"connect","version":1,"instance":"${role}${index}","attempt":1,"subscriptions":${subscriptions}}`,
        );
      }
    };
    const ready = wire === "bare"
      ? '"ready"'
      : wire === "extended"
      ? '"connected"'
      : role === "sub"
      ? '"channel.subscribed"'
      : '"pong"';
    let isReady = false;
    socket.onmessage = ({ data }) => {
      if (isReady) return onText(data, answer);
      if (!data.includes(ready)) return;
      isReady = true;
      resolve(socket);
    };
  });
}

/** Waits until the bench has looked at the server. */
async function go(): Promise<void> {
  await Deno.stdin.read(new Uint8Array(1));
}
