import { assert, assertEquals, assertMatch } from "@std/assert";
import { CODES, isCode } from "../../client/protocol/mod.ts";
import type { GatewayOptions } from "../../mod.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";
import { until, within } from "../support/within.ts";
import type { Line, Transport } from "./line.ts";

/** What a case has at hand. */
export class Trial implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #served: Served;
  readonly #lines = new Set<Line>();
  readonly #sockets = new AsyncDisposableStack();
  #attempts = 0;

  private constructor(transport: Transport, served: Served, readonly clock: SocketClock) {
    this.#transport = transport;
    this.#served = served;
  }

  /** Starts a gateway for one case. */
  static async begin(transport: Transport, options: GatewayOptions = {}): Promise<Trial> {
    const clock = new SocketClock();
    return new Trial(transport, await startGateway(options, { clock }), clock);
  }

  /** The gateway. */
  get gateway(): Served["gateway"] {
    return this.#served.gateway;
  }
  /** What the gateway calls the transport. */
  get transport(): string {
    return this.#transport.transport;
  }

  /** Opens a line as the client `ann`, unless told otherwise. */
  async line(connect: Frame = {}): Promise<Line> {
    const line = await this.#transport.open(this.#served, {
      type: "connect",
      version: 1,
      instance: "i1",
      attempt: ++this.#attempts,
      client_id: "ann",
      ...connect,
    });
    this.#lines.add(line);
    return line;
  }

  /** Opens a line that is subscribed to one channel; resolves to the channel's epoch, too. */
  async on(channel: string, connect: Frame = {}): Promise<[line: Line, epoch: string]> {
    const line = await this.line({ subscriptions: [{ channel }], ...connect });
    return [line, line.connected.subscriptions[0].epoch];
  }

  /** A client of the fixed wire, to talk with. */
  async other(name = "bob"): Promise<WireClient> {
    return this.#sockets.use(await WireClient.open(`${this.#served.ws}?client_id=${name}`));
  }

  /** Lets seconds pass, and lets every line show that it lives. */
  async pass(seconds: number): Promise<void> {
    for (let left = seconds; left > 0; left -= 10) {
      await this.clock.advance(Math.min(left, 10) * 1000);
      await Promise.all(
        [...this.#lines].map((line) => line.send({ type: "ping" }).catch(() => {})),
      );
    }
  }

  /** Breaks a line, and waits until the gateway has noticed. */
  async sever(line: Line): Promise<void> {
    this.#lines.delete(line);
    const transports = this.#transport.transport === "websocket";
    const gone = Promise.withResolvers<void>();
    const off = this.gateway.on("disconnected", () => gone.resolve());
    await line.sever();
    if (transports) await within(gone.promise, "the gateway to notice");
    off();
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#lines].map((line) => line[Symbol.asyncDispose]()));
    await this.#sockets.disposeAsync();
    await this.#served[Symbol.asyncDispose]();
  }
}

/** One case: a sentence, and what shows that it is true. */
export interface Case {
  readonly name: string;
  readonly options?: GatewayOptions;
  run(trial: Trial): Promise<void>;
}

const QUIET: GatewayOptions = { push: { presence: { broadcastChanges: false } } };
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => i + from);

async function take(line: Line, count: number): Promise<Frame[]> {
  const frames: Frame[] = [];
  while (frames.length < count) frames.push(await line.next());
  return frames;
}

/** Everything that the gateway had for a line has arrived; returns what is unread. */
async function settled(line: Line): Promise<readonly Frame[]> {
  await line.send({ type: "ping" });
  await line.send({ type: "ping" });
  return line.unread;
}

function ack(epoch: string, upto: number, channel = "news"): Frame {
  return { type: "ack", acks: [{ channel, epoch, upto }] };
}

