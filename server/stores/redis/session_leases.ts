/**
 * What this node knows by itself of the sessions that it holds: that a generation was the newest a
 * moment ago, and its lease is not near its end. Who knows that need not ask before each write.
 */
export class SessionLeases {
  readonly #lease: number;
  readonly #held = new Map<string, { readonly generation: number; readonly since: number }>();

  /** @param lease milliseconds for which what was seen is relied on */
  constructor(lease: number) {
    this.#lease = lease;
  }

  /** A generation was seen to be the newest, and attached here. */
  note(key: string, generation: number, now: number): void {
    this.#held.set(key, { generation, since: now });
  }

  /** Whether that was seen a moment ago. A clock that jumps makes it doubtful. */
  has(key: string, generation: number, now: number): boolean {
    const held = this.#held.get(key);
    if (held?.generation !== generation) return false;
    return now >= held.since && now < held.since + this.#lease;
  }

  /** It is held no more, or that is in doubt. */
  drop(key: string, generation: number): void {
    if (this.#held.get(key)?.generation === generation) this.#held.delete(key);
  }

  /** Lets go of what is not relied on any more. */
  prune(now: number): void {
    for (const [key, { generation }] of this.#held) {
      if (!this.has(key, generation, now)) this.#held.delete(key);
    }
  }
}
