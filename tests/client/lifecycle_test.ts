import { assertEquals } from "@std/assert";
import type { ClientOptions, Environment } from "@push/client";
import { type Setup, setUp } from "./setup.ts";

/** Longer than any wait between rounds. */
const WAIT = 21_000;
/** Long enough for a connection to count as steady. */
const STEADY = 10_000;
const BOTH: ClientOptions = { transports: ["websocket", "longpoll"], requestTimeout: 3 };

type Step = (setup: Setup) => unknown;

const connect: Step = ({ client, settle }) => {
  client.connect().catch(() => {});
  return settle();
};
const sockets = (fate: "open" | "refused" | "hanging"): Step => ({ gateway }) => {
  gateway.sockets = fate;
};
const http = (fate: "refused"): Step => ({ gateway }) => {
  gateway.http = fate;
};
const after = (ms: number): Step => ({ clock }) => clock.advance(ms);
const drop = (close: number): Step => ({ gateway, settle }) => {
  gateway.drop(close);
  return settle();
};
const busy: Step = ({ gateway }) => {
  gateway.answers.connect = () => ({ type: "error", code: "going_away", message: "busy" });
};
const forget: Step = ({ gateway }) => {
  gateway.opened = [];
  gateway.requests = [];
};

/** Which transports were tried, and what the client is in the end. */
const table: [
  says: string,
  steps: Step[],
  tried: string,
  state: string,
  options?: ClientOptions,
][] = [
  ["connect() opens the best transport", [connect], "ws", "connected"],
  ["a second connect() opens nothing", [connect, connect], "ws", "connected"],
  [
    "an unreachable transport is followed by the next at once",
    [sockets("refused"), connect],
    "ws register",
    "connected",
  ],
  [
    "with no transport left the client waits",
    [sockets("refused"), http("refused"), connect],
    "ws register",
    "connecting",
  ],
  [
    "each round begins anew after its wait",
    [sockets("refused"), http("refused"), connect, after(500)],
    "ws register ws register",
    "connecting",
  ],
  [
    "a gateway that answers is not asked again over another transport",
    [busy, connect],
    "ws",
    "connecting",
  ],
  [
    "without autoReconnect the first round is the last",
    [sockets("refused"), http("refused"), connect, after(WAIT)],
    "ws register",
    "closed",
    { autoReconnect: false },
  ],
  [
    "of three transports each is tried once in a round",
    [sockets("refused"), http("refused"), connect],
    "ws register register",
    "connecting",
    { transports: ["websocket", "sse", "longpoll"] },
  ],
  [
    "the transport that worked last is tried first, where the gateway ended it",
    [sockets("refused"), connect, after(2000), forget, drop(4000), after(500)],
    "register",
    "connected",
  ],
  [
    "once a steady connection is lost no transport is trusted more than another",
    [connect, after(STEADY), forget, sockets("refused"), drop(1006), after(500)],
    "ws register",
    "connected",
  ],
  [
    "disconnect() ends an opening",
    [sockets("hanging"), connect, ({ client }) => client.disconnect(), after(WAIT)],
    "ws",
    "closed",
  ],
  [
    "a closed client can be connected again",
    [connect, drop(4510), connect],
    "ws ws",
    "connected",
  ],
];

for (const [says, steps, tried, state, options] of table) {
  Deno.test(`lifecycle: ${says}`, async () => {
    const setup = setUp({ ...BOTH, ...options });
    const { client, gateway, clock } = setup;
    for (const step of steps) await step(setup);
    const opened = gateway.opened.filter((how) => how.startsWith("ws:")).map(() => "ws");
    const asked = gateway.requests.map(({ route }) => route).filter((it) => it === "register");
    const sorted = tried.split(" ").sort();
    assertEquals([[...opened, ...asked].sort(), client.state], [sorted, state]);
    await client.disconnect();
    await clock.advance(2000);
    assertEquals(clock.pending, 0);
  });
}

/** A page that a test wakes. */
function page(): Environment & { wake: () => void } {
  let task = (): void => {};
  return {
    wake: () => task(),
    onWake: (given) => {
      task = given;
      return () => task = () => {};
    },
    onHide: () => () => {},
  };
}

Deno.test("lifecycle: a woken page does not wait, and does not disturb an opening", async () => {
  const environment = page();
  const { client, gateway, settle } = setUp({ environment, transports: ["websocket"] });
  gateway.sockets = "refused";
  client.connect().catch(() => {});
  await settle();
  assertEquals(gateway.opened.length, 1);
  gateway.sockets = "hanging";
  environment.wake();
  await settle();
  assertEquals([gateway.opened.length, client.state], [2, "connecting"]);
  environment.wake();
  await settle();
  assertEquals(gateway.opened.length, 2);
  await client.disconnect();
  environment.wake();
  assertEquals([gateway.opened.length, client.state], [2, "closed"]);
});

Deno.test("lifecycle: a page that is woken while its transport changes, and closed then, leaves no timer", async () => {
  const environment = page();
  const { client, gateway, clock } = setUp({ environment });
  gateway.sockets = "refused";
  await client.connect();
  gateway.sockets = "open";
  const looked = Promise.withResolvers<void>();
  gateway.answers.connect = () => looked.resolve();
  await Promise.all([looked.promise, clock.advance(6000)]);
  assertEquals([client.state, client.transport], ["connected", "longpoll"]);
  environment.wake();
  await client.disconnect();
  assertEquals(clock.pending, 0);
});

Deno.test("lifecycle: a woken page checks its connection", async () => {
  const environment = page();
  const { client, gateway, clock } = setUp({ environment });
  await client.connect();
  gateway.answers.ping = () => undefined;
  environment.wake();
  await clock.advance(0);
  assertEquals(gateway.of("ping").length, 1);
  await clock.advance(5000);
  assertEquals(client.state, "reconnecting");
  await client.disconnect();
});
