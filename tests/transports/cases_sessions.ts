import { assert, assertEquals, assertMatch } from "@std/assert";
import { CODES, isCode } from "../../client/protocol/mod.ts";
import type { Frame } from "../support/wire_client.ts";
import { until, within } from "../support/within.ts";
import { ack, type Case, numbers, QUIET, settled, take } from "./trial.ts";

/** Who is there, and what outlives a line. */
export const SESSIONS: readonly Case[] = [
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
