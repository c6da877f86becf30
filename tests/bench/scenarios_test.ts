import { assert, assertEquals } from "@std/assert";
import { BARE, type Peer, TURN } from "../../bench/peers/mod.ts";
import { pictureOf, plainOf } from "../../bench/report.ts";
import { FULL, type Scale, type Section } from "../../bench/scenario.ts";
import { SCENARIOS } from "../../bench/scenarios/mod.ts";
import { Stage, wrongIn } from "../../bench/stage.ts";

const TINY: Scale = {
  ...FULL,
  seconds: 0.1,
  warm: 0.02,
  patience: 5,
  fanOut: [5],
  subscribers: 6,
  publishers: 3,
  rates: [200],
  overload: 300,
  channels: 2,
  requesters: 3,
  idle: 20,
  minutes: 0.02,
  churners: 20,
};

/** One server of each kind: a scenario has several that only differ in options. */
const WANTED = [
  "fan-out: bare loop",
  "fan-out: @push/client's wire, acknowledged",
  "channels: @push/client's wire, acknowledged",
  "requests: fixed wire, delivery off",
  "latency: bare loop, a frame a turn",
  "acks: fixed wire, acknowledged",
  "stores: Deno KV",
  "stores: Redis",
  "nodes: 2 gateways",
  "polling: long-polling",
  "publishes: @push/client's wire, 1 connection, pipelined",
  "idle: bare loop of npm:ws",
  "idle: @push/client's wire over ws, acknowledged",
  "overload: fixed wire, acknowledged",
  "churn: @push/client's wire, acknowledged",
];

function stageFor(scenario: string): Stage {
  return new Stage({
    scale: TINY,
    rounds: 1,
    others: [],
    isWanted: ({ name }) => WANTED.includes(`${scenario}: ${name}`),
    onProgress() {},
  });
}

Deno.test("every scenario runs with a few clients, and nothing is lost", async () => {
  const waiting = SCENARIOS.map((scenario) => scenario);
  const found: string[] = [];
  const run = async () => {
    for (let scenario; (scenario = waiting.shift());) {
      await using stage = stageFor(scenario.name);
      for (const section of await scenario.run(stage)) {
        check(section);
        found.push(...section.rows.map(({ name }) => `${scenario.name}: ${name}`));
      }
    }
  };
  await Promise.all([run(), run(), run()]);
  assertEquals([...new Set(found)].toSorted(), WANTED.toSorted());
});

function check(section: Section): void {
  const text = plainOf(section);
  assert(section.rows.length > 0, text);
  assertEquals(section.rows.filter(({ isVoid }) => isVoid !== undefined), [], text);
  for (const { figures } of section.rows) {
    assert(Object.values(figures).length > 0, text);
  }
  // A picture of these, too, can be drawn.
  pictureOf(section);
}

/** Starts no server, but one that loses, repeats or exchanges messages, as the name says. */
function liar(how: string): Peer {
  return { ...TURN, name: how, start: () => Promise.resolve(serve(how)) };
}

function serve(how: string) {
  const sockets = new Set<WebSocket>();
  let count = 0;
  let held: string | undefined;
  const deliver = (text: string) => sockets.forEach((socket) => socket.send(text));
  const publish = (text: string) => {
    count++;
    if (how === "loses" && count === 2) return;
    if (how === "exchanges" && count === 2) return void (held = text);
    deliver(text);
    if (how === "repeats" && count === 2) deliver(text);
    if (held !== undefined) deliver(held);
    held = undefined;
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    socket.onopen = () => {
      if (request.url.includes("channel=")) sockets.add(socket);
      socket.send('{"type":"ready"}');
    };
    socket.onclose = () => sockets.delete(socket);
    socket.onmessage = ({ data }) => publish(data.slice(data.indexOf(" ") + 1));
    return response;
  });
  return {
    ports: [server.addr.port],
    pids: [Deno.pid],
    heap: () => Promise.resolve(0),
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}

for (const how of ["loses", "exchanges", "repeats"]) {
  Deno.test(`a server that ${how} messages has no figure`, async () => {
    const scale = { ...TINY, patience: 0.1 };
    await using stage = new Stage({ scale, rounds: 1, others: [], onProgress() {} });
    const plan = { subscribers: 2, publishers: 1, inFlight: 4 };
    const [row] = await stage.compare("lies", [{ peer: liar(how), plan }], () => ({ cpu: 1 }));
    assertEquals(row.figures, {});
    assert(row.isVoid !== undefined);
  });
}

Deno.test("a server that does not start has no figure, and the others have theirs", async () => {
  await using stage = new Stage({ scale: TINY, rounds: 1, others: [], onProgress() {} });
  const broken = { ...BARE, start: () => Promise.reject(new Error("The port is taken.")) };
  const plan = { subscribers: 2, publishers: 1 };
  const runs = [{ peer: broken, plan }, { peer: BARE, plan }];
  const [first, second] = await stage.compare("start", runs, () => ({ cpu: 1 }));
  assertEquals(first, { name: BARE.name, figures: {}, isVoid: "The port is taken." });
  assertEquals(second, { name: BARE.name, figures: { cpu: 1 } });
});

Deno.test("what went wrong is told in one line", () => {
  const verdict = { missing: 1, repeated: 2, early: 3 };
  const result = { verdict, trouble: ["4003 gone"] } as unknown as Parameters<typeof wrongIn>[0];
  assertEquals(wrongIn(result), "1 missing, 2 repeated, 3 out of order, 4003 gone");
});
