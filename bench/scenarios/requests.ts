/** Asking and answering: nothing waits for anything else, so there is little to gather. */
import { BARE, FIXED_OFF, OFF, ON, TURN, WS_ON } from "../peers/mod.ts";
import type { Scenario } from "../scenario.ts";
import { show } from "../figures.ts";
import { BY_BARE, BY_TURN, CPU, figuresOf, P50, P99, RATIOS } from "./columns.ts";

const PEERS = [BARE, TURN, OFF, ON, WS_ON, FIXED_OFF];

/** All ask one client, each in a closed loop. */
export const requests: Scenario = {
  name: "requests",
  about: "round trips of clients that ask another one, in a closed loop",
  async run(stage) {
    const { requesters } = stage.scale;
    const plan = { isRequests: true, publishers: requesters, subscribers: 0 };
    const runs = PEERS.map((peer) => ({ peer, plan }));
    return [{
      name: "requests",
      title: "Request and reply",
      about:
        `${show(requesters)} clients publish requests to one channel; one client listens there ` +
        "and publishes each answer to the channel of who asked, who then asks again. A round trip is " +
        "two publishes and two deliveries.",
      columns: [
        { ...CPU, title: "CPU a round trip, µs" },
        BY_BARE,
        BY_TURN,
        { key: "rate", title: "round trips/s", digits: 0 },
        P50,
        P99,
      ],
      rows: await stage.compare("requests", runs, figuresOf, RATIOS),
    }];
  },
};
