import { assertEquals } from "@std/assert";
import { sessionKey } from "../stores/session_key.ts";
import { HOSTILE, numbers, type StoreCase, type StoreTrial } from "./store_trial.ts";

/** Key of a session of a subject. */
function of(subject: string, clientId: string | number): string {
  return sessionKey({ named: true, clientId: `${clientId}`, subject });
}

/** Begins sessions and leaves them, one after the other: the first is longest away. */
async function leave(t: StoreTrial, keys: readonly string[], most?: number): Promise<void> {
  for (const key of keys) {
    await t.a.release(key, await t.attach(key, { most }), t.now);
    await t.pass(10);
  }
}

/** Which of these sessions there are. Asks their records, and changes nothing. */
async function living(t: StoreTrial, keys: readonly string[]): Promise<string[]> {
  const held = keys.map((key) => ({ key, generation: t.newest(key) }));
  const gone = new Set(
    (await t.a.renew(held, t.now)).filter(({ held }) => !held).map((r) => r.key),
  );
  return keys.filter((key) => !gone.has(key));
}

/** Cases about how sessions of different subjects make room: each subject for itself. */
export const subjectCases: readonly StoreCase[] = [
  {
    name: "a subject with as many sessions as it may have loses the one of its own longest away",
    async run(t) {
      const [mine, others] = [[of("ann", 1), of("ann", 2)], [of("bob", 1), of("bob", 2)]];
      await leave(t, others, 2);
      await leave(t, mine, 2);
      await t.stand(of("bob", 1), t.newest(of("bob", 1)), "c", 7);
      await t.attach(of("ann", 3), { most: 2 }, t.b);
      assertEquals(await living(t, [...mine, ...others]), [of("ann", 2), ...others]);
      await t.attach(of("ann", 4), { most: 2 });
      assertEquals(await living(t, [...mine, ...others]), others);
      const [a, b] = [await t.a.stats(t.now), await t.b.stats(t.now)];
      assertEquals(a.sessions, 4);
      assertEquals(Math.max(a.sessionsForgotten, b.sessionsForgotten) >= 1, true);
      assertEquals((await t.position(of("bob", 1), "c"))?.floor, 7);
    },
  },
  {
    name: "where all together are too many a subject loses one of its own, too",
    limits: { maxSessions: 4 },
    async run(t) {
      const others = [of("bob", 1), of("bob", 2), of("", 1)];
      await leave(t, [...others, of("ann", 1)]);
      await t.attach(of("ann", 2), {}, t.b);
      assertEquals(await living(t, [of("ann", 1), ...others]), others);
      await t.b.release(of("ann", 2), t.newest(of("ann", 2)), t.now);
      await t.attach(of("ann", 3), { most: 9 });
      assertEquals(await living(t, [of("ann", 2), of("ann", 3), ...others]), [
        of("ann", 3),
        ...others,
      ]);
      assertEquals((await t.swept()).sessions, 4);
    },
  },
  {
    name: "a subject that has none to lose is refused, and nobody else loses any",
    limits: { maxSessions: 3 },
    async run(t) {
      const others = [of("bob", 1), of("bob", 2)];
      await leave(t, others);
      await t.attach(of("ann", 1), { most: 1 });
      assertEquals(await t.refusal(of("ann", 2), { most: 1 }), "subject_full");
      assertEquals(await t.refusal(of("ann", 2), { most: 2 }, t.b), "full");
      assertEquals(await t.refusal(of("ann", 2)), "full");
      assertEquals(await t.refusal(of("cid", 1), { most: 1 }), "full");
      assertEquals(await living(t, [of("ann", 1), ...others]), [of("ann", 1), ...others]);
      const { sessions, sessionsForgotten } = await t.swept();
      assertEquals([sessions, sessionsForgotten], [3, 0]);
      // What a subject has may be claimed all the same.
      await t.attach(of("ann", 1), { most: 1 }, t.b);
      await t.attach(of("bob", 1), { most: 1 });
    },
  },
  {
    name: "sessions with a connection are never lost to others of their subject",
    async run(t) {
      const attached = [of("ann", 1), of("ann", 2)];
      await t.attach(attached[0], { most: 3 }, t.a);
      await t.attach(attached[1], { most: 3 }, t.b);
      await leave(t, [of("ann", 3)], 3);
      for (const i of numbers(4, 9)) await leave(t, [of("ann", i)], 3);
      assertEquals(await living(t, [...attached, of("ann", 8), of("ann", 9)]), [
        ...attached,
        of("ann", 9),
      ]);
      await t.attach(of("ann", 9), { most: 3 }, t.b);
      assertEquals(await t.refusal(of("ann", 10), { most: 3 }), "subject_full");
      assertEquals(await living(t, attached), attached);
    },
  },
  {
    name: "a subject's count follows what ends: by itself, by its time, and with its connection",
    async run(t) {
      const most = 3;
      const [ended, over, left] = [of("ann", 1), of("ann", 2), of("ann", 3)];
      await t.attach(ended, { most });
      await t.a.release(over, await t.attach(over, { most, ttl: 5000 }), t.now);
      // One without ttl counts for as long as it has its connection.
      await t.attach(left, { most, ttl: 0 });
      const stays = of("ann", 4);
      assertEquals(await t.a.end(ended, t.newest(ended), t.now), true);
      await t.attach(stays, { most, ttl: 60_000 });
      await t.a.release(stays, t.newest(stays), t.now);
      await t.pass(5001);
      // In the place of what is over; what lives stays.
      await t.attach(of("ann", 5), { most }, t.b);
      assertEquals(await living(t, [over, left, stays]), [left, stays]);
      assertEquals(await t.a.release(left, t.newest(left), t.now), true);
      await t.attach(of("ann", 6), { most });
      assertEquals(await living(t, [ended, over, left, stays]), [stays]);
      const { sessions, sessionsForgotten } = await t.swept();
      assertEquals([sessions, sessionsForgotten], [3, 0]);
    },
  },
  {
    name: "a session that is taken over, or claimed after it ended, counts once",
    async run(t) {
      const [taken, again] = [of("ann", 1), of("ann", 2)];
      for (const i of numbers(1, 6)) {
        await t.attach(taken, { most: 2 }, i % 2 === 0 ? t.a : t.b);
        await t.a.end(again, await t.attach(again, { most: 2 }), t.now);
      }
      await t.attach(again, { most: 2 });
      assertEquals((await t.swept()).sessions, 2);
      assertEquals(await t.refusal(of("ann", 3), { most: 2 }), "subject_full");
    },
  },
  {
    name: "nothing is lost where that would not make enough room",
    limits: { maxSessions: 6 },
    async run(t) {
      const away = [of("ann", 1), of("ann", 2)];
      await leave(t, away);
      await t.attach(of("ann", 3));
      await t.attach(of("ann", 4));
      // As with a limit that is lower than before.
      assertEquals(await t.refusal(of("ann", 5), { most: 2 }), "subject_full");
      assertEquals(await living(t, away), away);
      await t.attach(of("ann", 5), { most: 3 });
      assertEquals(await living(t, away), []);
    },
  },
  {
    name: "of claims at once of one subject only as many begin as it may have",
    async run(t) {
      await leave(t, [of("bob", 1), of("bob", 2)]);
      const claims = await Promise.all(
        numbers(1, 20).map((i) => t.claim(of("ann", i), { most: 5 }, i % 2 === 0 ? t.a : t.b)),
      );
      const refused = claims.flatMap((claimed) => claimed.ok ? [] : [claimed.reason]);
      assertEquals(refused, numbers(1, 15).map(() => "subject_full"));
      assertEquals((await t.swept()).sessions, 7);
    },
  },
  {
    name: "the session of a node that is gone makes room for one of its subject, and for no other",
    nodes: true,
    limits: { maxSessions: 2 },
    async run(t) {
      await t.attach(of("ann", 1), { most: 1 }, t.a);
      await t.attach(of("bob", 1), {}, t.a);
      assertEquals(await t.refusal(of("ann", 2), { most: 1 }, t.b), "subject_full");
      assertEquals(await t.refusal(of("cid", 1), {}, t.b), "full");
      await t.pass(t.lease! + 1);
      assertEquals(await t.refusal(of("cid", 1), {}, t.b), "full");
      await t.attach(of("ann", 2), { most: 1 }, t.b);
      assertEquals(await living(t, [of("ann", 1), of("bob", 1)]), [of("bob", 1)]);
    },
  },
  {
    name: "subjects are apart whatever they are called",
    async run(t) {
      const names = [...HOSTILE, "", ":", "::", "n:1:a"];
      const keys = names.flatMap((name) => [of(name, 1), of(name, "1:1")]);
      await leave(t, keys, 2);
      for (const name of names) await t.attach(of(name, 2), { most: 2 });
      assertEquals(await living(t, keys), names.map((name) => of(name, "1:1")));
    },
  },
  {
    name: "a thousand subjects with a few sessions each do not disturb each other",
    limits: { maxSessions: 2001 },
    async run(t) {
      const keys = numbers(1, 1000).flatMap((i) => [of(`s${i}`, 1), of(`s${i}`, 2)]);
      for (let i = 0; i < keys.length; i += 250) {
        await Promise.all(
          keys.slice(i, i + 250).map(async (key) => {
            await t.a.release(key, await t.attach(key, { most: 2 }), t.now);
          }),
        );
      }
      for (const i of numbers(1, 20)) {
        await t.attach(of("flood", i), { most: 2 });
        await t.a.release(of("flood", i), t.newest(of("flood", i)), t.now);
      }
      assertEquals((await living(t, keys)).length, 2000);
      await t.attach(of("s7", 3), { most: 2 });
      assertEquals((await living(t, keys)).length, 1999);
      assertEquals((await t.swept()).sessions, 2001);
    },
  },
];
