import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ClientOptions, PushClient, PushError } from "@push/client";
import {
  type KeepOptions,
  keepPublishes,
  type KeptPublish,
  type OutboxStore,
  type StorageLike,
  storageStore,
} from "@push/client/outbox";
import { ManualClock, seededRandom } from "../../server/testing/mod.ts";
import { FakeGateway, type Frame } from "./fake_gateway.ts";
import { connected, setUp } from "./setup.ts";

/** A `localStorage`, and the locks of its pages. */
class FakeStorage implements StorageLike {
  readonly texts = new Map<string, string>();
  readonly held = new Map<string, object>();
  /** What `setItem` throws. */
  failure: Error | undefined;

  get length(): number {
    return this.texts.size;
  }

  key(index: number): string | null {
    return [...this.texts.keys()][index] ?? null;
  }

  getItem(key: string): string | null {
    return this.texts.get(key) ?? null;
  }

  setItem(key: string, text: string): void {
    if (this.failure) throw this.failure;
    this.texts.set(key, text);
  }

  removeItem(key: string): void {
    this.texts.delete(key);
  }

  /** What is kept, in order. */
  get kept(): KeptPublish[] {
    return [...this.texts.values()].map((text) => JSON.parse(text) as KeptPublish);
  }
}

/** A page with one client that keeps its publishes. */
class KeptPage {
  readonly client: PushClient;
  readonly errors: unknown[] = [];
  readonly #storage: FakeStorage;
  readonly #page = {};

  constructor(
    storage: FakeStorage,
    readonly gateway: FakeGateway,
    readonly clock: ManualClock,
    keep: KeepOptions = {},
    options: ClientOptions = {},
    store: OutboxStore = storageStore(storage),
  ) {
    this.#storage = storage;
    const { held } = storage;
    const page = this.#page;
    const locks: KeepOptions["locks"] = {
      request: async (name, _, callback) => {
        await Promise.resolve();
        if (held.has(name)) return await callback(null);
        held.set(name, page);
        await callback({ name });
        if (held.get(name) === page) held.delete(name);
      },
    };
    this.client = new PushClient("ws://gateway.test/ws", {
      WebSocket: gateway.WebSocket,
      fetch: gateway.fetch,
      clock,
      random: seededRandom(nextSeed++).bytes,
      outbox: keepPublishes(store, {
        clock,
        locks,
        random: seededRandom(nextSeed++).bytes,
        ...keep,
      }),
      ...options,
    });
    this.client.on("error", ({ error, origin }) => {
      this.errors.push(`${origin}: ${error instanceof PushError ? error.code : error}`);
    });
  }

  /** The page is gone, and its locks with it; what it still does reaches nobody. */
  unload(): void {
    for (const [name, page] of this.#storage.held) {
      if (page === this.#page) this.#storage.held.delete(name);
    }
    // Whatever it writes from now on is not there.
    this.#storage.setItem = this.#storage.removeItem = () => {};
  }
}

let nextSeed = 1;

/** The storage that the next page finds. */
function reload(storage: FakeStorage, page: KeptPage): FakeStorage {
  const next = new FakeStorage();
  for (const [key, text] of storage.texts) next.texts.set(key, text);
  page.unload();
  return next;
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => "fulfilled", (error) => (error as PushError).code ?? String(error));
}

function published(gateway: FakeGateway): unknown[] {
  return gateway.of("channel.publish").map(({ data }) => data);
}

/** A store that takes its time to write. */
function slowStore(storage: FakeStorage, clock: ManualClock): OutboxStore {
  const plain = storageStore(storage);
  return {
    ...plain,
    put: (kept) =>
      new Promise((resolve) =>
        void clock.schedule(50, () => {
          plain.put(kept);
          resolve();
        })
      ),
  };
}

