/** What acknowledging costs. */
import { BARE, FIXED_OFF, FIXED_ON, gateway, OFF, ON, TURN } from "../peers/mod.ts";
import type { Scenario } from "../scenario.ts";
import { show } from "../figures.ts";
import { BY_BARE, BY_TURN, CPU, figuresOf, GENERATOR, PEAK, RATE, RATIOS } from "./columns.ts";

const EACH = gateway({
  name: "@push/client's wire, each acknowledged alone",
  wire: "extended",
  acks: "each",
});
const PEERS = [BARE, TURN, OFF, ON, EACH, FIXED_OFF, FIXED_ON];

/** Acknowledgements off, cumulative, and one a message. */
export const acks: Scenario = {
  name: "acks",
  about: "what acknowledgements cost: off, cumulative, one a message",
  async run(stage) {
    const { subscribers, publishers } = stage.scale;
    return [{
      name: "acks",
      title: "Acknowledgements",
      about:
        `${publishers} independent publishers, ${show(subscribers)} subscribers. Cumulative: ` +
        "each subscriber sends one frame for 512 messages, and after 0.2 s; that is what @push/client " +
        "does. Each alone: a frame a message, from every subscriber.",
      columns: [CPU, BY_BARE, BY_TURN, RATE, PEAK, GENERATOR],
      rows: await stage.compare(
        "acks",
        PEERS.map((peer) => ({ peer, plan: {} })),
        figuresOf,
        RATIOS,
      ),
    }];
  },
};
