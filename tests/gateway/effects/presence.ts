import { assertEquals } from "@std/assert";
import type { PresenceInfo } from "../../../mod.ts";
import { WireClient } from "../../support/wire_client.ts";
import { dataOf, type Effects, timed } from "./effect.ts";

const ids = (entries: { client_id: string }[]) => entries.map(({ client_id }) => client_id);
const namesOf = (present: PresenceInfo[]) => present.map(({ clientId }) => clientId);

/** What the options of presence do. */
export const PRESENCE: Effects = {
  "push.presence.enabled": {
    says: "off, nobody is there, and nobody hears of anybody",
    async run() {
      await using gateway = await timed({ presence: { enabled: false, broadcastChanges: true } });
      await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
      await using bob = await WireClient.open(`${gateway.ws}?client_id=bob`);
      for (const client of [ann, bob]) await client.subscribe("news");
      assertEquals((await ann.ask({ type: "presence.heartbeat", status: "x" })).ok, false);
      assertEquals((await ann.ask({ type: "presence.query" })).presence, []);
      await gateway.clock.advance(5_000);
      assertEquals(await dataOf(ann), []);
    },
  },
  "push.presence.heartbeatInterval": {
    says: "clients are told to keep it",
    async run() {
      await using gateway = await timed({ presence: { heartbeatInterval: 7.5 } });
      const [client, { heartbeat_interval }] = await WireClient.connect(gateway.ws);
      await using _ = client;
      assertEquals(heartbeat_interval, 7.5);
    },
  },
  "push.presence.offlineTimeout": {
    says: "after so long without a sign of life a client counts as offline",
    async run() {
      await using gateway = await timed({
        presence: { heartbeatInterval: 5, offlineTimeout: 12 },
      });
      await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
      await using bob = await WireClient.open(`${gateway.ws}?client_id=bob`);
      for (const client of [ann, bob]) await client.ask({ type: "ping" });
      for (const _ of [1, 2, 3]) {
        await gateway.clock.advance(5_000);
        await bob.ask({ type: "presence.heartbeat" });
      }
      assertEquals(namesOf(await gateway.gateway.presence()), ["bob"]);
      await ann.ask({ type: "ping" });
      assertEquals(namesOf(await gateway.gateway.presence()), ["ann", "bob"]);
    },
  },
  "push.presence.broadcastChanges": {
    says: "off, presence is known to who asks, and told to nobody",
    async run() {
      await using gateway = await timed({ presence: { broadcastChanges: false } });
      await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
      await using bob = await WireClient.open(`${gateway.ws}?client_id=bob`);
      for (const client of [ann, bob]) await client.subscribe("news");
      await gateway.clock.advance(5_000);
      assertEquals(await dataOf(ann), []);
      const { presence } = await ann.ask({ type: "presence.query", channel: "news" });
      assertEquals(ids(presence), ["ann", "bob"]);
      await using telling = await timed({ presence: { broadcastChanges: true } });
      await using cid = await WireClient.open(`${telling.ws}?client_id=cid`);
      await cid.subscribe("news");
      await telling.clock.advance(1_100);
      await using dan = await WireClient.open(`${telling.ws}?client_id=dan`);
      await dan.subscribe("news");
      assertEquals((await cid.next()).type, "presence_join");
    },
  },
  "push.presence.broadcastLimit": {
    says: "in larger channels clients of the fixed wire hear of nobody, the others still do",
    async run() {
      await using gateway = await timed({
        presence: { broadcastChanges: true, broadcastLimit: 2 },
      });
      await using ann = await WireClient.open(`${gateway.ws}?client_id=ann`);
      await ann.subscribe("news");
      await gateway.clock.advance(1_100);
      const [bob] = await WireClient.connect(gateway.ws, {
        client_id: "bob",
        subscriptions: [{ channel: "news" }],
      });
      await using _ = bob;
      assertEquals((await ann.next()).type, "presence_join");
      assertEquals((await bob.next()).joins.length, 1);
      await gateway.clock.advance(1_100);
      await using cid = await WireClient.open(`${gateway.ws}?client_id=cid`);
      await cid.subscribe("news");
      assertEquals((await bob.next()).joins[0].client_id, "cid");
      assertEquals(await dataOf(ann), []);
    },
  },
  "push.presence.diffLimit": {
    says: "in still larger channels nobody hears of anybody, but may ask",
    async run() {
      await using gateway = await timed({ presence: { broadcastChanges: true, diffLimit: 1 } });
      const [ann] = await WireClient.connect(gateway.ws, {
        client_id: "ann",
        subscriptions: [{ channel: "news" }],
      });
      await using _ = ann;
      assertEquals((await ann.next()).joins.length, 1);
      await gateway.clock.advance(1_100);
      await using bob = await WireClient.open(`${gateway.ws}?client_id=bob`);
      await bob.subscribe("news");
      await gateway.clock.advance(1_100);
      assertEquals(await dataOf(ann), []);
      const { presence } = await bob.ask({ type: "presence.query", channel: "news" });
      assertEquals(ids(presence), ["ann", "bob"]);
    },
  },
};
