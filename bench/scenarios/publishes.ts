/** Publishes that nobody listens to: what the way in takes. */
import { gateway } from "../peers/mod.ts";
import type { Result } from "../load/plan.ts";
import type { Server } from "../peers/mod.ts";
import type { Scenario } from "../scenario.ts";
import { figuresOf, GENERATOR, SERVER } from "./columns.ts";

const wires = ["extended", "fixed"] as const;

/** From many connections, and from one that does not wait. */
export const publishes: Scenario = {
  name: "publishes",
  about: "publishes that are stored and answered, a second",
  async run(stage) {
    const many = 2 * stage.scale.publishers;
    const runs = wires.flatMap((wire) => [
      run(wire, `${many} connections`, many, 16),
      run(wire, "1 connection, pipelined", 1, 1024),
    ]);
    return [{
      name: "publishes",
      title: "Accepted publishes",
      about: `Into the memory store, to one channel: ${many} connections with 16 publishes under ` +
        "way each, and one with 1,024. A publish is over when its answer has come. In the end the " +
        "log has as many messages as were answered.",
      columns: [
        { key: "accepted", title: "publishes/s", digits: 0 },
        { key: "publish", title: "CPU a publish, µs", digits: 2 },
        SERVER,
        GENERATOR,
      ],
      rows: await stage.compare("publishes", runs, (result) => ({
        ...figuresOf(result),
        accepted: result.accepted / result.seconds,
        publish: result.cpu * 1e6 / result.accepted,
      })),
    }];
  },
};

function run(wire: "extended" | "fixed", what: string, publishers: number, inFlight: number) {
  const of = wire === "fixed" ? "fixed wire" : "@push/client's wire";
  return {
    peer: gateway({ name: `${of}, ${what}`, wire, acks: "cumulative" }),
    plan: { subscribers: 0, publishers, inFlight },
    check: isStored,
  };
}

/** Numbers of a log have no gaps, so its head counts what is stored. */
async function isStored({ ports }: Server, { sent }: Result): Promise<string | undefined> {
  const response = await fetch(`http://127.0.0.1:${ports[0]}/api/push/channels`);
  const text = await response.text();
  const head = /"head":(\d+)/.exec(text)?.[1];
  return head === `${sent}` ? undefined : `${head} of ${sent} publishes are stored: ${text}`;
}
