/** Many channels that have nothing to do with each other: what one gathers is of no use to another. */
import { BARE, FIXED_OFF, OFF, ON, TURN, WS_ON } from "../peers/mod.ts";
import type { Scenario } from "../scenario.ts";
import { show } from "../figures.ts";
import { BY_BARE, BY_TURN, CPU, figuresOf, GENERATOR, IN_FRAME, RATE, RATIOS } from "./columns.ts";

const PEERS = [BARE, TURN, OFF, ON, WS_ON, FIXED_OFF];

/** One publisher for each channel. */
export const channels: Scenario = {
  name: "channels",
  about: "what a delivered message costs in independent channels",
  async run(stage) {
    const { channels, subscribers } = stage.scale;
    const plan = { channels, publishers: channels };
    const runs = PEERS.map((peer) => ({ peer, plan }));
    return [{
      name: "channels",
      title: "Independent channels",
      about: `${show(channels)} channels with ${show(subscribers / channels)} subscribers and a ` +
        "publisher each, which has one message under way.",
      columns: [CPU, BY_BARE, BY_TURN, RATE, IN_FRAME, GENERATOR],
      rows: await stage.compare("channels", runs, figuresOf, RATIOS),
    }];
  },
};
