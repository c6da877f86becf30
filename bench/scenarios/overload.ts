/** More than a server can send. */
import { BARE, FIXED_ON, ON, ROOMY_OFF, TURN } from "../peers/mod.ts";
import type { Scenario } from "../scenario.ts";
import { show } from "../figures.ts";
import { figuresOf, P99, PEAK, SERVER } from "./columns.ts";

const PEERS = [BARE, TURN, ON, FIXED_ON, ROOMY_OFF];
/** Longer than other runs: it is about what grows. */
const TIMES = 2;
/** What came too late comes in this time, in seconds. */
const PATIENCE = 30;

/** What grows is memory, or the time that messages take. */
export const overload: Scenario = {
  name: "overload",
  about: "memory of a server that is asked for more than it can send",
  async run(stage) {
    const { overload, subscribers, seconds } = stage.scale;
    const warm = seconds / 2;
    const plan = { rate: overload, seconds: TIMES * seconds, warm, patience: PATIENCE };
    return [{
      name: "overload",
      title: "Overload",
      about: `${show(overload)} publishes a second to ${show(subscribers)} subscribers for ` +
        `${show(plan.seconds + warm)} s, one frame a message on the fixed wire. What came ` +
        "too late came in the end.",
      columns: [
        PEAK,
        { key: "grown", title: "MiB more than connected", digits: 0 },
        { key: "rate", title: "messages/s meanwhile", digits: 0 },
        P99,
        SERVER,
      ],
      rows: await stage.compare("overload", PEERS.map((peer) => ({ peer, plan })), (result) => ({
        ...figuresOf(result),
        grown: (result.memory.peak - result.memory.connected) / 2 ** 20,
      })),
      picture: {
        kind: "bars",
        title: `Memory at most under overload: ${show(overload)} publishes/s × ${
          show(subscribers)
        }`,
        unit: "MiB",
        keys: [PEAK.key],
      },
    }];
  },
};
