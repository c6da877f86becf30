import { assertEquals } from "@std/assert";
import type { Line } from "./line.ts";
import { ack, type Case, numbers, QUIET, settled, take } from "./trial.ts";

/** Messages, from publishing to receiving. */
export const MESSAGES: readonly Case[] = [
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
];
