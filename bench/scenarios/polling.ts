/** The same deliveries over long-polling. */
import { BARE, gateway, ON } from "../peers/mod.ts";
import type { Scenario } from "../scenario.ts";
import { show } from "../figures.ts";
import { CPU, figuresOf, GENERATOR, RATE } from "./columns.ts";

const POLLING = gateway({ name: "long-polling", wire: "extended", acks: "cumulative" });

/** Each answer to a poll is a request of its own. */
export const polling: Scenario = {
  name: "polling",
  about: "what a delivered message costs over long-polling",
  async run(stage) {
    const { subscribers, publishers } = stage.scale;
    const runs = [
      { peer: BARE, plan: {} },
      { peer: { ...ON, name: "WebSocket" }, plan: {} },
      { peer: POLLING, plan: { transport: "polling" as const } },
    ];
    return [{
      name: "polling",
      title: "Long-polling",
      about:
        `${publishers} independent publishers, ${show(subscribers)} pollers on one connection ` +
        "each, which state their positions with every poll; and the same over WebSocket.",
      columns: [
        CPU,
        { key: "byBare", title: "× bare", digits: 2 },
        RATE,
        { key: "inFrame", title: "messages an answer", digits: 1 },
        GENERATOR,
      ],
      rows: await stage.compare("polling", runs, figuresOf, [
        { key: "byBare", of: CPU.key, base: BARE },
      ]),
    }];
  },
};