/** What every transport must do. */
export const CASES: readonly Case[] = [
  {
    name: "connect: an unnamed client gets an id and a secret, a named one keeps its name",
    async run(trial) {
      const unnamed = await trial.line({ client_id: undefined });
      assertMatch(unnamed.connected.client_id, /^[0-9a-f]{32}$/);
      assertMatch(unnamed.connected.secret, /^[0-9a-f]{32}$/);
      const named = await trial.line();
      assertEquals([named.connected.client_id, named.connected.secret], ["ann", undefined]);
      assertEquals(named.connected.resumed, false);
    },
  },
  {
    name: "connect: the gateway tells which transport a client came over",
    async run(trial) {
      const connected: string[] = [];
      trial.gateway.on("connected", ({ clientId, transport }) => {
        connected.push(`${clientId} ${transport}`);
      });
      await trial.line();
      assertEquals(connected, [`ann ${trial.transport}`]);
    },
  },
  {
    name: "messages come in order, numbered without a hole",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      await Promise.all(numbers(300).map((n) => trial.gateway.publish("news", n)));
      const got = await take(line, 300);
      assertEquals(got.map(({ data }) => data), numbers(300));
      assertEquals(got.map(({ seq }) => seq), numbers(300));
      for (const message of got) {
        assertEquals([message.type, message.epoch, message.channel], [
          "channel_message",
          epoch,
          "news",
        ]);
      }
    },
  },
  {
    name: "several channels flow over one line, each in order",
    options: QUIET,
    async run(trial) {
      const line = await trial.line();
      const channels = ["a", "b", "c"];
      const answers = await line.send(
        ...channels.map((channel) => ({ type: "channel.subscribe", channel })),
      );
      assertEquals(answers.map(({ channel, ok }) => [channel, ok]), [["a", true], ["b", true], [
        "c",
        true,
      ]]);
      for (const n of numbers(20)) {
        for (const channel of channels) await trial.gateway.publish(channel, n);
      }
      const got = await take(line, 60);
      for (const name of channels) {
        const data = got.filter(({ channel }) => channel === name).map(({ data }) => data);
        assertEquals(data, numbers(20));
      }
    },
  },
  {
    name: "a client's publish is answered with its place and reaches the others, not itself",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      const bob = await trial.other();
      await bob.subscribe("news");
      const [answer] = await line.send({ type: "channel.publish", channel: "news", data: [1] });
      assertEquals(answer, {
        type: "channel.published",
        channel: "news",
        delivered: 1,
        event_id: `${epoch}:1:news`,
        epoch,
        seq: 1,
      });
      const message = await bob.next();
      assertEquals([message.data, message.source], [[1], "ann"]);
      await bob.publish("news", "from bob");
      assertEquals((await line.next()).data, "from bob");
    },
  },
  {
    name: "a client that asks for its own message gets it",
    options: QUIET,
    async run(trial) {
      const [line] = await trial.on("news");
      await line.send({ type: "channel.publish", channel: "news", data: 1, echo: true, id: "p1" });
      const message = await line.next();
      assertEquals([message.data, message.source, message.id], [1, "ann", "p1"]);
    },
  },
  {
    name: "a repeated publish id is answered with the first result",
    options: QUIET,
    async run(trial) {
      const line = await trial.line();
      const publish = { type: "channel.publish", channel: "news", data: 1, id: "p1" };
      const [first, again] = await line.send(publish, publish);
      assertEquals(again, { ...first, duplicate: true });
    },
  },
  {
    name: "frames sent together are answered in order, each with its own error",
    async run(trial) {
      const line = await trial.line();
      const answers = await line.send(
        { type: "ping" },
        { type: "channel.subscribe", channel: "a b" },
        { type: "nothing" },
        { type: "channel.publish", channel: "news" },
        { type: "ping" },
      );
      assertEquals(answers.map(({ type, code }) => code ?? type), [
        "pong",
        "invalid_channel",
        "unknown_type",
        "bad_request",
        "pong",
      ]);
      assertEquals(await line.send({ type: "ping" }), [{ type: "pong" }]);
    },
  },
  {
    name: "what is acknowledged is not sent again",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      for (const n of numbers(5)) await trial.gateway.publish("news", n);
      await take(line, 5);
      await line.send(ack(epoch, 5));
      await trial.pass(200);
      assertEquals(await settled(line), []);
    },
  },
  {
    name: "what is not acknowledged comes again, marked, behind newer messages",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      await trial.gateway.publish("news", 1);
      await take(line, 1);
      await trial.pass(20);
      await trial.gateway.publish("news", 2);
      assertEquals((await line.next()).seq, 2);
      await line.send({ type: "ack", acks: [{ channel: "news", epoch, ranges: [2, 2] }] });
      await trial.pass(26);
      const again = await line.next();
      assertEquals([again.seq, again._redelivered, again._retry_count], [1, true, 1]);
      await line.send({ type: "ack", acks: [{ channel: "news", epoch, ranges: [1, 1] }] });
      await trial.pass(200);
      assertEquals(await settled(line), []);
    },
  },
  {
    name: "a refused message comes again at once, or after the delay asked for",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      await trial.gateway.publish("news", 1);
      await line.next();
      await line.send({ type: "nack", channel: "news", epoch, seq: 1 });
      assertEquals((await line.next())._retry_count, 1);
      await line.send({ type: "nack", channel: "news", epoch, seq: 1, delay: 8 });
      await trial.pass(7);
      assertEquals(await settled(line), []);
      await trial.pass(2);
      assertEquals((await line.next())._retry_count, 2);
    },
  },
  {
    name: "a message refused too often goes to the dead letters, and comes back when redriven",
    options: { push: { ...QUIET.push, delivery: { maxRetries: 1 } } },
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      await trial.gateway.publish("news", 1);
      for (const _ of [1, 2]) {
        await line.next();
        await line.send({ type: "nack", channel: "news", epoch, seq: 1 });
      }
      await until(async () => (await trial.gateway.deadLetters()).length === 1, "it is given up");
      assertEquals(await settled(line), []);
      await trial.gateway.redrive();
      const again = await line.next();
      assertEquals([again.seq, again._redriven, again._retry_count], [1, true, 0]);
    },
  },
  {
    name: "a message that waits in the client does not time out while it is renewed",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      await trial.gateway.publish("news", 1);
      await line.next();
      for (const _ of numbers(12)) {
        await line.send({ type: "renew", renew: [{ channel: "news", epoch, ranges: [1, 1] }] });
        await trial.pass(10);
      }
      assertEquals(await settled(line), []);
      await trial.pass(50);
      assertEquals((await line.next())._retry_count, 1);
    },
  },
  {
    name: "no more than a window is on its way; acknowledging lets the rest come",
    options: { push: { ...QUIET.push, delivery: { window: 10 } } },
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      for (const n of numbers(25)) await trial.gateway.publish("news", n);
      const first = await take(line, 10);
      assertEquals(await settled(line), []);
      await line.send(ack(epoch, 10));
      const second = await take(line, 10);
      assertEquals(await settled(line), []);
      await line.send(ack(epoch, 20));
      const third = await take(line, 5);
      assertEquals([...first, ...second, ...third].map(({ seq }) => seq), numbers(25));
    },
  },
  {
    name: "a new subscription starts at the head, or where it asks to",
    options: QUIET,
    async run(trial) {
      for (const n of numbers(5)) await trial.gateway.publish("news", n);
      const from = async (start: Frame, count: number) => {
        const line = await trial.line({ client_id: crypto.randomUUID() });
        await line.send({ type: "channel.subscribe", channel: "news", ...start });
        const got = await take(line, count);
        assertEquals(await settled(line), []);
        return got.map(({ seq }) => seq);
      };
      const { epoch } = (await trial.gateway.channels())[0];
      assertEquals(await from({}, 0), []);
      assertEquals(await from({ last: 2 }, 2), [4, 5]);
      assertEquals(await from({ all: true }, 5), numbers(5));
      assertEquals(await from({ since: { epoch, seq: 3 } }, 2), [4, 5]);
    },
  },
  {
    name: "nothing comes of a channel that was unsubscribed",
    options: QUIET,
    async run(trial) {
      const [line] = await trial.on("news");
      const unsubscribe = { type: "channel.unsubscribe", channel: "news" };
      const [first, again] = [await line.send(unsubscribe), await line.send(unsubscribe)].flat();
      assertEquals([first.ok, again.ok], [true, false]);
      await trial.gateway.publish("news", 1);
      assertEquals(await settled(line), []);
    },
  },
  {
    name:
      "a line that broke goes on where it was: nothing is missing, what was on its way is marked",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      for (const n of [1, 2, 3]) await trial.gateway.publish("news", n);
      await take(line, 3);
      await line.send(ack(epoch, 1));
      await trial.sever(line);
      for (const n of [4, 5]) await trial.gateway.publish("news", n);

      const [again] = await trial.on("news");
      assertEquals(again.connected.resumed, true);
      const got = await take(again, 4);
      assertEquals(got.map(({ seq }) => seq), [2, 3, 4, 5]);
      // Of the others the gateway may think that they were on their way, too.
      assertEquals(got.slice(0, 2).map(({ _redelivered }) => _redelivered), [true, true]);
    },
  },
  {
    name: "a client that tells its position gets what it has not, and not what it has",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      for (const n of numbers(6)) await trial.gateway.publish("news", n);
      await take(line, 6);
      await trial.sever(line);
      const position = { epoch, seq: 4, open: [2, 3] };
      const again = await trial.line({ subscriptions: [{ channel: "news", position }] });
      const got = (await take(again, 2)).map(({ seq }) => seq);
      assertEquals(got, [5, 6]);
      assertEquals(await settled(again), []);
      await again.send(ack(epoch, 6));
    },
  },
  {
    name: "an unnamed client resumes with its secret, within its grace",
    options: QUIET,
    async run(trial) {
      const unnamed = { client_id: undefined };
      const [line] = await trial.on("news", unnamed);
      const { client_id, secret } = line.connected;
      await trial.sever(line);
      await trial.gateway.publish("news", 1);
      const [again] = await trial.on("news", { client_id, secret });
      assertEquals([again.connected.resumed, again.connected.client_id], [true, client_id]);
      assertEquals((await again.next()).data, 1);
    },
  },
  {
    name: "messages that are gone are told as a gap, and delivery goes on behind it",
    options: {
      push: {
        ...QUIET.push,
        limits: { maxMessageBytes: 1024 },
        delivery: { maxChannelBytes: 3000, historyBytes: 1024 },
      },
    },
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      await trial.sever(line);
      for (const n of numbers(5)) await trial.gateway.publish("news", `${n}`.padEnd(900));
      const [again] = await trial.on("news");
      const gap = await again.next();
      assertEquals(gap, {
        type: "channel.gap",
        channel: "news",
        epoch,
        seq: 2,
        reason: "retention",
      });
      assertEquals((await take(again, 3)).map(({ seq }) => seq), [3, 4, 5]);
    },
  },
  {
    name: "a gap that was told to a line taken over is told to the new one, too",
    options: {
      push: {
        ...QUIET.push,
        limits: { maxMessageBytes: 1024 },
        delivery: { maxChannelBytes: 3000, historyBytes: 1024 },
      },
    },
    async run(trial) {
      const [first] = await trial.on("news");
      await trial.sever(first);
      for (const n of numbers(5)) await trial.gateway.publish("news", `${n}`.padEnd(900));
      const [second, epoch] = await trial.on("news");
      assertEquals((await second.next()).type, "channel.gap");
      const position = { epoch, seq: 0 };
      const third = await trial.line({ subscriptions: [{ channel: "news", position }] });
      assertEquals((await take(third, 4)).map(({ type, seq }) => [type, seq]), [
        ["channel.gap", 2],
        ["channel_message", 3],
        ["channel_message", 4],
        ["channel_message", 5],
      ]);
      await third.send(ack(epoch, 3));
      const [fourth] = await trial.on("news");
      assertEquals((await take(fourth, 2)).map(({ seq }) => seq), [4, 5]);
    },
  },
  {
    name: "who comes, changes and goes is told, at most once a second and channel",
    async run(trial) {
      const [line] = await trial.on("news");
      const self = await line.next();
      assertEquals([self.type, self.joins[0].client_id], ["presence_diff", "ann"]);
      const [bob, cid] = [await trial.other("bob"), await trial.other("cid")];
      await bob.subscribe("news");
      await cid.subscribe("news");
      assertEquals(await settled(line), []);
      await trial.clock.advance(1_100);
      const joined = await line.next();
      assertEquals(joined.joins.map((it: Frame) => it.client_id), ["bob", "cid"]);
      bob.send({ type: "presence.heartbeat", status: "busy", metadata: { a: 1 } });
      await bob.next("presence.heartbeat_ack");
      await cid.close();
      await until(
        async () => (await trial.gateway.presence("news")).length === 2,
        "cid has left",
      );
      await trial.clock.advance(1_100);
      const changed = await line.next();
      assertEquals(changed.updates, [{ client_id: "bob", status: "busy", metadata: { a: 1 } }]);
      assertEquals(changed.leaves, [{ client_id: "cid", status: "offline" }]);
    },
  },
  {
    name: "a client's status and metadata are seen by others",
    async run(trial) {
      const [line] = await trial.on("news");
      const [answer] = await line.send({
        type: "presence.heartbeat",
        status: "busy",
        metadata: { role: "agent" },
      });
      assertEquals(answer, { type: "presence.heartbeat_ack", ok: true });
      const [{ presence }] = await line.send({ type: "presence.query", channel: "news" });
      assertEquals(presence.map(({ last_seen: _, ...it }: Frame) => it), [{
        client_id: "ann",
        status: "busy",
        metadata: { role: "agent" },
        channels: ["news"],
      }]);
    },
  },
  {
    name: "the newest line takes the session over, and the older one is told to stay away",
    options: QUIET,
    async run(trial) {
      const [older] = await trial.on("news");
      await trial.gateway.publish("news", 1);
      await older.next();
      const [newer] = await trial.on("news", { instance: "i2" });
      assertEquals(await within(older.ended, "the older line to end"), "replaced");
      assertEquals((await newer.next())._redelivered, true);
      await trial.gateway.publish("news", 2);
      assertEquals((await newer.next()).seq, 2);
    },
  },
  {
    name: "a line of the fixed wire that takes over ends the older one, too",
    options: QUIET,
    async run(trial) {
      const [older] = await trial.on("news");
      const newer = await trial.other("ann");
      await newer.subscribe("news");
      assertEquals(await within(older.ended, "the older line to end"), "replaced");
      await trial.gateway.publish("news", 1);
      assertEquals((await newer.next()).data, 1);
    },
  },
  {
    name: "a client that leaves on purpose is gone at once; a named one goes on later",
    async run(trial) {
      const [line] = await trial.on("news");
      await line.send({ type: "disconnect" });
      await until(async () => (await trial.gateway.presence()).length === 0, "ann has left");
      const ended = await within(line.ended, "the line to end");
      assert(["1000", "unknown_session"].includes(ended), ended);
      await trial.gateway.publish("news", 1);
      const [again] = await trial.on("news");
      assertEquals(again.connected.resumed, true);
      let frame = await again.next();
      if (frame.type === "presence_diff") frame = await again.next();
      assertEquals(frame.data, 1);
    },
  },
  {
    name: "a client that asks to be forgotten begins anew",
    options: QUIET,
    async run(trial) {
      const [line] = await trial.on("news");
      await line.send({ type: "disconnect", forget: true });
      await within(line.ended, "the line to end");
      await trial.gateway.publish("news", 1);
      const [again] = await trial.on("news");
      assertEquals(again.connected.resumed, false);
      assertEquals(await settled(again), []);
    },
  },
  {
    name: "a message as large as the limit comes through, both ways; a larger one is refused",
    options: QUIET,
    async run(trial) {
      const [line] = await trial.on("news");
      const largest = "x".repeat(65_534);
      const [ok] = await line.send({
        type: "channel.publish",
        channel: "news",
        data: largest,
        echo: true,
      });
      assertEquals(ok.type, "channel.published");
      assertEquals((await line.next()).data, largest);
      const [refused] = await line.send({
        type: "channel.publish",
        channel: "news",
        data: `${largest}x`,
      });
      assertEquals(refused.code, "message_too_large");
      await trial.gateway.publish("news", "ü".repeat(32_767));
      assertEquals((await line.next()).data.length, 32_767);
    },
  },
  {
    name: "many large messages come through in order",
    options: QUIET,
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      const publishing = numbers(64).map((n) =>
        trial.gateway.publish("news", `${n}:`.padEnd(60_000, "x"))
      );
      await Promise.all(publishing);
      const got: number[] = [];
      while (got.length < 64) {
        const { data, seq } = await line.next();
        got.push(Number(data.split(":")[0]));
        await line.send(ack(epoch, seq));
      }
      assertEquals(got, numbers(64));
    },
  },
  {
    name: "two clients talk: each message of the other comes once and in order",
    options: QUIET,
    async run(trial) {
      const [ann, epoch] = await trial.on("talk");
      const [bob] = await trial.on("talk", { client_id: "bob" });
      const say = async (line: Line) => {
        for (const n of numbers(50)) {
          await line.send({ type: "channel.publish", channel: "talk", data: n });
        }
      };
      const listen = async (line: Line) => {
        const got: unknown[] = [];
        while (got.length < 50) {
          const { data, seq } = await line.next();
          got.push(data);
          await line.send(ack(epoch, seq, "talk"));
        }
        return got;
      };
      const [, , byAnn, byBob] = await Promise.all([say(ann), say(bob), listen(ann), listen(bob)]);
      assertEquals(byAnn, numbers(50));
      assertEquals(byBob, numbers(50));
      assertEquals([...await settled(ann), ...await settled(bob)], []);
    },
  },
  {
    name: "payloads go through exactly as they were written",
    options: QUIET,
    async run(trial) {
      const [line] = await trial.on("news");
      const bob = await trial.other();
      bob.send('{"type":"channel.publish","channel":"news","data":{"a":1.50,"__proto__":{"x":1}}}');
      const { data } = await line.next();
      assertEquals(Object.keys(data), ["a", "__proto__"]);
      assertEquals(Object.getPrototypeOf(data), Object.prototype);
    },
  },
  {
    name: "at-most-once delivery: nothing is acknowledged, nothing comes again, nothing is kept",
    options: { push: { ...QUIET.push, delivery: { enabled: false } } },
    async run(trial) {
      const [line, epoch] = await trial.on("news");
      await trial.gateway.publish("news", 1);
      const message = await line.next();
      await line.send({ type: "nack", channel: "news", epoch, seq: 1 });
      const [ackd] = await line.send({ type: "message_ack", event_id: message.event_id });
      assertEquals(ackd.ok, false);
      await trial.pass(120);
      assertEquals(await settled(line), []);
      await trial.sever(line);
    },
  },
  {
    name: "the gateway stops: the line ends with a code that says come back",
    options: QUIET,
    async run(trial) {
      const [line] = await trial.on("news");
      const stopped = trial.gateway.stop();
      const ended = await within(line.ended, "the line to end");
      assert(ended === "unreachable" || isCode(ended) && CODES[ended].retry, ended);
      await stopped;
    },
  },
];
