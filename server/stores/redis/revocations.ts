import { PushError } from "@push/client/protocol";
import {
  isRevocationKind,
  MAX_REVOCATIONS,
  normalRevocation,
  type Revocation,
  type RevocationNews,
} from "../revocations.ts";
import { escapeName, nameOf, type RedisKeys } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { NEWS, revocationKeys, REVOKE } from "./revocation_scripts.ts";

/** How many are told at once. */
const PAGE = 1_000;

/**
 * Revocations in Redis, where its own clock counts.
 *
 * They last as Redis's data does. A mark names the run of the server: after a restart or a failover
 * everything is told anew, so that nodes see what is missing.
 */
export class RedisRevocations {
  readonly #link: RedisLink;
  readonly #keys: readonly string[];
  readonly #most: number;
  /** Values that nobody can read, which were set aside. */
  quarantined = 0;

  /** @param most that are kept */
  constructor(link: RedisLink, keys: RedisKeys, most: number = MAX_REVOCATIONS) {
    this.#link = link;
    this.#keys = revocationKeys(keys);
    this.#most = most;
  }

  /** See `Store.revoke`. */
  async revoke(revocation: Revocation): Promise<boolean> {
    const { kind, name, at, until } = normalRevocation(revocation);
    const args = [`${kind}:${escapeName(name)}`, at, until, this.#most];
    const [bad, kept] = await this.#link.run(REVOKE, this.#keys, args) as [number, number];
    this.quarantined += bad;
    if (kept >= 0) return kept === 1;
    throw new PushError("store_full", `There is no room for more than ${this.#most} revocations.`);
  }

  /** See `Store.revocations`. */
  async news(known: string | undefined): Promise<RevocationNews> {
    let [mark, last] = known?.split(" ") ?? ["", "0"];
    let isAll = false;
    let entries: Revocation[] = [];
    while (true) {
      const answer = await this.#link.run(NEWS, this.#keys, [mark, last, PAGE]) as unknown[];
      const [bad, now, told, goesOn, hasMore, ...rest] = answer;
      this.quarantined += Number(bad);
      if (goesOn !== 1) [isAll, entries] = [true, []];
      entries.push(...this.#read(rest));
      [mark, last] = [String(now), String(told)];
      if (hasMore !== 1) return { mark: `${mark} ${last}`, isAll, entries };
    }
  }

  #read(answer: readonly unknown[]): Revocation[] {
    const entries: Revocation[] = [];
    for (let i = 0; i < answer.length; i += 3) {
      const [field, at, until] = answer.slice(i, i + 3).map(String);
      const colon = field.indexOf(":");
      const kind = field.slice(0, colon);
      const name = nameOf(field.slice(colon + 1));
      // Somebody else has written it.
      if (!isRevocationKind(kind) || name === undefined) continue;
      entries.push({ kind, name, at: Number(at), until: Number(until) });
    }
    return entries;
  }
}
