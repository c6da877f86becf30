import { assert, assertEquals } from "@std/assert";
import type { ClientEvents } from "@push/client";
import { type Setup, setUp } from "./setup.ts";
import type { Frame } from "./fake_gateway.ts";

const EVENTS: (keyof ClientEvents)[] = [
  "channel_message",
  "presence_join",
  "presence_list",
  "gap",
  "error",
  "state",
];

/** Lets a client see every event there is, until it is closed. */
async function live({ client, gateway, clock }: Setup): Promise<void> {
  const say = (...frames: Frame[]): void => {
    if (client.isConnected) gateway.send(...frames);
  };
  const ignore = (): void => {};
  gateway.streams = "open";
  client.connect().catch(ignore);
  await clock.advance(0);
  for (const channel of ["a", "b", "c", "d"]) {
    client.subscribe(channel, () => {
      if (channel === "b") throw new Error("no");
    }).catch(ignore);
  }
  client.getPresence("a").catch(ignore);
  client.publish("a", 1).catch(ignore);
  await clock.advance(0);
  const gap = { type: "channel.gap", epoch: "e1", seq: 5, reason: "retention" };
  const join = { type: "presence_join", channel: "a", data: { client_id: "x", status: "online" } };
  say(
    gateway.messageFrame("a", 1),
    gateway.messageFrame("b", 1),
    { ...gap, channel: "a" },
    join,
    { type: "error", code: "internal" },
    { type: "nonsense" },
    gateway.messageFrame("a", 6),
  );
  await clock.advance(1000);
  // What a client hears while it is being accepted: refusals, for good and for now, and a loss.
  gateway.answers.connect = (frame, connection) => {
    gateway.current = connection;
    gateway.epoch = "e2";
    const [, , ...others] = gateway.connected(frame).subscriptions;
    const subscriptions = [
      { type: "error", code: "forbidden", channel: "a" },
      { type: "error", code: "store_full", channel: "b" },
      ...others.map((each: Frame) => ({
        ...each,
        epoch: "e2",
        earlier: [{ epoch: "e1", base: 0 }],
      })),
    ];
    return { ...gateway.connected(frame), subscriptions };
  };
  say(gateway.messageFrame("c", 3), gateway.messageFrame("d", 3));
  await clock.advance(1000);
  if (client.isConnected) gateway.drop();
  await clock.advance(2000);
  gateway.sockets = "refused";
  if (client.isConnected) gateway.drop();
  await clock.advance(10_000);
  gateway.streams = "absent";
  if (client.isConnected) gateway.endStream(new Error("lost"));
  await clock.advance(10_000);
  gateway.sockets = "open";
  await clock.advance(120_000);
}

for (const isBack of [false, true]) {
  const says = isBack ? "and connected again, is connected" : "stays closed";
  Deno.test(`a client that a listener disconnects, whichever and whenever, ${says}`, async () => {
    const heard = async (last: number): Promise<string[]> => {
      const setup = setUp({ authToken: () => "t" });
      const { client, clock } = setup;
      const events: string[] = [];
      for (const event of EVENTS) {
        client.on(event, (value) => {
          const state = event === "state" ? ` ${(value as ClientEvents["state"]).state}` : "";
          if (events.push(event + state) !== last) return;
          void client.disconnect();
          if (isBack) client.connect().catch(() => {});
        });
      }
      await live(setup);
      const wanted = last > 0 && !isBack ? "closed" : "connected";
      assertEquals(client.state, wanted, `disconnected after ${events.slice(0, last)}`);
      if (wanted === "connected") await client.disconnect();
      await clock.advance(2000);
      assertEquals(clock.pending, 0, `disconnected after ${events.slice(0, last)}`);
      return events;
    };
    const all = await heard(0);
    for (const event of EVENTS) assert(all.some((each) => each.startsWith(event)), event);
    for (let last = 1; last < all.length; last++) {
      const after = (await heard(last)).slice(last);
      const states = after.filter((each) => each.startsWith("state"));
      if (!isBack) assertEquals(states, ["state closed"]);
    }
  });
}
