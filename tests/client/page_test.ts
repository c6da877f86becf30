import { assertEquals, assertRejects } from "@std/assert";
import { type Environment, type Keep, PushError } from "@push/client";
import { connected, gate, setUp } from "./setup.ts";

/** A page in a browser: its storage is a copy where the tab was duplicated, its locks are shared. */
class FakePage implements Environment {
  readonly #locks: Set<string>;
  readonly #wakes = new Set<() => void>();
  readonly #hides = new Set<() => void>();
  readonly #held = new Set<string>();
  readonly storage: Map<string, string>;
  readonly keep: Keep;

  constructor(storage: Iterable<[string, string]> = [], locks = new Set<string>()) {
    this.storage = new Map(storage);
    this.#locks = locks;
    this.keep = {
      read: (key) => this.storage.get(key) ?? null,
      write: (key, text) => {
        if (text === null) this.storage.delete(key);
        else this.storage.set(key, text);
      },
      lock: async (name) => {
        await Promise.resolve();
        if (locks.has(name)) return undefined;
        locks.add(name);
        this.#held.add(name);
        return () => {
          locks.delete(name);
          this.#held.delete(name);
        };
      },
    };
  }

  /** Tasks that wait for something to happen to the page. */
  get watched(): number {
    return this.#wakes.size + this.#hides.size;
  }

  onWake(task: () => void): () => void {
    this.#wakes.add(task);
    return () => this.#wakes.delete(task);
  }

  onHide(task: () => void): () => void {
    this.#hides.add(task);
    return () => this.#hides.delete(task);
  }

