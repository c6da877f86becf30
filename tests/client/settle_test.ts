import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Subscription } from "@push/client";
import { type Setup, setUp } from "./setup.ts";
import type { SocketFate } from "./fake_gateway.ts";

interface World extends Setup {
  readonly promises: Promise<unknown>[];
  readonly subscriptions: Subscription[];
}

type Act = (world: World) => void | Promise<void>;

const channel = fc.constantFrom("a", "b", "c");

const acts: fc.Arbitrary<[says: string, act: Act]> = fc.oneof(
  fc.constant<[string, Act]>(["connect", ({ client, promises }) => {
    promises.push(client.connect());
  }]),
  channel.map((name): [string, Act] => [`subscribe ${name}`, (world) => {
    const { client, promises, subscriptions } = world;
    promises.push(client.subscribe(name).then((it) => subscriptions.push(it)));
  }]),
  channel.map((name): [string, Act] => [`handle ${name}`, ({ client, promises }) => {
    promises.push(client.subscribe(name, ({ retryCount }) => {
      if (retryCount === 0) throw new Error("no");
    }));
  }]),
  fc.constant<[string, Act]>(["read", ({ promises, subscriptions }) => {
    try {
      for (const it of subscriptions) promises.push(it[Symbol.asyncIterator]().next());
    } catch {
      // It has a handler.
    }
  }]),
  channel.map((name): [string, Act] => [`unsubscribe ${name}`, ({ client, promises }) => {
    promises.push(client.unsubscribe(name));
  }]),
  channel.map((name): [string, Act] => [`publish ${name}`, ({ client, promises }) => {
    promises.push(client.publish(name, 1));
  }]),
  channel.map((name): [string, Act] => [`wait for ${name}`, ({ client, promises }) => {
    promises.push(client.waitFor(name));
  }]),
  fc.constant<[string, Act]>(["ask", ({ client, promises }) => {
    promises.push(client.listChannels(), client.getPresence(), client.createChannel("a"));
    promises.push(client.setStatus("busy"), client.waitClosed());
  }]),
  fc.tuple(channel, fc.nat(5)).map(([name, n]): [string, Act] => [
    `message ${name} ${n}`,
    ({ gateway }) => {
      if (gateway.current?.isOpen) gateway.message(name, n + 1, { redelivered: n > 2 });
    },
  ]),
  fc.constantFrom(1006, 4000, 4401, 4404, 4510).map((code): [string, Act] => [
    `close ${code}`,
    ({ gateway }) => gateway.drop(code),
  ]),
  fc.constantFrom<SocketFate>("open", "refused", "hanging", "blocked").map((fate): [
    string,
    Act,
  ] => [`sockets ${fate}`, ({ gateway }) => {
    gateway.sockets = fate;
  }]),
  fc.constantFrom("answered", "refused", "hanging", "lost").map((fate): [string, Act] => [
    `http ${fate}`,
    ({ gateway }) => {
      gateway.http = fate as typeof gateway.http;
    },
  ]),
  fc.constantFrom("channel.subscribe", "channel.publish", "channel.list").map((type): [
    string,
    Act,
  ] => [`silence ${type}`, ({ gateway }) => {
    gateway.answers[type] = () => undefined;
  }]),
  fc.nat(12_000).map((ms): [string, Act] => [`${ms} ms`, ({ clock }) => clock.advance(ms)]),
  fc.constant<[string, Act]>(["disconnect", ({ client, promises }) => {
    promises.push(client.disconnect());
  }]),
);

Deno.test("whatever happens, every promise settles by disconnect(), and nothing is left running", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(acts, { maxLength: 40 }), async (steps) => {
      const world: World = { ...setUp({ authToken: () => "t" }), promises: [], subscriptions: [] };
      for (const [, act] of steps) {
        await act(world);
        for (const promise of world.promises) promise.catch(() => {});
      }
      const { client, clock, promises } = world;
      promises.push(client.disconnect());
      await clock.advance(2000);
      let settled = 0;
      const done = (): number => settled++;
      for (const promise of promises) promise.then(done, done);
      await clock.advance(0);
      assertEquals([settled, clock.pending], [promises.length, 0]);
    }),
    { numRuns: 500 },
  );
});