Deno.test("publishes of several channels leave in the order of the calls, without those taken back", async () => {
  const { client, gateway, settle } = setUp();
  const abort = new AbortController();
  const codes = [0, 1, 2, 3, 4, 5].map((n) =>
    codeOf(client.publish(n % 2 ? "a" : "b", n, n === 2 || n === 3 ? abort : {}))
  );
  abort.abort(new Error("taken back"));
  await client.connect();
  await settle();
  assertEquals(published(gateway), [0, 1, 4, 5]);
  assertEquals(new Set(await Promise.all(codes)).size, 2);
  await client.disconnect();
});

Deno.test("a publish that is refused for now is not sent again, and those behind it keep their order", async () => {
  for (const code of ["rate_limited", "unavailable"]) {
    const { client, gateway, clock } = await connected();
    const usual = { ...gateway.answers };
    gateway.answers["channel.publish"] = (frame: Frame) =>
      frame.data === 1 ? { type: "error", code, message: "later" } : {
        type: "channel.published",
        channel: "a",
        delivered: 0,
        event_id: "x",
        epoch: "e",
        seq: 1,
      };
    const codes = [0, 1, 2, 3].map((n) => codeOf(client.publish("a", n)));
    assertEquals(await Promise.all(codes), ["fulfilled", code, "fulfilled", "fulfilled"]);
    gateway.answers = usual;
    gateway.drop();
    await clock.advance(1000);
    assertEquals(published(gateway), [0, 1, 2, 3]);
    await client.disconnect();
  }
});

Deno.test("a copy that is refused for now says nothing of the copy whose answer was lost", async () => {
  for (
    const [code, expected] of [["rate_limited", "outcome_unknown"], ["forbidden", "forbidden"]]
  ) {
    const { client, gateway, clock, settle } = await connected();
    gateway.answers["channel.publish"] = () => undefined;
    const told = codeOf(client.publish("a", 1));
    await settle();
    gateway.answers["channel.publish"] = () => ({ type: "error", code, message: "" });
    gateway.drop();
    await clock.advance(1000);
    assertEquals(await told, expected);
    await client.disconnect();
  }
});

Deno.test("what is aborted after it was sent is not sent again, and what follows is", async () => {
  const { client, gateway, clock, settle } = await connected();
  gateway.answers["channel.publish"] = () => undefined;
  const abort = new AbortController();
  const codes = [0, 1, 2].map((n) => codeOf(client.publish("a", n, n === 1 ? abort : {})));
  await settle();
  abort.abort(new Error("enough"));
  delete gateway.answers["channel.publish"];
  gateway.clear();
  gateway.drop();
  await clock.advance(1000);
  assertEquals(published(gateway), [0, 2]);
  assertEquals(await Promise.all(codes), ["fulfilled", "Error: enough", "fulfilled"]);
  await client.disconnect();
});

Deno.test("what a page had not sent is sent by the next one, in order and before what that publishes", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock);
  for (const n of [1, 2, 3]) before.client.publish("a", n).catch(() => {});
  before.client.publish("b", "b").catch(() => {});
  await clock.advance(0);
  assertEquals(storage.kept.map(({ data }) => data), ["1", "2", "3", '"b"']);
  const next = reload(storage, before);

  await clock.advance(3 * 86_400_000);
  const after = new KeptPage(next, gateway, clock);
  const newer = after.client.publish("a", 4);
  await after.client.connect();
  await clock.advance(0);
  await newer;
  assertEquals(
    gateway.of("channel.publish").filter(({ channel }) => channel === "a").map(({ data }) => data),
    [1, 2, 3, 4],
  );
  assertEquals(published(gateway).length, 5);
  assertEquals([next.texts.size, after.errors], [0, []]);
  await after.client.disconnect();
});

