/** How long a message takes, at a rate that is given. */
import { BARE, gateway, ON, ROOMY_OFF, TURN, WS_ON } from "../peers/mod.ts";
import type { Scenario, Section } from "../scenario.ts";
import { show } from "../figures.ts";
import { figuresOf, IN_FRAME, P50, P99, SERVER } from "./columns.ts";

/** Waits between two flushes, so that frames take more. */
const SLOW = gateway({
  name: "the same, flushInterval 20 ms",
  wire: "extended",
  acks: "cumulative",
  options: { push: { flushInterval: 0.02 } },
});
const PEERS = [BARE, TURN, ON, SLOW, WS_ON, ROOMY_OFF];

/** Publishes leave when they are due, whether or not earlier ones have come. */
export const latency: Scenario = {
  name: "latency",
  about: "time from publish to receive, at fixed rates",
  async run(stage) {
    const { rates, subscribers } = stage.scale;
    const sections: Section[] = [];
    for (const rate of rates) {
      const plan = { rate };
      const runs = [...PEERS, ...(stage.scale.isShort ? [] : stage.others)].map((peer) => ({
        peer,
        plan,
      }));
      sections.push({
        name: `latency_${rate}`,
        title: `Latency at ${show(rate)} publishes/s`,
        about: `${show(rate)} publishes a second to ${show(subscribers)} subscribers, which are ` +
          `${
            show(rate * subscribers)
          } deliveries a second; a server that cannot do that falls behind.`,
        columns: [P50, P99, SERVER, IN_FRAME],
        rows: await stage.compare(`latency, ${rate} publishes/s`, runs, figuresOf),
        picture: {
          kind: "bars",
          title: `From publish to receive: ${show(rate)} publishes/s × ${show(subscribers)}`,
          unit: "milliseconds",
          keys: [P50.key, P99.key],
        },
      });
    }
    return sections;
  },
};
