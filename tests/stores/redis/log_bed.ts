import { systemClock, systemRandom } from "../../../server/clock.ts";
import type { RedisOptions } from "../../../server/options/types.ts";
import { RedisKeys } from "../../../server/stores/redis/keys.ts";
import { RedisLink } from "../../../server/stores/redis/link.ts";
import { RedisLog } from "../../../server/stores/redis/log.ts";
import type { Draft, Retention } from "../../../server/stores/store.ts";
import { redisSettings } from "./support/settings.ts";

/** Retention that drops nothing in a test that does not ask for it. */
const RETENTION: Retention = {
  messageTtl: 3_600_000,
  historySize: 100_000,
  historyBytes: 2 ** 28,
  maxChannelBytes: 2 ** 28,
  maxStoreBytes: 2 ** 30,
  metaTtl: 4 * 3_600_000,
  idempotencyWindow: 300_000,
};

/** A log with a link of its own. */
export interface LogBed extends AsyncDisposable {
  /** The log. */
  readonly log: RedisLog;
  /** Its link. */
  readonly link: RedisLink;
  /** Names of its keys. */
  readonly keys: RedisKeys;
}

/** How a log is opened. */
export interface LogBedOptions {
  /** Where retention is not to be the bed's. */
  readonly retention?: Partial<Retention>;
  /** Where Redis is, if not at the port. */
  readonly redis?: RedisOptions;
  /** Milliseconds for which an append is asked about. */
  readonly retryFor?: number;
}

/** Opens a log on a server of this machine. */
export async function openLog(port: number, options: LogBedOptions = {}): Promise<LogBed> {
  const settings = redisSettings({ port, ...options.redis });
  const link = new RedisLink({ settings });
  const keys = new RedisKeys(settings.prefix, settings.db);
  const retention = { ...RETENTION, ...options.retention };
  const { retryFor } = options;
  const log = new RedisLog({
    link,
    keys,
    retention,
    random: systemRandom,
    clock: systemClock,
    retryFor,
  });
  const dispose = async (): Promise<void> => {
    log.close();
    await link[Symbol.asyncDispose]();
  };
  try {
    await link.open();
    await log.open();
  } catch (error) {
    await dispose();
    throw error;
  }
  return { log, link, keys, [Symbol.asyncDispose]: dispose };
}

/** Resolves once a link can be used again. */
export async function ready({ link }: LogBed): Promise<void> {
  while (link.trouble !== undefined) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** A draft of a message. */
export function draft(parts: Partial<Draft> = {}): Draft {
  return { subject: "anonymous", origin: null, source: null, payload: "{}", ...parts };
}

/** Drafts whose payloads are these numbers. */
export function drafts(from: number, to: number): Draft[] {
  return numbers(from, to).map((n) => draft({ payload: `${n}` }));
}

/** The numbers from `from` to `to`. */
export function numbers(from: number, to: number): number[] {
  return Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => from + i);
}

/** Numbers and payloads of everything that can be read. */
export async function contents({ log }: LogBed, channel: string): Promise<string[]> {
  const { messages } = await log.read(channel, 0, 1_000_000);
  return messages.map(({ seq, payload }) => `${seq}:${payload}`);
}