Deno.test("what a page had sent without an answer is sent again with its id, within the gateway's window", async () => {
  for (
    const [wait, expected] of [[200_000, "again"], [271_000, "unknown"], [
      -3_600_000,
      "unknown",
    ]] as const
  ) {
    const storage = new FakeStorage();
    const [gateway, clock] = [new FakeGateway(), new ManualClock()];
    const before = new KeptPage(storage, gateway, clock);
    await before.client.connect();
    await clock.advance(0);
    gateway.answers["channel.publish"] = () => undefined;
    before.client.publish("a", 1, { id: "mine", echo: true }).catch(() => {});
    await clock.advance(0);
    assertEquals(gateway.of("channel.publish").length, 1);
    const next = reload(storage, before);
    delete gateway.answers["channel.publish"];
    gateway.clear();
    clock.jump(wait);

    const after = new KeptPage(next, gateway, clock);
    await after.client.connect();
    await clock.advance(0);
    const again = gateway.of("channel.publish").map(({ id, echo, data }) => ({ id, echo, data }));
    if (expected === "again") assertEquals(again, [{ id: "mine", echo: true, data: 1 }]);
    else assertEquals([again, after.errors], [[], ["outbox: outcome_unknown"]]);
    assertEquals(next.texts.size, 0);
    await after.client.disconnect();
  }
});

Deno.test("what was kept for longer than maxAge is not sent, and that is told", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock);
  before.client.publish("a", 1).catch(() => {});
  await clock.advance(0);
  const next = reload(storage, before);
  await clock.advance(61_000);
  const after = new KeptPage(next, gateway, clock, { maxAge: 60 });
  await after.client.connect();
  await clock.advance(0);
  assertEquals([published(gateway), after.errors, next.texts.size], [
    [],
    ["outbox: disconnected"],
    0,
  ]);
  await after.client.disconnect();
});

Deno.test("a kept publish that is refused for now is tried again, and none of its channel overtakes it", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock);
  for (const n of [1, 2]) before.client.publish("a", n).catch(() => {});
  await clock.advance(0);
  const next = reload(storage, before);
  let refusals = 2;
  const stored: unknown[] = [];
  gateway.answers["channel.publish"] = ({ data, channel }) => {
    if (data === 1 && refusals-- > 0) return { type: "error", code: "unavailable", message: "" };
    stored.push(data);
    return { type: "channel.published", channel, delivered: 0, event_id: "x", epoch: "e", seq: 1 };
  };
  const after = new KeptPage(next, gateway, clock);
  await after.client.connect();
  const newer = after.client.publish("a", 3);
  const other = after.client.publish("b", "other");
  await clock.advance(0);
  await other;
  assertEquals(stored, ["other"]);
  await clock.advance(60_000);
  await newer;
  assertEquals([stored, after.errors], [["other", 1, 2, 3], []]);
  await after.client.disconnect();
});

Deno.test("a kept publish that is refused for good is told, and those behind it are sent", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock);
  for (const n of [1, 2]) before.client.publish("a", n).catch(() => {});
  await clock.advance(0);
  const next = reload(storage, before);
  gateway.answers["channel.publish"] = ({ data, channel }) =>
    data === 1
      ? { type: "error", code: "forbidden", message: "" }
      : { type: "channel.published", channel, delivered: 0, event_id: "x", epoch: "e", seq: 1 };
  const after = new KeptPage(next, gateway, clock);
  await after.client.connect();
  await clock.advance(0);
  assertEquals([published(gateway), after.errors], [[1, 2], ["outbox: forbidden"]]);
  assertEquals(next.texts.size, 0);
  await after.client.disconnect();
});

Deno.test("pages that live do not send what another has kept; when one is gone, another does", async () => {
  const storage = new FakeStorage();
  const clock = new ManualClock();
  const [first, second] = [new FakeGateway(), new FakeGateway()];
  const offline = new KeptPage(storage, first, clock);
  offline.client.publish("a", 1).catch(() => {});
  await clock.advance(0);
  const online = new KeptPage(storage, second, clock);
  await online.client.connect();
  await clock.advance(1000);
  assertEquals(published(second), []);
  // The first page is gone; the second hears of it when it connects again.
  const names = [...storage.held.keys()];
  storage.held.delete(names[0]);
  second.drop();
  await clock.advance(1000);
  assertEquals(published(second), [1]);
  await online.client.disconnect();
  await offline.client.disconnect();
});

