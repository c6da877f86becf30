/** Every message goes to all subscribers of one channel. */
import {
  BARE,
  FIXED_OFF,
  FIXED_ON,
  OFF,
  ON,
  type Peer,
  TURN,
  WS_FIXED_OFF,
  WS_ON,
} from "../peers/mod.ts";
import type { Column, Row, Scenario, Section } from "../scenario.ts";
import type { Stage } from "../stage.ts";
import { show } from "../figures.ts";
import { CPU, figuresOf, RATIOS } from "./columns.ts";

const PEERS = [BARE, TURN, OFF, ON, WS_ON, FIXED_OFF, FIXED_ON, WS_FIXED_OFF];
/** Up to so many subscribers the usual seconds tell enough. */
const USUAL = 1500;
const FEW = [BARE, TURN, OFF, ON, FIXED_OFF, WS_FIXED_OFF];

/** A publisher that does not wait for its messages to arrive one by one, and many that do. */
export const fanOut: Scenario = {
  name: "fan-out",
  about: "what a delivered message costs, by the number of subscribers",
  async run(stage) {
    const { publishers, isShort } = stage.scale;
    const independent = await section(stage, {
      name: "fan_out_independent",
      title: `Fan-out, ${publishers} independent publishers`,
      about:
        "Every message goes to all subscribers of one channel. Each publisher has one message " +
        "under way: the next one leaves when everybody has it.",
      peers: [...PEERS, ...stage.others],
      publishers,
      inFlight: 1,
    });
    if (isShort) return [independent];
    const pipelined = await section(stage, {
      name: "fan_out_pipelined",
      title: "Fan-out, 1 publisher, 32 messages under way",
      about: "The same with one publisher that does not wait for its messages one by one.",
      peers: FEW,
      publishers: 1,
      inFlight: 32,
    });
    return [independent, pipelined];
  },
};

interface Kind {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly peers: readonly Peer[];
  readonly publishers: number;
  readonly inFlight: number;
}

async function section(stage: Stage, kind: Kind): Promise<Section> {
  const { publishers, inFlight, peers, ...about } = kind;
  const sizes = stage.scale.fanOut;
  const rows = new Map<string, Row>();
  const columns: Column[] = [];
  for (const subscribers of sizes) {
    // What is under way takes longer to arrive, and a window must not see a part of it only.
    const times = Math.max(1, subscribers / USUAL);
    const seconds = times * stage.scale.seconds;
    const warm = Math.max(stage.scale.warm, seconds / 2);
    const plan = { subscribers, publishers, inFlight, seconds, warm };
    const runs = peers.map((peer) => ({ peer, plan }));
    const what = `${kind.title}, ${show(subscribers)} subscribers`;
    const found = await stage.compare(what, runs, figuresOf, RATIOS);
    for (const { name, figures, isVoid } of found) {
      const before = rows.get(name);
      const here = Object.entries(figures).map(([key, value]) => [`${key}${subscribers}`, value]);
      rows.set(name, {
        name,
        figures: { ...before?.figures, ...Object.fromEntries(here) },
        isVoid: before?.isVoid ?? isVoid,
      });
    }
    columns.push(
      { key: `cpu${subscribers}`, title: `${show(subscribers)}: CPU a message, µs`, digits: 2 },
      { key: `byBare${subscribers}`, title: "× bare", digits: 2 },
      { key: `byTurn${subscribers}`, title: "× turn", digits: 2 },
    );
  }
  const shown = sizes.includes(1000) ? 1000 : sizes[0];
  columns.push({ key: `rate${shown}`, title: `messages/s to ${show(shown)}`, digits: 0 });
  return {
    ...about,
    columns,
    rows: [...rows.values()],
    picture: {
      kind: "bars",
      title: `A delivered message: ${kind.title}, ${show(shown)} subscribers`,
      unit: "µs of CPU of the server",
      keys: [`${CPU.key}${shown}`],
    },
  };
}
