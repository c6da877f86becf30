import { assertEquals } from "@std/assert";
import type { Frame } from "../support/wire_client.ts";
import { until } from "../support/within.ts";
import { ack, type Case, numbers, QUIET, settled, take } from "./trial.ts";

/** What is acknowledged, refused, late or gone. */
export const DELIVERY: readonly Case[] = [
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
];
