import { assertEquals } from "@std/assert";
import { until } from "../../support/within.ts";
import { WireClient } from "../../support/wire_client.ts";
import { dataOf, type Effects, leave, timed } from "./effect.ts";

/** Seconds at which a message comes that nobody acknowledges, each within half an `ackTimeout`. */
async function attemptsSeen(
  delivery: { ackTimeout: number; maxRetries?: number; retryBackoff?: number },
  seconds: number,
): Promise<[at: number, retryCount: number][]> {
  await using gateway = await timed({ delivery });
  await using client = await WireClient.open(gateway.ws);
  await client.subscribe("news");
  await gateway.gateway.publish("news", 1);
  await client.next();
  const seen: [number, number][] = [];
  for (let second = 1; second <= seconds; second++) {
    await gateway.clock.advance(1_000);
    for (const { _retry_count } of [...await client.settled()]) {
      await client.next();
      seen.push([second, _retry_count]);
    }
  }
  return seen;
}

function assertBetween(value: number, from: number, to: number): void {
  assertEquals(value >= from && value <= to, true, `${value} is not between ${from} and ${to}`);
}

/** What the options of delivery do. */
export const DELIVERY: Effects = {
  "push.delivery.enabled": {
    says: "off, messages are sent once and not awaited",
    async run() {
      await using gateway = await timed({ delivery: { enabled: false, ackTimeout: 2 } });
      await using client = await WireClient.open(`${gateway.ws}?client_id=ann`);
      await client.subscribe("news");
      await gateway.gateway.publish("news", 1);
      const { event_id } = await client.next();
      await gateway.clock.advance(60_000);
      assertEquals(await dataOf(client), []);
      assertEquals((await client.ask({ type: "message_ack", event_id })).ok, false);
    },
  },
  "push.delivery.ackTimeout": {
    says: "a message not acknowledged for so long, and up to half as long again, is sent again",
    async run() {
      const [[first]] = await attemptsSeen({ ackTimeout: 10 }, 16);
      assertBetween(first, 10, 16);
      assertEquals(await attemptsSeen({ ackTimeout: 20 }, 16), []);
    },
  },
  "push.delivery.maxRetries": {
    says: "after so many retries a message goes to the dead letters",
    async run() {
      const seen = await attemptsSeen({ ackTimeout: 2, maxRetries: 2, retryBackoff: 1 }, 30);
      assertEquals(seen.map(([, retryCount]) => retryCount), [1, 2]);
      await using gateway = await timed({ delivery: { ackTimeout: 2, maxRetries: 0 } });
      await using client = await WireClient.open(`${gateway.ws}?client_id=ann`);
      await client.subscribe("news");
      await gateway.gateway.publish("news", 1);
      await client.next();
      await gateway.clock.advance(4_000);
      const [letter] = await gateway.gateway.deadLetters();
      assertEquals([letter.attempts, letter.reason, letter.seq], [1, "timeout", 1]);
      assertEquals(await dataOf(client), []);
    },
  },
  "push.delivery.retryBackoff": {
    says: "the wait grows by this factor with each retry",
    async run() {
      const even = await attemptsSeen({ ackTimeout: 10, retryBackoff: 1 }, 50);
      assertBetween(even[1][0] - even[0][0], 10, 11);
      assertBetween(even[2][0] - even[1][0], 10, 11);
      const growing = await attemptsSeen({ ackTimeout: 10, retryBackoff: 3 }, 150);
      assertBetween(growing[1][0] - growing[0][0], 30, 31);
      assertBetween(growing[2][0] - growing[1][0], 90, 91);
    },
  },
  "push.delivery.window": {
    says: "no more messages are on their way to a subscriber than this",
    async run() {
      await using gateway = await timed({ delivery: { window: 3 } });
      await using client = await WireClient.open(gateway.ws);
      await client.subscribe("news");
      for (let n = 1; n <= 5; n++) await gateway.gateway.publish("news", n);
      const [first] = await client.take(3);
      assertEquals(await dataOf(client), []);
      client.send({ type: "message_ack", event_id: first.event_id });
      assertEquals((await client.next("channel_message")).data, 4);
      await client.next("ack_received");
      assertEquals(await dataOf(client), []);
    },
  },
  "push.delivery.windowBytes": {
    says: "no more bytes are on their way to a subscriber than this",
    async run() {
      await using gateway = await timed({
        delivery: { windowBytes: 4096 },
        limits: { maxMessageBytes: 2048 },
      });
      await using client = await WireClient.open(gateway.ws);
      await client.subscribe("news");
      for (let n = 1; n <= 8; n++) await gateway.gateway.publish("news", `${n}`.padEnd(1000));
      const got = await client.take(3);
      const more = (await dataOf(client)).length;
      assertBetween(got.length + more, 3, 4);
      for (const { event_id } of got) client.send({ type: "message_ack", event_id });
      assertEquals((await client.next("channel_message")).data.trim(), "4");
    },
  },
  "push.delivery.sessionGrace": {
    says: "a client without a name resumes within it, and not later",
    async run() {
      for (const [seconds, resumes] of [[9, true], [13, false]] as const) {
        await using gateway = await timed({ delivery: { sessionGrace: 10 } });
        const [client, { client_id, secret, session_ttl }] = await WireClient.connect(gateway.ws);
        assertEquals(session_ttl, 10);
        await leave(gateway, client, 4000);
        await gateway.clock.advance(seconds * 1000);
        const [again, { resumed }] = await WireClient.connect(gateway.ws, { client_id, secret });
        await using _ = again;
        assertEquals(resumed, resumes, `after ${seconds} seconds`);
      }
    },
  },
  "push.delivery.deadLetterTtl": {
    says: "a dead letter is kept so long",
    async run() {
      await using gateway = await timed({ delivery: { maxRetries: 0, deadLetterTtl: 100 } });
      await using client = await WireClient.open(`${gateway.ws}?client_id=ann`);
      await client.subscribe("news");
      await gateway.gateway.publish("news", 1);
      const { event_id } = await client.next();
      await client.ask({ type: "message_nack", event_id });
      const letters = async () => (await gateway.gateway.deadLetters()).length;
      await until(async () => await letters() === 1, "the message is a dead letter");
      await gateway.clock.advance(99_000);
      assertEquals(await letters(), 1);
      await gateway.clock.advance(2_000);
      assertEquals(await letters(), 0);
    },
  },
  "push.delivery.maxDeadLetters": {
    says: "of one subscription so many dead letters are kept, the newest",
    async run() {
      await using gateway = await timed({ delivery: { maxRetries: 0, maxDeadLetters: 2 } });
      await using client = await WireClient.open(`${gateway.ws}?client_id=ann`);
      await client.subscribe("news");
      for (let n = 1; n <= 4; n++) {
        await gateway.gateway.publish("news", n);
        const { event_id } = await client.next();
        await client.ask({ type: "message_nack", event_id });
        const newest = async () => (await gateway.gateway.deadLetters()).at(-1)?.seq;
        await until(async () => await newest() === n, "the message is a dead letter");
      }
      const letters = await gateway.gateway.deadLetters();
      assertEquals(letters.map(({ seq }) => seq), [3, 4]);
    },
  },
};
