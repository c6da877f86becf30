/** Where a scenario runs: it starts servers and generators, lets servers take turns, and ends all. */
import { median } from "./figures.ts";
import { isRight } from "./load/ledger.ts";
import type { Plan, Result } from "./load/plan.ts";
import type { Peer, Server } from "./peers/mod.ts";
import { Measured } from "./process.ts";
import type { Figures, Row, Scale } from "./scenario.ts";

const GENERATOR = new URL("load/generator.ts", import.meta.url).pathname;

/** How a stage is set. */
export interface StageOptions {
  /** Sizes of everything. */
  readonly scale: Scale;
  /** How often each server has its turn. */
  readonly rounds: number;
  /** Servers of others that are there. */
  readonly others: readonly Peer[];
  /** Whether a server is to be measured; all are by default. */
  readonly isWanted?: (peer: Peer) => boolean;
  /** Hears what is being done. */
  readonly onProgress: (text: string) => void;
}

/** A figure that is told as a multiple of the same one of another server, in the same round. */
export interface Ratio {
  /** Key of the ratio. */
  readonly key: string;
  /** Key of the figure. */
  readonly of: string;
  /** Whose figure is 1. */
  readonly base: Peer;
}

/** What is asked of one server. */
export interface Run {
  /** Who is measured. */
  readonly peer: Peer;
  /** What the generator does, where that is not the usual. */
  readonly plan: Partial<Plan>;
  /** What else must be true, once everything has come; resolves to what is not. */
  readonly check?: (server: Server, result: Result) => Promise<string | undefined>;
}

/** What a run came to: its figures, or why it has none. */
export type Outcome = { readonly result: Result } | { readonly isVoid: string };

/** A stage. */
export class Stage implements AsyncDisposable {
  readonly #options: StageOptions;
  readonly #open = new Set<AsyncDisposable>();
  #isOver = false;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  /** Sizes of everything. */
  get scale(): Scale {
    return this.#options.scale;
  }

  /** Servers of others that are there. */
  get others(): readonly Peer[] {
    return this.#options.others;
  }

  /** Says what is being done. */
  say(text: string): void {
    this.#options.onProgress(text);
  }

  /** Starts a server, which ends with this stage at the latest. */
  async start(peer: Peer): Promise<Server> {
    const server = await peer.start();
    return this.keep(server);
  }

  /** Ends it with this stage, if it has not ended before. */
  keep<It extends AsyncDisposable>(it: It): It {
    if (this.#isOver) {
      void it[Symbol.asyncDispose]();
      throw new Error("The benchmark was ended.");
    }
    this.#open.add(it);
    return it;
  }

  /** Loads one server. */
  async measure({ peer, plan, check }: Run): Promise<Outcome> {
    let server: Server | undefined;
    let load: Measured | undefined;
    try {
      server = await this.start(peer);
      const whole = JSON.stringify(this.#plan(peer, server, plan));
      load = this.keep(Measured.start(GENERATOR, whole));
      await load.lineAfter("ready");
      await load.go();
      const result: Result = JSON.parse(await load.lineAfter("done "));
      const isVoid = wrongIn(result) ?? await check?.(server, result);
      return isVoid === undefined ? { result } : { isVoid };
    } catch (error) {
      if (this.#isOver) throw error;
      return { isVoid: error instanceof Error ? error.message : String(error) };
    } finally {
      await this.end(load);
      await this.end(server);
    }
  }

  /**
   * Loads each server in turns, and again as often as there are rounds; resolves to the medians.
   *
   * @param figures what a result comes to
   */
  async compare(
    what: string,
    all: readonly Run[],
    figures: (result: Result) => Figures,
    ratios: readonly Ratio[] = [],
  ): Promise<Row[]> {
    const { isWanted = () => true } = this.#options;
    const runs = all.filter(({ peer }) => isWanted(peer));
    const found = runs.map((): Figures[] => []);
    const voids = runs.map((): string[] => []);
    for (let round = 0; round < this.#options.rounds; round++) {
      const inRound: (Figures | undefined)[] = [];
      for (const [i, run] of runs.entries()) {
        this.say(`${what}: ${run.peer.name}`);
        const outcome = await this.measure(run);
        if ("isVoid" in outcome) voids[i].push(outcome.isVoid);
        else inRound[i] = figures(outcome.result);
      }
      for (const [i, own] of inRound.entries()) {
        if (own === undefined) continue;
        const more = ratios.flatMap(({ key, of, base }): [string, number][] => {
          const based = inRound[runs.findIndex(({ peer }) => peer === base)]?.[of];
          return based === undefined ? [] : [[key, own[of] / based]];
        });
        found[i].push({ ...own, ...Object.fromEntries(more) });
      }
    }
    return runs.map(({ peer }, i): Row => {
      const { name } = peer;
      return voids[i].length > 0
        ? { name, figures: {}, isVoid: voids[i][0] }
        : { name, figures: medians(found[i]) };
    });
  }

  /** Ends one, if it is there. */
  async end(it: AsyncDisposable | undefined): Promise<void> {
    if (it === undefined) return;
    this.#open.delete(it);
    await it[Symbol.asyncDispose]();
  }

  /** Ends everything, the newest first. What runs is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    for (const it of [...this.#open].reverse()) await this.end(it);
  }

  #plan(peer: Peer, server: Server, plan: Partial<Plan>): Plan {
    const { scale } = this.#options;
    return {
      wire: peer.wire,
      ports: server.ports,
      pids: server.pids,
      subscribers: scale.subscribers,
      transport: "websocket",
      channels: 1,
      publishers: scale.publishers,
      inFlight: 1,
      rate: 0,
      acks: peer.acks,
      isRequests: false,
      isIdle: false,
      beatInterval: 0,
      beatSeconds: 0,
      warm: scale.warm,
      seconds: scale.seconds,
      patience: scale.patience,
      ...plan,
    };
  }
}

/** What was wrong in a run; `undefined` if its figures count. */
export function wrongIn({ verdict, trouble }: Result): string | undefined {
  if (isRight(verdict) && trouble.length === 0) return undefined;
  const { missing, repeated, early } = verdict;
  const told = [`${missing} missing`, `${repeated} repeated`, `${early} out of order`, ...trouble];
  return told.join(", ");
}

function medians(rounds: readonly Figures[]): Figures {
  const keys = Object.keys(rounds[0]);
  return Object.fromEntries(keys.map((key) => [key, median(rounds.map((each) => each[key]))]));
}