Deno.test("a store that is full or broken costs the keeping, is told once, and nothing else", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const page = new KeptPage(storage, gateway, clock);
  await clock.advance(0);
  storage.failure = new DOMException("full", "QuotaExceededError");
  const all = [1, 2, 3].map((n) => page.client.publish("a", n));
  await page.client.connect();
  await clock.advance(0);
  await Promise.all(all);
  assertEquals(published(gateway), [1, 2, 3]);
  assertEquals(page.errors, ["outbox: QuotaExceededError: full"]);
  storage.failure = undefined;
  await page.client.publish("a", 4);
  await page.client.disconnect();

  const broken = new Error("broken");
  const stores: OutboxStore[] = [
    { load: () => Promise.reject(broken), put: () => Promise.reject(broken), remove: () => {} },
    {
      load() {
        throw broken;
      },
      put() {
        throw broken;
      },
      remove() {
        throw broken;
      },
    },
    // A database that another page blocks.
    { load: () => new Promise(() => {}), put() {}, remove() {} },
  ];
  for (const [i, store] of stores.entries()) {
    const gateway = new FakeGateway();
    const page = new KeptPage(new FakeStorage(), gateway, clock, {}, {}, store);
    await page.client.connect();
    const publishing = page.client.publish("a", 1);
    await clock.advance(2000);
    await publishing;
    assertEquals(published(gateway), [1]);
    assertEquals(page.errors.length > 0, i < 2);
    await page.client.disconnect();
  }
});

Deno.test("what else is in the storage is not believed", async () => {
  const good = {
    name: "push:outbox",
    key: "o:0",
    owner: "o",
    order: 0,
    channel: "a",
    id: "x",
    data: "1",
    echo: false,
    at: 1735689600000,
  };
  const wrong: unknown[] = [
    null,
    5,
    [],
    {},
    { ...good, name: undefined },
    { ...good, key: "p:0" },
    { ...good, owner: 7 },
    { ...good, order: 0.5 },
    { ...good, channel: "a b" },
    { ...good, channel: "__proto__", id: "" },
    { ...good, id: "x".repeat(129) },
    { ...good, data: "{" },
    { ...good, data: { toString: 1 } },
    { ...good, data: '1,"type":"disconnect"' },
    { ...good, echo: 1 },
    { ...good, at: "now" },
    { ...good, sentAt: "now" },
  ];
  const storage = new FakeStorage();
  for (const [i, value] of wrong.entries()) {
    storage.texts.set(`push:outbox:w${i}`, JSON.stringify(value));
  }
  storage.texts.set("push:outbox:text", "{");
  storage.texts.set("somebody else's", "{");
  storage.texts.set("push:outbox:o:0", JSON.stringify(good));
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const page = new KeptPage(storage, gateway, clock);
  await page.client.connect();
  await clock.advance(0);
  assertEquals(published(gateway), [1]);
  assertEquals(page.errors, []);
  await page.client.disconnect();
});

Deno.test("what is kept is bounded, in number and in size", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock, { maxPublishes: 2, maxSize: 10 });
  const codes = ["123456789", 1, 2].map((data) => codeOf(before.client.publish("a", data)));
  assertEquals(await codes[0], "outbox_full");
  assertEquals(await codeOf(before.client.publish("a", 3)), "outbox_full");
  assertEquals(storage.texts.size, 2);
  const next = reload(storage, before);
  const after = new KeptPage(next, gateway, clock, { maxPublishes: 1 });
  await after.client.connect();
  await clock.advance(0);
  assertEquals([published(gateway), after.errors], [[1], ["outbox: outbox_full"]]);
  assertEquals(next.texts.size, 0);
  await after.client.disconnect();
});

