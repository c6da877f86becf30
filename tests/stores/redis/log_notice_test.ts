import { assert, assertEquals } from "@std/assert";
import { Redis } from "ioredis";
import type { LogNotice } from "../../../server/stores/cluster.ts";
import { decodeNotice, NOTICE_BYTES } from "../../../server/stores/redis/notice.ts";
import { startRedis } from "../../support/redis.ts";
import { within } from "../../support/within.ts";
import { draft, drafts, type LogBed, numbers, openLog } from "./log_bed.ts";

/** Collects the notices of a channel, over a connection of its own. */
class Ear implements AsyncDisposable {
  readonly notices: LogNotice[] = [];
  readonly #redis: Redis;
  #heard = () => {};

  constructor(port: number) {
    this.#redis = new Redis(port, "127.0.0.1");
    this.#redis.on("message", (_topic: string, text: string) => {
      const notice = decodeNotice(text);
      assert(notice !== undefined, text);
      this.notices.push(notice);
      this.#heard();
    });
  }

  async listen(bed: LogBed, channel: string): Promise<this> {
    await this.#redis.subscribe(bed.keys.notices(channel));
    return this;
  }

  /** Resolves once so many were heard. */
  async heard(count: number): Promise<void> {
    while (this.notices.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#heard = resolve;
      await within(promise, `notice ${this.notices.length + 1}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#redis.quit();
  }
}

Deno.test("a notice carries the state and the messages, exactly as they are read", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  await using ear = await new Ear(redis.port).listen(bed, "c");
  const texts = ["", "\u0000\u001e\u001f\n\t", "ä€😀", "\u2028", "\ud800", "push1 a 1 1 1 "];
  const batch = texts.map((text) =>
    draft({ id: text, origin: text, source: text, payload: JSON.stringify(text) })
  );
  const { epoch, messages } = await bed.log.append("c", batch);
  await bed.log.append("c", [draft({ payload: " {\n}\t" })]);
  await ear.heard(2);
  const [first, second] = ear.notices;
  const page = await bed.log.read("c", 0, 100);
  assertEquals(first.messages, page.messages.slice(0, -1));
  assertEquals(first.messages, messages);
  assertEquals(second.messages, page.messages.slice(-1));
  assertEquals([first.epoch, first.head, first.oldest], [epoch, texts.length, 1]);
  assertEquals([second.head, second.earlier], [texts.length + 1, undefined]);
  assert(second.time! >= first.time!);
});

Deno.test("messages that are too large to be told, or hold what separates them, leave the state only", async () => {
  await using redis = await startRedis();
  await using bed = await openLog(redis.port);
  await using ear = await new Ear(redis.port).listen(bed, "c");
  const payloadOf = (bytes: number): string => JSON.stringify("x".repeat(bytes - 64 - 2));
  await bed.log.append("c", [draft({ payload: payloadOf(NOTICE_BYTES) })]);
  await bed.log.append("c", [draft({ payload: payloadOf(NOTICE_BYTES + 1) })]);
  await bed.log.append("c", [draft({ payload: payloadOf(NOTICE_BYTES / 2) }), ...drafts(1, 500)]);
  await bed.log.append("c", [draft({ payload: '"\u001e"' })]);
  await ear.heard(4);
  const told = ear.notices.map(({ head, messages }) => [head, messages.length]);
  assertEquals(told, [[1, 1], [2, 0], [503, 0], [504, 0]]);
});

Deno.test("only what stores something is told, in the order in which it was stored", async () => {
  await using redis = await startRedis();
  await using a = await openLog(redis.port);
  await using b = await openLog(redis.port);
  await using ear = await new Ear(redis.port).listen(a, "c");
  await a.log.create("c", {});
  await a.log.append("c", []);
  await a.log.append("c", [draft({ id: "i" })]);
  await b.log.append("c", [draft({ id: "i" })]);
  await a.log.append("other", drafts(1, 1));
  await Promise.all(numbers(1, 100).map((n) => (n % 2 ? a : b).log.append("c", drafts(n, n))));
  await ear.heard(101);
  const seqs = ear.notices.flatMap(({ messages }) => messages.map(({ seq }) => seq));
  assertEquals(seqs, numbers(1, 101));
});

Deno.test("databases of one server have notices of their own", async () => {
  await using redis = await startRedis();
  await using first = await openLog(redis.port);
  await using second = await openLog(redis.port, { redis: { db: 1 } });
  await using ear = await new Ear(redis.port).listen(first, "c");
  await using other = await new Ear(redis.port).listen(second, "c");
  await first.log.append("c", drafts(1, 1));
  await second.log.append("c", drafts(2, 2));
  await first.log.append("c", drafts(3, 3));
  await Promise.all([ear.heard(2), other.heard(1)]);
  const payloadsOf = ({ notices }: Ear): string[] =>
    notices.flatMap(({ messages }) => messages.map(({ payload }) => payload));
  assertEquals([payloadsOf(ear), payloadsOf(other)], [["1", "3"], ["2"]]);
});
