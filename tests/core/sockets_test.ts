import { assert, assertEquals } from "@std/assert";
import { Dialog } from "../../server/dialog/dialog.ts";
import { Gathering } from "../../server/transports/gathered.ts";
import { type Socket, WebSocketConnection } from "../../server/transports/websocket.ts";
import { inWorld, numbers, type World } from "./harness.ts";

/** A socket that tells what is sent, and whose buffer, if it has one, the test empties. */
class FakeSocket implements Socket {
  readonly readyState = 1;
  bufferedAmount = 0;
  isSlow = false;
  readonly #sent: (text: string) => void;

  constructor(sent: (text: string) => void) {
    this.#sent = sent;
  }

  send(text: string): void {
    this.#sent(text);
    if (this.isSlow) this.bufferedAmount += text.length;
  }

  close(): void {}
}

/** A client of the hub over a socket. */
function connect(w: World, sent: (text: string) => void) {
  const { clock, turn, metrics, limits } = w.hub.context;
  const socket = new FakeSocket(sent);
  const connection = new WebSocketConnection(socket, {
    clock,
    turn,
    metrics,
    texts: new Gathering(turn),
    batches: new Gathering(turn),
    maxBufferedBytes: 4 * 1024 * 1024,
    buffers: limits.buffers,
  }, {
    get behind() {
      return dialog.behind;
    },
    drained: () => dialog.drained(),
    shut: () => dialog.closed(1006, false),
  });
  const dialog: Dialog = new Dialog(w.hub, w.authenticator, connection, {
    identity: { subject: "anonymous" },
    onExtended: () => connection.batch(),
    onHandled: () => connection.handled(),
  });
  const end = () => {
    connection.gone();
    dialog.closed(1006);
  };
  return { socket, dialog, end };
}

for (const channels of [["calm", "busy"], ["busy", "calm"]]) {
  Deno.test(
    `a channel with always more than a slow socket takes holds back no other (${channels})`,
    inWorld({ delivery: { enabled: false } }, async (w) => {
      let text = "";
      const { socket, dialog, end } = connect(w, (more) => text += more);
      socket.isSlow = true;
      const subscriptions = channels.map((channel) => ({ channel }));
      const hello = { type: "connect", version: 1, instance: "i", attempt: 1, subscriptions };
      dialog.receive(JSON.stringify(hello));
      await w.settle();
      const much = Array.from({ length: 100 }, () => "x".repeat(1000));
      await w.publish("busy", ...much, ...much);
      await w.publish("calm", "it is calm");
      for (let n = 0; !text.includes("it is calm"); n++) {
        assert(n < 10, "calm waits for ever");
        await w.publish("busy", ...much);
        socket.bufferedAmount = 0;
        await w.pass(100);
      }
      end();
      await w.settle();
    }),
  );
}

Deno.test(
  "clients that get each message in a frame of its own take turns, however much waits for each",
  inWorld({}, async (w) => {
    const log: { who: string; data: unknown }[] = [];
    const clients = ["ann", "bob", "cid"].map((who) =>
      connect(w, (text) => {
        const { type, data } = JSON.parse(text);
        if (type === "channel_message") log.push({ who, data });
      })
    );
    for (const { dialog } of clients) dialog.receive('{"type":"channel.subscribe","channel":"a"}');
    await w.settle();
    await w.publish("a", ...numbers(1, 600));
    await w.settle();
    for (const who of ["ann", "bob", "cid"]) {
      assertEquals(log.filter((each) => each.who === who).map(({ data }) => data), numbers(1, 600));
    }
    const inARow = [0];
    log.forEach(({ who }, n) => who === log[n - 1]?.who ? inARow[0]++ : inARow.unshift(1));
    assert(Math.max(...inARow) < 100, `${Math.max(...inARow)} messages in a row for one`);
    for (const { end } of clients) end();
    await w.settle();
  }),
);