  wake(): void {
    for (const task of this.#wakes) task();
  }

  /** The page goes, and its locks with it. */
  unload(): void {
    for (const task of this.#hides) task();
    for (const name of this.#held) this.#locks.delete(name);
  }

  /** The page that a reload brings. */
  reloaded(): FakePage {
    return new FakePage(this.storage, this.#locks);
  }
}

Deno.test("a page that is back does not wait to reconnect", async () => {
  const page = new FakePage();
  const { client, gateway, clock } = await connected({
    environment: page,
    reconnectDelay: { min: 60, max: 60 },
  });
  gateway.drop();
  await clock.advance(1000);
  assertEquals(client.state, "reconnecting");
  page.wake();
  await clock.advance(0);
  assertEquals(client.state, "connected");
  await client.disconnect();
  assertEquals(page.watched, 0);
});

Deno.test("a page that is back gives its connection 5 seconds to show that it lives", async () => {
  for (const alive of [true, false]) {
    const page = new FakePage();
    const { client, gateway, clock } = await connected({ environment: page });
    if (!alive) gateway.answers.ping = () => undefined;
    page.wake();
    await clock.advance(0);
    assertEquals(gateway.of("ping").length, 1);
    await clock.advance(4999);
    assertEquals(client.state, "connected");
    await clock.advance(1);
    assertEquals(client.state, alive ? "connected" : "reconnecting");
    await client.disconnect();
  }
});

Deno.test("a page that goes acknowledges what was handled", async () => {
  const page = new FakePage();
  const { client, gateway, settle } = await connected({ environment: page });
  await client.subscribe("a", () => {});
  gateway.message("a", 1);
  await settle();
  page.unload();
  await settle();
  assertEquals(gateway.last("ack").acks[0].ranges, [1, 1]);
  await client.disconnect();
});

Deno.test("a page that goes acknowledges over long-polling too, in a request that outlives it", async () => {
  const page = new FakePage();
  const kept: boolean[] = [];
  const setup = setUp({
    environment: page,
    transports: ["longpoll"],
    fetch: (url, init) => {
      if (url.endsWith("/send")) kept.push(init.keepalive === true);
      return setup.gateway.fetch(url, init);
    },
  });
  const { client, gateway, settle } = setup;
  await client.connect();
  await client.subscribe("a", () => {});
  gateway.message("a", 1);
  await settle();
  page.unload();
  await settle();
  assertEquals(gateway.last("ack").acks[0].ranges, [1, 1]);
  assertEquals(kept, [false, true]);
  await client.disconnect();
});

Deno.test("after a reload the client is the same, and goes on behind what was handled", async () => {
  const page = new FakePage();
  const before = await connected({ environment: page });
  const handled = gate();
  await before.client.subscribe("a", ({ data }) => data === "a 2" ? handled.promise : undefined, {
    concurrency: 2,
  });
  for (const seq of [1, 2, 3, 4]) before.gateway.message("a", seq);
  await before.clock.advance(1000);
  page.unload();

  const after = setUp({ environment: page.reloaded() });
  const got: unknown[] = [];
  const subscribing = after.client.subscribe("a", ({ data }) => got.push(data), { last: 10 });
  await after.client.connect();
  await subscribing;
  const { client_id, secret, subscriptions } = after.gateway.last("connect");
  assertEquals({ client_id, secret, subscriptions }, {
    client_id: "minted",
    secret: "s3cret",
    subscriptions: [{ channel: "a", position: { epoch: "e1", seq: 1 } }],
  });
  for (const seq of [2, 3, 4, 5]) after.gateway.message("a", seq, { redelivered: seq < 5 });
  await after.clock.advance(1000);
  assertEquals(got, ["a 2", "a 5"]);
  assertEquals(after.gateway.last("ack").acks[0].ranges, [2, 5]);
  handled.open();
  await before.client.disconnect();
  await after.client.disconnect();
});

Deno.test("after a reload a channel that is asked for again before it flows goes on", async () => {
  for (const isRefused of [false, true]) {
    const page = new FakePage();
    const before = await connected({ environment: page });
    await before.client.subscribe("a", () => {});
    before.gateway.message("a", 1);
    await before.clock.advance(1000);
    page.unload();

    const { client, gateway, clock } = setUp({ environment: page.reloaded() });
    const subscribed = gateway.subscribed.bind(gateway);
    if (isRefused) {
      gateway.subscribed = ({ channel }) => ({ type: "error", code: "unavailable", channel });
    } else gateway.sockets = "hanging";
    const connecting = client.connect();
    const first = assertRejects(() => client.subscribe("a", () => {}), PushError);
    await clock.advance(0);
    await client.unsubscribe("a");
    await first;
    gateway.subscribed = subscribed;
    const again = client.subscribe("a", () => {});
    await clock.advance(3000);
    await Promise.all([connecting, again]);
    const asked = isRefused
      ? gateway.last("channel.subscribe")
      : gateway.of("connect")[0].subscriptions[0];
    assertEquals(asked.position, { epoch: "e1", seq: 1 });
    await client.disconnect();
    await before.client.disconnect();
  }
});

Deno.test("a duplicated tab is another client", async () => {
  const page = new FakePage();
  const first = await connected({ environment: page });
  await first.client.subscribe("a", () => {});
  first.gateway.message("a", 1);
  await first.clock.advance(1000);

  const copy = page.reloaded();
  const second = setUp({ environment: copy });
  const connecting = second.client.connect();
  await second.clock.advance(1000);
  await connecting;
  assertEquals(second.gateway.last("connect").client_id, undefined);
  await first.client.disconnect();
  await second.client.disconnect();
});

Deno.test("the page before a reload may give its name back late", async () => {
  const page = new FakePage();
  const before = await connected({ environment: page });
  await before.clock.advance(0);
  const next = page.reloaded();
  const after = setUp({ environment: next });
  const connecting = after.client.connect();
  await after.clock.advance(300);
  page.unload();
  await after.clock.advance(300);
  await connecting;
  assertEquals(after.gateway.last("connect").client_id, "minted");
  await before.client.disconnect();
  await after.client.disconnect();
});

Deno.test("two clients of one page keep their own, also over a reload", async () => {
  const page = new FakePage();
  const clients = [];
  for (const name of ["one", "two"]) {
    const setup = setUp({ environment: page });
    setup.gateway.answers.connect = (frame, connection) => {
      setup.gateway.current = connection;
      return { ...setup.gateway.connected(frame), client_id: name };
    };
    await setup.client.connect();
    await setup.clock.advance(0);
    clients.push(setup);
  }
  page.unload();
  const next = page.reloaded();
  for (const { client } of clients) await client.disconnect();
  const names = [];
  for (let i = 0; i < 2; i++) {
    const { client, gateway, clock } = setUp({ environment: next });
    await client.connect();
    await clock.advance(0);
    names.push([gateway.last("connect").client_id, client]);
  }
  assertEquals(names.map(([name]) => name), ["one", "two"]);
  for (const [, client] of names) await (client as typeof clients[0]["client"]).disconnect();
});

Deno.test("what a page kept of an epoch goes on in the next one as far as that is kept", async () => {
  for (const [base, position, again] of [[9, 4, ["a 5"]], [6, 4, ["a 5", "a 7"]], [2, 2, [3, 5]]]) {
    const snapshot = { epoch: "e1", floor: 4, settled: [6, 8] };
    const kept = { clientId: "c", secret: "s", positions: [["a", snapshot]] };
    const page = new FakePage([["push:http://gateway.test::0", JSON.stringify(kept)]]);
    const { client, gateway, clock } = setUp({ environment: page });
    const got: unknown[] = [];
    const gaps: unknown[] = [];
    client.on("gap", ({ seq }) => gaps.push(seq));
    gateway.subscribed = ({ channel }) => ({
      ...{ type: "channel.subscribed", channel, ok: true, epoch: "e2", seq: 0 },
      earlier: [{ epoch: "e1", base }],
    });
    const subscribing = client.subscribe("a", ({ data }) => got.push(data));
    await client.connect();
    await subscribing;
    page.unload();
    const { positions } = JSON.parse([...page.storage.values()][0]);
    assertEquals([positions[0][1].epoch, positions[0][1].floor], ["e2", position]);
    const wanted = base === 2 ? [3, 5] : [5, 6, 7];
    for (const seq of wanted) {
      gateway.message("a", seq, { epoch: "e2", data: base === 2 ? seq : `a ${seq}` });
    }
    await clock.advance(1000);
    assertEquals([got, gaps], [again, base === 2 ? [2] : []]);
    await client.disconnect();
  }
});

Deno.test("an unnamed client that is disconnected keeps nothing, a named one its positions", async () => {
  for (const clientId of [undefined, "me"]) {
    const page = new FakePage();
    const { client, gateway, clock } = await connected({ environment: page, clientId });
    await client.subscribe("a", () => {});
    gateway.message("a", 1);
    await clock.advance(1000);
    await client.disconnect();
    assertEquals(page.storage.size, clientId ? 1 : 0);
    await client.connect();
    await clock.advance(0);
    await client.disconnect({ forget: true });
    assertEquals(page.storage.size, 0);
  }
});

Deno.test("what else is in the storage is not believed", async () => {
  const key = "push:http://gateway.test::0";
  const good = JSON.stringify({ clientId: "c", secret: 5, positions: 7 });
  const texts = ["", "{", "5", "null", "{}", '{"clientId":"a b"}', good];
  const odd = [["a", null], ["b", { epoch: "E", floor: 1, settled: [] }], 5, ["c"], [
    "a",
    { epoch: "e", floor: 1, settled: [2, 1] },
  ]];
  texts.push(JSON.stringify({ clientId: "c", positions: odd }));
  for (const text of texts) {
    const page = new FakePage([[key, text]]);
    const { client, gateway } = setUp({ environment: page });
    const subscribing = client.subscribe("a");
    await client.connect();
    await subscribing;
    const { client_id, subscriptions } = gateway.last("connect");
    assertEquals(subscriptions, [{ channel: "a" }]);
    assertEquals(client_id, text.includes('"c"') ? "c" : undefined);
    await client.disconnect();
  }
});

Deno.test("a storage that is full or broken costs the positions of a reload, and nothing else", async () => {
  const page = new FakePage();
  const keep: Keep = {
    read: () => {
      throw new Error("broken");
    },
    write: () => {
      throw new Error("full");
    },
    lock: () => Promise.reject(new Error("no locks")),
  };
  const environment = { onWake: page.onWake.bind(page), onHide: page.onHide.bind(page), keep };
  const { client, gateway, clock, errors } = await connected({ environment });
  await client.subscribe("a", () => {});
  gateway.message("a", 1);
  await clock.advance(1000);
  assertEquals([client.state, errors], ["connected", []]);
  await client.disconnect();
});

Deno.test("in a browser the page tells of itself, and its session storage keeps", async () => {
  const held = new Set<string>();
  const document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const locks = {
    request: async (name: string, _: unknown, callback: (lock: unknown) => unknown) => {
      if (held.has(name)) return await callback(null);
      held.add(name);
      await callback({ name });
      held.delete(name);
    },
  };
  const fakes = { document, navigator: { locks } };
  const real = Object.entries(fakes).map(([name]) =>
    [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const
  );
  try {
    for (const [name, value] of Object.entries(fakes)) {
      Object.defineProperty(globalThis, name, { value, configurable: true });
    }
    const { browserEnvironment } = await import("../../client/environment.ts");
    const page = browserEnvironment()!;
    assertEquals(browserEnvironment(), page);
    const told: string[] = [];
    const ends = [page.onWake(() => told.push("wake")), page.onHide(() => told.push("hide"))];
    const visible = new Event("visibilitychange");
    document.dispatchEvent(visible);
    document.visibilityState = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    dispatchEvent(new Event("online"));
    dispatchEvent(new Event("pageshow"));
    dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    dispatchEvent(new Event("pagehide"));
    assertEquals(told, ["wake", "wake", "wake", "hide"]);
    for (const end of ends) end();
    dispatchEvent(new Event("online"));
    dispatchEvent(new Event("pagehide"));
    assertEquals(told.length, 4);

    const keep = page.keep!;
    keep.write("push test", "kept");
    assertEquals([keep.read("push test"), sessionStorage.getItem("push test")], ["kept", "kept"]);
    keep.write("push test", null);
    assertEquals(keep.read("push test"), null);

    const release = await keep.lock("name");
    assertEquals(await keep.lock("name"), undefined);
    release!();
    await Promise.resolve();
    await Promise.resolve();
    assertEquals(typeof await keep.lock("name"), "function");
  } finally {
    for (const [name, descriptor] of real) {
      Reflect.deleteProperty(globalThis, name);
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    }
  }
});

Deno.test("what a page kept of a channel is of no use once the channel is left", async () => {
  const page = new FakePage();
  const before = await connected({ environment: page });
  await before.client.subscribe("a", () => {});
  before.gateway.message("a", 1);
  await before.clock.advance(1000);
  page.unload();

  const { client, gateway, clock } = await connected({ environment: page.reloaded() });
  const subscription = await client.subscribe("a", () => {});
  assertEquals(gateway.last("channel.subscribe").position, { epoch: "e1", seq: 1 });
  gateway.message("a", 2);
  await clock.advance(1000);
  await subscription.unsubscribe();
  await client.subscribe("a", () => {});
  assertEquals(gateway.last("channel.subscribe").position, undefined);
  await before.client.disconnect();
  await client.disconnect();
});

Deno.test("a client that is closed before its name is held gives the name back", async () => {
  const page = new FakePage();
  const locks = new Set<string>();
  const asked = gate();
  page.keep.lock = async (name) => {
    await asked.promise;
    locks.add(name);
    return () => locks.delete(name);
  };
  const { client, settle } = await connected({ environment: page });
  await client.disconnect();
  asked.open();
  await settle();
  assertEquals([[...locks], [...page.storage]], [[], []]);
});

Deno.test("a client that is closed while it looks for what the page had holds no name, and looks again when it is opened", async () => {
  const before = new FakePage();
  const { client: first, clock: earlier } = await connected({ environment: before });
  await earlier.advance(0);
  before.unload();
  const page = before.reloaded();
  const { client, gateway, clock } = setUp({ environment: page });
  const connecting = assertRejects(() => client.connect(), PushError);
  await client.disconnect();
  await connecting;
  await clock.advance(1000);
  const release = await page.keep.lock("push:minted");
  assertEquals(typeof release, "function");
  release?.();
  const again = client.connect();
  await clock.advance(1000);
  await again;
  assertEquals(gateway.last("connect").client_id, "minted");
  await client.disconnect();
  await first.disconnect();
});

Deno.test("a page that comes back hears the answer to what it said when it went", async () => {
  const page = new FakePage();
  const { client, settle } = await connected({ environment: page, transports: ["longpoll"] });
  const publishing = client.publish("a", 1);
  page.unload();
  await settle();
  assertEquals((await publishing).seq, 1);
  await client.disconnect();
});

Deno.test("what a page says when it goes comes behind what is under way", async () => {
  const page = new FakePage();
  const slow = gate();
  const stored: string[] = [];
  const setup = setUp({
    environment: page,
    transports: ["longpoll"],
    fetch: async (url, init) => {
      if (url.endsWith("/send") && !init.keepalive) await slow.promise;
      return await setup.gateway.fetch(url, init);
    },
  });
  const { client, gateway, settle } = setup;
  const { answers } = gateway;
  answers["channel.publish"] = ({ id, channel }) => {
    if (!stored.includes(id)) stored.push(id);
    const place = { event_id: id, epoch: "e1", seq: stored.indexOf(id) + 1 };
    return { type: "channel.published", channel, delivered: 0, ...place };
  };
  await client.connect();
  const first = client.publish("a", 1, { id: "first" });
  await settle();
  const last = client.publish("a", 2, { id: "last" });
  page.unload();
  await settle();
  slow.open();
  assertEquals([(await first).seq, (await last).seq], [1, 2]);
  assertEquals(stored, ["first", "last"]);
  await client.disconnect();
});

Deno.test("what could not be said when the page went is said when it is back", async () => {
  const page = new FakePage();
  let isLost = false;
  const setup = setUp({
    environment: page,
    transports: ["longpoll"],
    fetch: (url, init) => {
      if (isLost && init.keepalive) {
        throw new TypeError("more than a request may outlive a page by");
      }
      return setup.gateway.fetch(url, init);
    },
  });
  const { client, clock } = setup;
  await client.connect();
  isLost = true;
  const publishing = client.publish("a", 1);
  page.unload();
  await clock.advance(1000);
  assertEquals((await publishing).seq, 1);
  await client.disconnect();
});

Deno.test("what a page says after it has gone comes behind what it said when it went", async () => {
  const page = new FakePage();
  const slow = gate();
  const setup = setUp({
    environment: page,
    transports: ["longpoll"],
    fetch: async (url, init) => {
      if (init.keepalive) await slow.promise;
      return await setup.gateway.fetch(url, init);
    },
  });
  const { client, gateway, settle } = setup;
  await client.connect();
  const going = client.publish("a", 1, { id: "going" });
  page.unload();
  await settle();
  const back = client.publish("a", 2, { id: "back" });
  await settle();
  slow.open();
  await Promise.all([going, back]);
  assertEquals(gateway.of("channel.publish").map(({ id }) => id), ["going", "back"]);
  await client.disconnect();
});

Deno.test("what was under way when a page went is not said again behind what it said then", async () => {
  const page = new FakePage();
  const slow = gate();
  const setup = setUp({
    environment: page,
    transports: ["longpoll"],
    fetch: async (url, init) => {
      if (url.endsWith("/send") && !init.keepalive) await slow.promise;
      return await setup.gateway.fetch(url, init);
    },
  });
  const { client, gateway, clock, settle } = setup;
  await client.connect();
  slow.open();
  await client.subscribe("a", () => {});
  const lost = gate();
  slow.promise = lost.promise;
  void client.unsubscribe("a");
  await settle();
  const subscribing = client.subscribe("a", () => {});
  page.unload();
  await subscribing;
  slow.promise = Promise.resolve();
  lost.fail(new TypeError("the page was frozen"));
  await clock.advance(5000);
  assertEquals(
    gateway.heard.map(({ type }) => type).filter((type) => type.startsWith("channel.")),
    ["channel.subscribe", "channel.unsubscribe", "channel.subscribe"],
  );
  await client.disconnect();
});

Deno.test("a page that goes says no more at once than a gateway takes, and the rest when it is back", async () => {
  const page = new FakePage();
  const slow = gate();
  let most = 0;
  const setup = setUp({
    environment: page,
    transports: ["longpoll"],
    maxOutbox: 3000,
    fetch: async (url, init) => {
      if (url.endsWith("/send")) {
        most = Math.max(most, JSON.parse(String(init.body)).frames.length);
        if (!init.keepalive) await slow.promise;
      }
      return await setup.gateway.fetch(url, init);
    },
  });
  const { client, gateway, settle } = setup;
  await client.connect();
  const all = Array.from({ length: 1000 }, (_, n) => client.publish("a", n, { id: `${n}` }));
  await settle();
  for (let n = 1000; n < 1100; n++) all.push(client.publish("a", n, { id: `${n}` }));
  page.unload();
  await settle();
  slow.open();
  await Promise.all(all);
  assertEquals(most, 1024);
  const heard = new Set(gateway.of("channel.publish").map(({ id }) => Number(id)));
  assertEquals([...heard], Array.from({ length: 1100 }, (_, n) => n));
  await client.disconnect();
});
