import { assert, assertEquals } from "@std/assert";
import type { PresenceDiffFrame } from "@push/client/protocol";
import { Dialog } from "../../server/dialog/dialog.ts";
import type { Session } from "../../server/session/session.ts";
import type { Connection } from "../../server/transports/connection.ts";
import { Gathering } from "../../server/transports/gathered.ts";
import { type Socket, WebSocketConnection } from "../../server/transports/websocket.ts";
import { inWorld, numbers, type World } from "./harness.ts";

/** A socket that tells what is sent, and whose buffer, if it has one, the test empties. */
class FakeSocket implements Socket {
  readonly readyState = 1;
  bufferedAmount = 0;
  isSlow = false;
  closedAs: string | undefined;
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

/** A connection that nobody listens to. */
const DEAF: Connection = {
  transport: "websocket",
  capacity: 0,
  send() {},
  close() {},
  barred() {},
};

/** A member of many channels; what it says is heard at once. */
async function member(w: World, name: string, channels: readonly string[]): Promise<Session> {
  const identity = { subject: "anonymous" };
  const asked = { identity, name, ttl: 0, wire: "extended" } as const;
  const { session } = await w.hub.attach(asked, DEAF);
  const subscribed = channels.map((channel) => session.subscribe(channel, {}, DEAF));
  for (const { start } of await Promise.all(subscribed)) start();
  return session;
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
    shut: (code) => {
      socket.closedAs = code;
      dialog.closed(1006, false);
    },
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

Deno.test(
  "nobody is closed for what is told of presence, and who reads fast hears of all",
  inWorld({}, async (w) => {
    const channels = numbers(1, 64).map((n) => `channel${n}`);
    const members = await Promise.all(numbers(1, 100).map((n) => member(w, `m${n}`, channels)));
    const clients = [10_000, 500].map((bytesPerMillisecond) => {
      const heard = { updates: 0, pongs: 0, messages: 0 };
      const { socket, dialog, end } = connect(w, (text) => {
        for (const frame of [JSON.parse(text)].flat()) {
          if (frame.type === "pong") heard.pongs++;
          else if (frame.type === "channel_message") heard.messages++;
          else if (frame.type === "presence_diff") {
            heard.updates += (frame as PresenceDiffFrame).updates.length;
          }
        }
      });
      socket.isSlow = true;
      const subscriptions = channels.map((channel) => ({ channel }));
      const instance = `${bytesPerMillisecond}`;
      const hello = { type: "connect", version: 1, instance, attempt: 1, subscriptions };
      dialog.receive(JSON.stringify(hello));
      return { socket, dialog, end, heard, bytesPerMillisecond };
    });
    const pass = async (seconds: number) => {
      for (let passed = 0; passed < seconds * 1000; passed += 10) {
        await w.pass(10);
        for (const { socket, bytesPerMillisecond } of clients) {
          const left = socket.bufferedAmount - 10 * bytesPerMillisecond;
          socket.bufferedAmount = Math.max(left, 0);
        }
      }
    };
    await pass(2);
    const metadata = { text: "x".repeat(900) };
    for (let second = 1; second <= 6; second++) {
      // Some 6 MB for each of those who are there.
      for (const each of members) w.hub.presence.heartbeat(each, `busy ${second}`, metadata);
      await pass(1);
      if (second === 3) await w.publish("channel1", "here I am");
      if (second === 4) { for (const { dialog } of clients) dialog.receive('{"type":"ping"}'); }
    }
    const [fast, slow] = clients.map(({ socket, heard }) => ({ ...heard, as: socket.closedAs }));
    assertEquals(fast, { updates: 38_400, pongs: 1, messages: 1, as: undefined });
    assertEquals([slow.pongs, slow.messages, slow.as], [1, 1, undefined]);
    assert(slow.updates > 0 && slow.updates < 38_400, `heard of ${slow.updates}`);
    for (const { end } of clients) end();
    await w.settle();
  }),
);

for (const channels of [["calm", "busy"], ["busy", "calm"]]) {
  Deno.test(
    `a channel with always more than a client's share holds back no other (${channels})`,
    inWorld({ delivery: { enabled: false } }, async (w) => {
      let text = "";
      const { dialog, end } = connect(w, (more) => text += more);
      for (const channel of channels) {
        dialog.receive(JSON.stringify({ type: "channel.subscribe", channel }));
      }
      await w.settle();
      const publish = (channel: string, data: unknown[]) =>
        Promise.all(data.map((each) => w.hub.publish(channel, JSON.stringify(each), {})));
      await publish("busy", numbers(1, 100));
      await publish("calm", ["it is calm"]);
      for (let n = 0; !text.includes("it is calm"); n++) {
        assert(n < 100, "calm waits for ever");
        await publish("busy", numbers(1, 100));
        await w.clock.turn();
      }
      end();
      await w.settle();
    }),
  );
}
