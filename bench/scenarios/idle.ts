/** Connections that do nothing: what they take, and what it takes to open them. */
import { BARE, BARE_WS, FIXED_ON, gateway, ON, WS_ON } from "../peers/mod.ts";
import type { Result } from "../load/plan.ts";
import type { Scenario } from "../scenario.ts";
import { show } from "../figures.ts";

const WS_FIXED = gateway({
  name: "fixed wire over ws, acknowledged",
  wire: "fixed",
  acks: "each",
  options: { websocket: "ws" },
});
/** What README.md names for many idle connections. */
const SMALL = { acks: "cumulative", v8Flags: ["--max-semi-space-size=4"] } as const;
const ON_SMALL = gateway({
  ...SMALL,
  name: "@push/client's wire, 4 MB of new space",
  wire: "extended",
});
const WS_SMALL = gateway({
  ...SMALL,
  name: "@push/client's wire over ws, 4 MB of new space",
  wire: "extended",
  options: { websocket: "ws" },
});

/** Seconds for which nothing happens: memory settles, and the CPU time of it is the idle one. */
const QUIET = 3;
/** Seconds between two signs of life of a client, as the gateway asks for by default. */
const BEAT_INTERVAL = 15;
/** Seconds for which they are measured: a beat of each takes longer, but they are alike. */
const BEATING = 10;

/** Opens them, leaves them alone, and sends each one message in the end. */
export const idle: Scenario = {
  name: "idle",
  about: "memory and CPU of idle connections, and connects a second",
  async run(stage) {
    const { idle, seconds } = stage.scale;
    const plan = {
      subscribers: idle,
      publishers: 1,
      isIdle: true,
      seconds: Math.min(QUIET, 2 * seconds),
      beatInterval: BEAT_INTERVAL,
      beatSeconds: Math.min(BEATING, 9 * seconds),
    };
    const peers = [
      BARE,
      ON,
      ON_SMALL,
      FIXED_ON,
      BARE_WS,
      WS_ON,
      WS_SMALL,
      WS_FIXED,
      ...(stage.scale.isShort ? [] : stage.others),
    ];
    const figures = ({ memory, connecting, cpu, seconds, beats }: Result) => ({
      memory: (memory.end - memory.before) / idle / 1024,
      rate: idle / connecting.seconds,
      connect: connecting.cpu * 1e6 / idle,
      server: 100 * cpu / seconds,
      // Where the server asks, nothing is said of what a client costs that speaks by itself.
      ...beats.answered > 0 && {
        beating: 100 * beats.cpu / beats.seconds,
        beat: beats.cpu * 1e6 / beats.answered,
      },
    });
    return [{
      name: "idle",
      title: "Idle connections",
      about: `${show(idle)} connections with one subscription each, 128 being opened at a time. ` +
        "Memory is what the process has more of than before them. Then each says that it lives every " +
        `${BEAT_INTERVAL} s, as @push/client does, and is answered. In the end each gets a message.`,
      columns: [
        { key: "memory", title: "KiB a connection", digits: 1 },
        { key: "byBare", title: "× bare", digits: 2 },
        { key: "byBareWs", title: "× bare npm:ws", digits: 2 },
        { key: "rate", title: "connects/s", digits: 0 },
        { key: "connect", title: "CPU a connect, µs", digits: 0 },
        { key: "server", title: "idle CPU, % of a core", digits: 1 },
        { key: "beating", title: "with heartbeats, %", digits: 1 },
        { key: "beat", title: "CPU a heartbeat, µs", digits: 0 },
      ],
      rows: await stage.compare("idle", peers.map((peer) => ({ peer, plan })), figures, [
        { key: "byBare", of: "memory", base: BARE },
        { key: "byBareWs", of: "memory", base: BARE_WS },
      ]),
      picture: {
        kind: "bars",
        title: `Memory of an idle connection, ${show(idle)} of them`,
        unit: "KiB",
        keys: ["memory"],
      },
    }];
  },
};