Deno.test("what a promise has told is final: nothing of it is kept", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  gateway.sockets = "hanging";
  gateway.http = "hanging";
  const { client } = new KeptPage(storage, gateway, clock);
  client.connect().catch(() => {});
  const abort = new AbortController();
  const codes = [
    codeOf(client.publish("a", 1, abort)),
    codeOf(client.publish("a", 2, { timeout: 5 })),
    codeOf(client.publish("a", 3)),
  ];
  await clock.advance(0);
  assertEquals(storage.texts.size, 3);
  abort.abort(new Error("enough"));
  await clock.advance(5000);
  assertEquals(storage.texts.size, 1);
  await client.disconnect();
  assertEquals(await Promise.all(codes), ["Error: enough", "disconnected", "disconnected"]);
  assertEquals(storage.texts.size, 0);
});

Deno.test("a slow store has a publish before it is sent, with the time of its sending", async () => {
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const log: string[] = [];
  const store: OutboxStore = {
    load: () => Promise.resolve([]),
    put: ({ data, sentAt }) =>
      new Promise((resolve) =>
        clock.schedule(data === "1" ? 50 : 10, () => {
          log.push(`put ${data}${sentAt === undefined ? "" : " sent"}`);
          resolve();
        })
      ),
    remove: (key) => void log.push(`remove ${key.split(":")[1]}`),
  };
  gateway.answers["channel.publish"] = ({ data, channel }) => {
    log.push(`send ${data}`);
    return { type: "channel.published", channel, delivered: 0, event_id: "x", epoch: "e", seq: 1 };
  };
  const { client } = new KeptPage(new FakeStorage(), gateway, clock, {}, {}, store);
  await client.connect();
  await clock.advance(0);
  const all = [1, 2].map((n) => client.publish("a", n));
  await clock.advance(1000);
  await Promise.all(all);
  assertEquals(log.filter((line) => line.startsWith("send")), ["send 1", "send 2"]);
  assert(log.indexOf("put 1 sent") < log.indexOf("send 1"));
  assert(log.indexOf("put 2 sent") < log.indexOf("send 2"));
  assert(log.indexOf("send 2") < log.indexOf("remove 1"));
  await client.disconnect();
});

Deno.test("outboxes of other names in one store do not send each other's publishes", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const alice = new KeptPage(storage, gateway, clock, { name: "alice" });
  alice.client.publish("a", 1).catch(() => {});
  await clock.advance(0);
  const next = reload(storage, alice);
  const bob = new KeptPage(next, gateway, clock, { name: "bob" });
  await bob.client.connect();
  await clock.advance(0);
  assertEquals(published(gateway), []);
  await bob.client.disconnect();
});

Deno.test("a store that hangs holds up publishes for a moment, once", async () => {
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const store: OutboxStore = {
    load: () => new Promise(() => {}),
    put: () => new Promise(() => {}),
    remove: () => new Promise(() => {}),
  };
  const page = new KeptPage(new FakeStorage(), gateway, clock, {}, {}, store);
  await page.client.connect();
  const codes = [1, 2].map((n) => codeOf(page.client.publish("a", n)));
  await clock.advance(20_000);
  assertEquals(published(gateway), [1, 2]);
  assertEquals(await Promise.all(codes), ["fulfilled", "fulfilled"]);
  assertEquals(page.errors, ["outbox: TimeoutError: The store does not answer."]);
  await page.client.disconnect();
});

Deno.test("disconnect() rejects what is being written down", async () => {
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const store: OutboxStore = {
    load: () => [],
    put: () => new Promise((resolve) => void clock.schedule(50, resolve)),
    remove: () => {},
  };
  const page = new KeptPage(new FakeStorage(), gateway, clock, {}, {}, store);
  await page.client.connect();
  await clock.advance(0);
  let told = "nothing";
  void codeOf(page.client.publish("a", 1)).then((code) => told = code);
  await clock.advance(0);
  await page.client.disconnect();
  await clock.advance(1000);
  assertEquals(told, "disconnected");
});

