import { assert } from "@std/assert";
import { Dialog } from "../../server/dialog/dialog.ts";
import { Gathering } from "../../server/transports/gathered.ts";
import { type Socket, WebSocketConnection } from "../../server/transports/websocket.ts";
import { inWorld } from "./harness.ts";

/** A socket whose buffer the test empties. */
class SlowSocket implements Socket {
  readonly readyState = 1;
  bufferedAmount = 0;
  text = "";

  send(text: string): void {
    this.text += text;
    this.bufferedAmount += text.length;
  }

  close(): void {}
}

for (const channels of [["calm", "busy"], ["busy", "calm"]]) {
  Deno.test(
    `a channel with always more than a slow socket takes holds back no other (${channels})`,
    inWorld({ delivery: { enabled: false } }, async (w) => {
      const { clock, turn, metrics, limits } = w.hub.context;
      const socket = new SlowSocket();
      const connection = new WebSocketConnection(socket, {
        clock,
        turn,
        metrics,
        texts: new Gathering(turn),
        batches: new Gathering(turn),
        maxBufferedBytes: 4 * 1024 * 1024,
        buffers: limits.buffers,
      }, { drained: () => dialog.drained(), shut: () => dialog.closed(1006, false) });
      const dialog = new Dialog(w.hub, w.authenticator, connection, {
        identity: { subject: "anonymous" },
        onExtended: () => connection.batch(),
      });
      const subscriptions = channels.map((channel) => ({ channel }));
      const connect = { type: "connect", version: 1, instance: "i", attempt: 1, subscriptions };
      dialog.receive(JSON.stringify(connect));
      await w.settle();
      const much = Array.from({ length: 100 }, () => "x".repeat(1000));
      await w.publish("busy", ...much, ...much);
      await w.publish("calm", "it is calm");
      for (let n = 0; !socket.text.includes("it is calm"); n++) {
        assert(n < 10, "calm waits for ever");
        await w.publish("busy", ...much);
        socket.bufferedAmount = 0;
        await w.pass(100);
      }
      connection.gone();
      dialog.closed(1006);
      await w.settle();
    }),
  );
}
