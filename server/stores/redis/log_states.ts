import { type RandomBytes, randomEpoch } from "../../clock.ts";
import type { Retention } from "../store.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { type Told, toldOf } from "./log_entry.ts";
import { logKeys } from "./log_lua.ts";
import { PEEK, STATE } from "./log_scripts.ts";

/** What {@linkcode LogStates} is made with. */
export interface LogStatesOptions {
  /** The connection. */
  readonly link: Pick<RedisLink, "run" | "isCluster">;
  /** Names of keys. */
  readonly keys: RedisKeys;
  /** How much is kept. */
  readonly retention: Retention;
  /** Source of randomness. */
  readonly random: RandomBytes;
}

/** What {@linkcode LogStates.describe} says of a channel. */
export interface Described {
  /** Its state. */
  readonly told: Told;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** JSON text. */
  readonly metadata: string;
}

/** Scripts about one channel that are sent at once. */
const BATCH = 500;
/** Channels that one script looks at, and such scripts that are sent at once. */
const PEEKED = 100;
const PEEKS = 50;

/** Asks for the states of many channels, some hundred at a time. */
export class LogStates {
  readonly #options: LogStatesOptions;

  /** @param options whom to ask */
  constructor(options: LogStatesOptions) {
    this.#options = options;
  }

  /** States of channels; `undefined` where there is none. */
  async ask(channels: readonly string[]): Promise<(Told | undefined)[]> {
    const { link, keys, retention: { messageTtl } } = this.#options;
    // There the channels of one script would have to be in one slot.
    if (link.isCluster) return await this.#each(channels);
    const answers: (Told | undefined)[] = [];
    const rest: number[] = [];
    const metas = channels.map((channel) => keys.meta(channel));
    const some: string[][] = [];
    for (let i = 0; i < metas.length; i += PEEKED) some.push(metas.slice(i, i + PEEKED));
    const texts = await inBatches(
      some,
      PEEKS,
      (batch) => batch.map((metas) => link.run(PEEK, metas, [messageTtl]) as Promise<string[]>),
    );
    for (const text of texts.flat()) {
      const told = text === "" ? undefined : peeked(text);
      if (told === undefined && text !== "") rest.push(answers.length);
      answers.push(told);
    }
    const asked = await this.#each(rest.map((i) => channels[i]));
    rest.forEach((i, n) => answers[i] = asked[n]);
    return answers;
  }

  /** All that there is to say of channels; `undefined` where there is none. */
  async describe(channels: readonly string[]): Promise<(Described | undefined)[]> {
    return (await this.#run(channels, 1)).map((answer) =>
      answer === null ? undefined : {
        told: toldOf(answer[0]),
        createdAt: Number(answer[1]) || 0,
        metadata: answer[2],
      }
    );
  }

  async #each(channels: readonly string[]): Promise<(Told | undefined)[]> {
    const answers = await this.#run(channels, 0);
    return answers.map((answer) => answer === null ? undefined : toldOf(answer[0]));
  }

  #run(channels: readonly string[], isWhole: number): Promise<(string[] | null)[]> {
    const { link, keys, random, retention: { messageTtl } } = this.#options;
    return inBatches(channels, BATCH, (batch) =>
      batch.map((channel) => {
        const args = [randomEpoch(random), messageTtl, isWhole];
        return link.run(STATE, logKeys(keys, channel), args) as Promise<string[] | null>;
      }));
  }
}

/** Works through a list, so many at once. */
async function inBatches<T, R>(
  list: readonly T[],
  size: number,
  work: (batch: readonly T[]) => Promise<R>[],
): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < list.length; i += size) {
    for (const result of await Promise.all(work(list.slice(i, i + size)))) results.push(result);
  }
  return results;
}

/** Reads a state that may be spoiled: then the script that mends it is to be asked. */
function peeked(text: string): Told | undefined {
  try {
    return toldOf(text);
  } catch {
    return undefined;
  }
}
