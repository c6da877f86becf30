import type { Json } from "@push/client/protocol";
import { GatewayNode } from "../../cluster/gateways.ts";
import type { Scenario } from "../scenario.ts";
import type { World } from "../world.ts";

const CHANNELS = ["channel-1"];

/** Retries that come soon. */
const IMPATIENT = ["--max-retries=2", "--ack-timeout=0.5", "--retry-backoff=1"];

/** Waits until nothing is delivered any more. */
async function untilSilent(world: World): Promise<void> {
  let before = -1;
  await world.until(async () => {
    const count = world.history.count("deliver");
    const isSilent = count === before;
    before = count;
    if (!isSilent) await world.pause(2_000);
    return isSilent;
  });
}

async function post(url: string, body: Json): Promise<Record<string, Json>> {
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5_000),
  });
  return await response.json();
}

/** Acknowledgements, retries, dead letters, what expires and what is too much. */
export const SETTLING: readonly Scenario[] = [
  {
    name: "acks-lost",
    says: "Nobody acknowledges: each message is sent again as often as it may, by one of three " +
      "gateways, and ends in one dead letter.",
    topology: "redis",
    args: IMPATIENT,
    terms: { maxRetries: 2 },
    async run(world) {
      await world.frames(CHANNELS, { policy: "silent" });
      await world.frames(CHANNELS, { policy: "silent" });
      const publisher = await world.publisher(CHANNELS, 20);
      publisher.go();
      await world.spend();
      await publisher.rest();
      await untilSilent(world);
    },
  },
  {
    name: "acks-lost-kill",
    says: "The same while the gateway that counts the retries is killed: another one goes on.",
    topology: "redis",
    args: IMPATIENT,
    terms: { maxRetries: 2 },
    async run(world) {
      await world.frames(CHANNELS, { policy: "silent" });
      const publisher = await world.publisher(CHANNELS, 10);
      publisher.go();
      while (world.left > 0) {
        await world.pause(700);
        await world.crash(world.random.pick(world.gateways));
      }
      await publisher.rest();
      await untilSilent(world);
    },
  },
  {
    name: "nacks",
    says: "Everything is refused at once: no hot loop, and one dead letter each.",
    topology: "redis",
    args: ["--max-retries=2"],
    terms: { maxRetries: 2 },
    async run(world) {
      await world.handler(CHANNELS, { policy: "nack" });
      await world.frames(CHANNELS, { policy: "nack" });
      const publisher = await world.publisher(CHANNELS, 20);
      publisher.go();
      await world.spend();
      await publisher.rest();
      await untilSilent(world);
    },
  },
  {
    name: "redrive",
    says: "Dead letters are put back twice at once, at two gateways: each comes once more.",
    topology: "redis",
    args: IMPATIENT,
    terms: { maxRetries: 2 },
    async run(world) {
      const frames = await world.frames(CHANNELS, { policy: "silent" });
      const publisher = await world.publisher(CHANNELS, 10);
      for (let n = 0; n < 20; n++) await publisher.publish();
      await untilSilent(world);
      const [first, second] = await Promise.all(
        [0, 1].map((n) =>
          post(`${world.gateways[n].http}/api/push/dead-letters/redrive`, { channel: CHANNELS[0] })
        ),
      );
      const back = Number(first.redriven) + Number(second.redriven);
      if (back !== 20) throw new Error(`20 dead letters, and ${back} were put back`);
      const came = () =>
        new Set(
          world.history.entries.flatMap((it) =>
            it.type === "deliver" && it.client === frames.name && it.redriven ? [it.id] : []
          ),
        ).size;
      if (!(await world.until(() => came() === 20))) {
        throw new Error(`Only ${came()} of 20 came again`);
      }
      await untilSilent(world);
    },
  },
  {
    name: "foreign-acks",
    says: "Acknowledgements of somebody else's messages, and of none, do nothing.",
    topology: "redis",
    async run(world) {
      await world.load();
      const stranger = new WebSocket(`${world.gateways[0].ws}?client_id=stranger`);
      const opened = Promise.withResolvers<void>();
      stranger.onopen = () => opened.resolve();
      await opened.promise;
      const asked = new Map<string, { channel: string; id: string }>();
      stranger.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        const message = asked.get(frame.event_id);
        if (message === undefined) return;
        world.history.note({
          type: "ack",
          phase: frame.ok === true ? "ok" : "fail",
          client: "stranger",
          foreign: true,
          ...message,
        });
      };
      while (world.left > 0) {
        for (const entry of world.history.entries.slice(-20)) {
          if (entry.type !== "deliver") continue;
          const { channel, id, place } = entry;
          const event_id = `${place.epoch}:${place.seq}:${channel}`;
          asked.set(event_id, { channel, id });
          stranger.send(JSON.stringify({ type: "message_ack", event_id }));
        }
        await world.pause(50);
      }
      const closed = Promise.withResolvers<void>();
      stranger.onclose = () => closed.resolve();
      stranger.close();
      await closed.promise;
      if (asked.size === 0) throw new Error("Nothing was there to acknowledge");
    },
  },
  {
    name: "expiry",
    says: "Messages expire while a subscriber is away: it is told.",
    topology: "redis",
    terms: { mayLose: true },
    args: ["--message-ttl=2", "--history-size=0"],
    async run(world) {
      await away(world, 5_000);
    },
  },
  {
    name: "quota",
    says: "A channel has more than it may keep while a subscriber is away: it is told.",
    topology: "redis",
    terms: { mayLose: true },
    args: [
      "--max-message-bytes=1KiB",
      "--max-channel-bytes=8KiB",
      "--history-size=10",
      "--history-bytes=4KiB",
    ],
    async run(world) {
      await away(world, 2_000);
    },
  },
  {
    name: "no-token",
    says: "Who shows no token changes nothing.",
    topology: "redis",
    async run(world) {
      await world.load();
      const { redis } = world.topology;
      const node = await GatewayNode.start({
        args: ["--store", "redis", "--redis-url", redis!.url, "--token", "s3cret"],
      });
      try {
        for (let n = 0; n < 20; n++) {
          const data = { id: `intruder.${n}`, filler: "" };
          const note = {
            type: "publish",
            client: "intruder",
            channel: "channel-1",
            id: data.id,
            payload: JSON.stringify(data),
            forbidden: true,
          } as const;
          world.history.note({ ...note, phase: "invoke" });
          const answer = await post(`${node.http}/api/push/publish`, {
            channel: "channel-1",
            data,
          });
          const code = String(
            (answer.error as Record<string, Json> | undefined)?.code ?? answer.code,
          );
          const phase = "event_id" in answer ? "ok" : "fail";
          world.history.note({ ...note, phase, code });
        }
      } finally {
        await node.kill();
      }
      await world.spend();
    },
  },
];

/** A subscriber goes away while others publish, and comes back. */
async function away(world: World, ms: number): Promise<void> {
  await world.load({ frames: 0, pollers: 0, streams: 0, channels: 1 });
  const wanderer = await world.handler(CHANNELS);
  await world.pause(500);
  await wanderer.client.disconnect();
  world.log(`${wanderer.name} is away`);
  await world.pause(ms);
  await wanderer.client.connect();
  await world.spend();
  // It is told behind the answer to its connecting.
  const isTold = await world.until(() =>
    world.history.entries.some((it) => it.type === "gap" && it.client === wanderer.name)
  );
  if (!isTold) throw new Error(`${wanderer.name} was not told of what it missed`);
}