Deno.test("disconnect() while what was left is taken over leaves no lock", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock);
  before.client.publish("a", 1).catch(() => {});
  await clock.advance(0);
  const next = reload(storage, before);
  let loaded = (_: unknown[]): void => {};
  const plain = storageStore(next);
  const slow: OutboxStore = {
    load: () => new Promise((resolve) => loaded = resolve),
    put: plain.put,
    remove: plain.remove,
  };
  const page = new KeptPage(next, gateway, clock, {}, {}, slow);
  page.client.connect().catch(() => {});
  await clock.advance(1);
  await page.client.disconnect();
  loaded([...plain.load() as Iterable<unknown>]);
  await clock.advance(0);
  assertEquals([...next.held.keys()], []);
});

Deno.test("what another page has sent is not written down again by one that was closed", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock);
  before.client.publish("a", 1).catch(() => {});
  await clock.advance(0);
  const next = reload(storage, before);
  const slow = slowStore(next, clock);
  const page = new KeptPage(next, gateway, clock, {}, {}, slow);
  await page.client.connect();
  await clock.advance(10);
  await page.client.disconnect();
  await clock.advance(50);
  const other = new KeptPage(next, gateway, clock);
  await other.client.connect();
  await clock.advance(10);
  assertEquals([published(gateway), next.texts.size], [[1], 0]);
  await clock.advance(400_000);
  assertEquals([published(gateway), [...next.texts.values()]], [[1], []]);
  await other.client.disconnect();
});

Deno.test("a large publish that was kept is not forgotten without a word", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock, { maxSize: 5_000_000 });
  before.client.publish("a", "x".repeat(1_100_000)).catch(() => {});
  await clock.advance(0);
  assertEquals(storage.texts.size, 1);
  const next = reload(storage, before);
  const page = new KeptPage(next, gateway, clock, { maxSize: 5_000_000 });
  await page.client.connect();
  await clock.advance(0);
  assertEquals([published(gateway), page.errors], [[], ["outbox: message_too_large"]]);
  await page.client.disconnect();
});

Deno.test("what settles while it is being written down does not stay in a slow store", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const slow = slowStore(storage, clock);
  const page = new KeptPage(storage, gateway, clock, {}, {}, slow);
  const abort = new AbortController();
  const code = codeOf(page.client.publish("a", 1, abort));
  abort.abort(new Error("back"));
  await code;
  await clock.advance(1000);
  assertEquals(storage.texts.size, 0);
});

Deno.test("what could not be marked as sent is not sent by a later page", async () => {
  const storage = new FakeStorage();
  const [gateway, clock] = [new FakeGateway(), new ManualClock()];
  const before = new KeptPage(storage, gateway, clock);
  before.client.publish("a", 1).catch(() => {});
  await clock.advance(0);
  storage.failure = new DOMException("full", "QuotaExceededError");
  gateway.answers["channel.publish"] = () => undefined;
  await before.client.connect();
  await clock.advance(0);
  assertEquals(published(gateway), [1]);
  const next = reload(storage, before);
  delete gateway.answers["channel.publish"];
  clock.jump(400_000);
  const page = new KeptPage(next, gateway, clock);
  await page.client.connect();
  await clock.advance(0);
  assertEquals(published(gateway), [1]);
  await page.client.disconnect();
});

