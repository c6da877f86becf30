import { assertEquals } from "@std/assert";
import { numbers, plain, type StoreCase, type StoreTrial } from "./store_trial.ts";

const TTL = 3_600_000;

/** Publishes to a channel and gives up these messages of it, a second apart. */
async function giveUp(
  t: StoreTrial,
  session: string,
  generation: number,
  channel: string,
  seqs: readonly number[],
): Promise<void> {
  await t.publish(channel, Math.max(...seqs));
  for (const seq of seqs) {
    await t.pass(1000);
    const letter = await t.letter(session, channel, seq);
    assertEquals(await t.stand(session, generation, channel, seq, {}, [letter]), true);
  }
}

async function seqsOf(letters: ReturnType<StoreTrial["letters"]>): Promise<number[]> {
  return (await letters).map(({ message }) => message.seq);
}

/** Cases about messages that were given up. */
export const letterCases: readonly StoreCase[] = [
  {
    name: "a dead letter is stored with the position that gives it up",
    async run(t) {
      await t.publish("c", 3, 100);
      const generation = await t.attach("s");
      const letter = await t.letter("s", "c", 2);
      await t.stand("s", generation, "c", 3, {}, [letter]);
      assertEquals((await t.position("s", "c"))?.floor, 3);
      const [{ message, ...rest }, ...others] = await t.letters();
      assertEquals(others, []);
      assertEquals(plain(message), plain(letter.message));
      const { epoch, at } = letter;
      assertEquals(rest, {
        session: "s",
        channel: "c",
        epoch,
        attempts: 4,
        reason: "timeout",
        at,
      });
      assertEquals((await t.a.stats(t.now)).deadLetters, 1);
    },
  },
  {
    name: "a commit that is refused stores no dead letter",
    async run(t) {
      await t.publish("c", 1);
      const old = await t.attach("s");
      await t.stand("s", await t.attach("s"), "c", 0);
      const letter = await t.letter("s", "c", 1);
      assertEquals(await t.stand("s", old, "c", 1, {}, [letter]), false);
      assertEquals(await t.letters(), []);
    },
  },
  {
    name: "a commit that comes too late stores neither position nor dead letter",
    async run(t) {
      await t.publish("c", 5);
      const generation = await t.attach("s");
      await t.stand("s", generation, "c", 5);
      await t.stand("s", generation, "c", 4, {}, [await t.letter("s", "c", 1)]);
      assertEquals((await t.position("s", "c"))?.floor, 5);
      assertEquals(await t.letters(), []);
    },
  },
  {
    name: "a letter that is given up again takes the place of the first",
    async run(t) {
      await t.publish("c", 1);
      const generation = await t.attach("s");
      const letter = await t.letter("s", "c", 1);
      await t.stand("s", generation, "c", 1, {}, [letter]);
      await t.stand("s", generation, "c", 1, {}, [{ ...letter, reason: "nack" }]);
      assertEquals((await t.letters()).map(({ reason }) => reason), ["nack"]);
      assertEquals((await t.a.stats(t.now)).deadLetters, 1);
    },
  },
  {
    name: "dead letters are listed oldest first, by channel, session and number",
    async run(t) {
      const s = await t.attach("s");
      const u = await t.attach("u");
      await giveUp(t, "s", s, "c", [1]);
      await giveUp(t, "u", u, "c", [2]);
      await giveUp(t, "s", s, "d", [3]);
      await giveUp(t, "s", s, "c", [4]);
      await giveUp(t, "u", u, "c", [5]);
      assertEquals(await seqsOf(t.letters()), [1, 2, 3, 4, 5]);
      assertEquals(await seqsOf(t.letters({ limit: 3 })), [1, 2, 3]);
      assertEquals(await seqsOf(t.letters({ limit: 0 })), []);
      assertEquals(await seqsOf(t.letters({ channel: "c" })), [1, 2, 4, 5]);
      assertEquals(await seqsOf(t.letters({ session: "s" })), [1, 3, 4]);
      assertEquals(await seqsOf(t.letters({ session: "s", channel: "c" })), [1, 4]);
      assertEquals(await seqsOf(t.letters({ session: "u", channel: "c", seq: 5 })), [5]);
      assertEquals(await seqsOf(t.letters({ session: "u", channel: "c", seq: 4 })), []);
      assertEquals(await seqsOf(t.letters({ session: "__proto__" })), []);
    },
  },
  {
    name: "a subscription keeps its last maxDeadLetters, whatever others have",
    limits: { maxDeadLetters: 5 },
    async run(t) {
      const generation = await t.attach("s");
      await giveUp(t, "s", generation, "d", [1]);
      await giveUp(t, "s", generation, "c", numbers(1, 8));
      assertEquals(await seqsOf(t.letters({ channel: "c" })), numbers(4, 8));
      assertEquals(await seqsOf(t.letters({ channel: "d" })), [1]);
      assertEquals((await t.a.stats(t.now)).deadLetters, 6);
    },
  },
  {
    name: "dead letters end after their ttl",
    async run(t) {
      const generation = await t.attach("s", { ttl: 24 * TTL });
      await giveUp(t, "s", generation, "c", [1]);
      await t.pass(TTL);
      await giveUp(t, "s", generation, "d", [1]);
      await t.pass(TTL);
      assertEquals((await t.letters()).map(({ channel }) => channel), ["d"]);
      assertEquals((await t.swept()).deadLetters, 1);
      await t.pass(TTL);
      assertEquals(await t.redrive(), []);
      assertEquals((await t.swept()).deadLetters, 0);
    },
  },
  {
    name: "redrive() makes a late message without attempts, though the log has lost it",
    async run(t) {
      const payload = JSON.stringify("ä€😀".repeat(7000));
      await t.append("c", [{ subject: "x", origin: "o", source: "s", id: "i", payload }]);
      const generation = await t.attach("s", { ttl: 24 * TTL });
      const letter = await t.letter("s", "c", 1);
      await t.stand("s", generation, "c", 1, {}, [letter]);
      await t.pass(TTL + 1);
      await t.a.sweep(t.now);
      assertEquals(await t.seqs("c"), []);
      assertEquals((await t.redrive()).map(({ message }) => plain(message)), [
        plain(letter.message),
      ]);
      assertEquals(await t.letters(), []);
      const [record, ...others] = (await t.position("s", "c"))!.late;
      assertEquals(others, []);
      assertEquals([record.seq, record.attempts], [1, 0]);
      assertEquals(plain(record.redriven!), plain(letter.message));
    },
  },
  {
    name: "a second redrive of the same letters does nothing, also at once from two handles",
    async run(t) {
      const generation = await t.attach("s");
      await giveUp(t, "s", generation, "c", numbers(1, 10));
      const query = { channel: "c", limit: 100 };
      const moved = await Promise.all(
        numbers(1, 6).map((i) => (i % 2 === 0 ? t.a : t.b).redrive(query, t.now)),
      );
      const seqs = moved.flat().map(({ message }) => message.seq);
      assertEquals(seqs.sort((x, y) => x - y), numbers(1, 10));
      assertEquals((await t.position("s", "c"))?.late.map(({ seq }) => seq), numbers(1, 10));
    },
  },
  {
    name: "redrive() puts back what is asked for, and leaves the rest",
    async run(t) {
      const generation = await t.attach("s");
      await giveUp(t, "s", generation, "c", numbers(1, 6));
      assertEquals(await seqsOf(t.redrive({ session: "s", channel: "c", seq: 4 })), [4]);
      assertEquals(await seqsOf(t.redrive({ limit: 2 })), [1, 2]);
      assertEquals(await seqsOf(t.letters()), [3, 5, 6]);
      assertEquals((await t.position("s", "c"))?.late.map(({ seq }) => seq), [1, 2, 4]);
      assertEquals((await t.a.stats(t.now)).deadLetters, 3);
    },
  },
  {
    name: "redrive() puts nothing back where the subscription is gone; the letters stay listed",
    async run(t) {
      const s = await t.attach("s");
      const u = await t.attach("u");
      await giveUp(t, "s", s, "c", [1]);
      await giveUp(t, "u", u, "c", [2]);
      await giveUp(t, "u", u, "d", [3]);
      await t.a.end("s", s, t.now);
      await t.a.forget("u", u, "c", t.now);
      assertEquals(await seqsOf(t.redrive()), [3]);
      assertEquals(await seqsOf(t.letters()), [1, 2]);
      assertEquals(await t.position("u", "c"), undefined);
    },
  },
  {
    name: "a redriven message outlives commits of a holder that has not loaded it",
    async run(t) {
      const generation = await t.attach("s");
      await giveUp(t, "s", generation, "c", [1, 2]);
      await t.redrive();
      await t.stand("s", generation, "c", 3, { late: [{ seq: 3, attempts: 1 }] });
      const loaded = (await t.position("s", "c"))!;
      const attempts = loaded.late.map((record) => [record.seq, record.attempts]);
      assertEquals(attempts, [[1, 0], [2, 0], [3, 1]]);
      await t.stand("s", generation, "c", 4, { late: [loaded.late[1]] });
      assertEquals((await t.position("s", "c"))?.late.map(({ seq }) => seq), [2]);
    },
  },
  {
    name: "renew() names the channels with redriven messages until their holder knows them",
    async run(t) {
      const generation = await t.attach("s");
      for (const channel of ["c", "d", "e"]) await giveUp(t, "s", generation, channel, [1]);
      assertEquals(await t.renew("s", generation), undefined);
      const [{ message }] = await t.redrive({ channel: "c" });
      await t.redrive({ channel: "d" });
      const told = await t.renew("s", generation);
      assertEquals([told?.held, [...told?.redriven ?? []].sort()], [true, ["c", "d"]]);
      const late = [{ seq: 1, attempts: 0, redriven: message }];
      await t.stand("s", generation, "c", 1, { late });
      assertEquals((await t.renew("s", generation))?.redriven, ["d"]);
      await t.position("s", "d");
      assertEquals(await t.renew("s", generation), undefined);
    },
  },
  {
    name: "a redriven message is settled by a holder that has committed it as late",
    async run(t) {
      const generation = await t.attach("s");
      await giveUp(t, "s", generation, "c", [1, 2]);
      const [{ message }] = await t.redrive({ seq: 2 });
      const late = [{ seq: 2, attempts: 1, redriven: message }];
      await t.stand("s", generation, "c", 2, { late });
      await t.stand("s", generation, "c", 2);
      assertEquals((await t.position("s", "c"))?.late, []);
    },
  },
  {
    name: "a redriven message can be given up again, and put back again",
    async run(t) {
      const generation = await t.attach("s");
      await giveUp(t, "s", generation, "c", [1]);
      for (let i = 0; i < 3; i++) {
        assertEquals(await seqsOf(t.redrive()), [1]);
        const [{ redriven }] = (await t.position("s", "c"))!.late;
        const letter = { ...await t.letter("s", "c", 1), message: redriven! };
        await t.stand("s", generation, "c", 1, {}, [letter]);
        assertEquals((await t.position("s", "c"))?.late, []);
        assertEquals(await seqsOf(t.letters()), [1]);
      }
    },
  },
];