Deno.test("pages that are reloaded at any moment publish everything once, in the order of each channel", async () => {
  for (let round = 0; round < 60; round++) {
    const seed = Date.now() % 1e6 + round;
    const random = seededRandom(seed);
    nextSeed = seed;
    const clock = new ManualClock();
    const gateway = new FakeGateway();
    const stored = new Map<string, number>();
    const log: { [channel: string]: number[] } = { a: [], b: [] };
    const dead = new Set<unknown>();
    const seen = new Set<string>();
    /** Up to here a page that is gone has published. */
    let left: { [channel: string]: number } = { a: 0, b: 0 };
    let losing = false;
    gateway.answers["channel.publish"] = ({ channel, id, data }, connection) => {
      const isFirst = !seen.has(`${channel} ${id}`);
      seen.add(`${channel} ${id}`);
      // A connection that is cut loses what comes after, and perhaps the answer to what came last.
      if (dead.has(connection)) return undefined;
      if (losing) dead.add(connection);
      if (losing && random.below(2) === 0) return undefined;
      // Of several on their way one that is refused, with an answer that is lost, would come last.
      if (!losing && isFirst && data <= left[channel] && random.below(4) === 0) {
        return { type: "error", code: "rate_limited", message: "" };
      }
      const key = `${channel} ${id}`;
      if (!stored.has(key)) {
        stored.set(key, stored.size + 1);
        log[channel].push(data);
      }
      const seq = stored.get(key)!;
      const answer = {
        type: "channel.published",
        channel,
        delivered: 0,
        event_id: "x",
        epoch: "e",
      };
      return losing ? undefined : { ...answer, seq };
    };
    let storage = new FakeStorage();
    let page = new KeptPage(storage, gateway, clock);
    const counts: { [channel: string]: number } = { a: 0, b: 0 };
    /** Of these a promise has told that they were not stored, or that nobody knows. */
    const told = new Set<string>();
    let reported = 0;
    for (let step = 0; step < 40; step++) {
      switch (random.below(7)) {
        case 0:
          page.client.connect().catch(() => {});
          break;
        case 1:
          gateway.drop();
          break;
        case 2: {
          const next = reload(storage, page);
          reported += page.errors.length;
          void page.client.disconnect();
          // What was on its way arrives.
          await clock.advance(10);
          left = { ...counts };
          storage = next;
          page = new KeptPage(storage, gateway, clock);
          break;
        }
        case 3:
          await clock.advance(random.below(400));
          break;
        default: {
          const channel = random.pick(["a", "b"]);
          const n = ++counts[channel];
          losing = random.below(3) === 0;
          page.client.publish(channel, n).catch((error) => {
            const isTold = ["rate_limited", "outcome_unknown"].includes(error.code);
            if (isTold) told.add(`${channel} ${n}`);
          });
          if (random.below(2) === 0) await clock.advance(random.below(3));
          losing = false;
        }
      }
    }
    page.client.connect().catch(() => {});
    await clock.advance(120_000);
    gateway.drop();
    await clock.advance(120_000);
    reported += page.errors.length;
    let missing = 0;
    for (const channel of ["a", "b"]) {
      const numbers = log[channel];
      assertEquals(numbers, numbers.toSorted((a, b) => a - b), `seed ${seed}`);
      assertEquals(new Set(numbers).size, numbers.length, `seed ${seed}`);
      for (let n = 1; n <= counts[channel]; n++) {
        if (!numbers.includes(n) && !told.has(`${channel} ${n}`)) missing++;
      }
    }
    assert(missing <= reported, `seed ${seed}: ${missing} are missing, ${reported} were reported`);
    assertEquals(storage.texts.size, 0, `seed ${seed}`);
    await page.client.disconnect();
  }
});

Deno.test("keepPublishes() refuses what it cannot work with", () => {
  const store = storageStore(new FakeStorage());
  // @ts-expect-error: a caller without types
  assertThrows(() => keepPublishes({}), TypeError, "'store'");
  assertThrows(() => keepPublishes(store, { maxAge: 0 }), RangeError, "'maxAge'");
  assertThrows(() => keepPublishes(store, { maxPublishes: 0.5 }), RangeError, "'maxPublishes'");
  // @ts-expect-error: a caller without types
  assertThrows(() => keepPublishes(store, { ttl: 5 }), TypeError, "ttl");
  const outbox = keepPublishes(store);
  new PushClient("ws://gateway.test", { outbox });
  assertThrows(() => new PushClient("ws://gateway.test", { outbox }), TypeError, "two clients");
  // @ts-expect-error: a caller without types
  assertThrows(() => new PushClient("ws://gateway.test", { outbox: 5 }), TypeError, "'outbox'");
});
