/** As much of the Web Locks as is used here. */
export interface OwnerLocks {
  /** Calls `callback` with the lock, or with `null` if it is held; it is held until the promise settles. */
  request(
    name: string,
    options: { readonly ifAvailable: boolean },
    callback: (lock: unknown) => Promise<void> | void,
  ): Promise<unknown>;
}

/** Names held by this program, by the name of the outbox: without locks it is all there is. */
const held: Map<string, Set<string>> = new Map();

/** Which pages live: each holds a lock with the name of its outbox as long as it does. */
export class Owners {
  readonly #name: string;
  readonly #locks: OwnerLocks | undefined;
  /** What gives the names back that are held here. */
  readonly #own: Map<string, () => void> = new Map();
  /** Changes when all names are given back. */
  #era = 0;

  /** @param name of the outbox @param locks of the browser, if there are any */
  constructor(name: string, locks: OwnerLocks | undefined) {
    this.#name = name;
    this.#locks = locks;
  }

  /** Holds a name until the page is gone. @returns whether it is held by this page */
  async hold(owner: string): Promise<boolean> {
    if (this.#own.has(owner)) return true;
    const era = this.#era;
    const release = this.#locks ? await this.#lock(this.#locks, owner) : this.#take(owner);
    if (!release) return this.#own.has(owner);
    if (era !== this.#era) {
      release();
      return false;
    }
    this.#own.set(owner, release);
    return true;
  }

  /** Gives all names back. */
  release(): void {
    this.#era++;
    for (const release of this.#own.values()) release();
    this.#own.clear();
  }

  #take(owner: string): (() => void) | undefined {
    const all = held.get(this.#name) ?? new Set();
    held.set(this.#name, all);
    if (all.has(owner)) return undefined;
    all.add(owner);
    return () => all.delete(owner);
  }

  #lock(locks: OwnerLocks, owner: string): Promise<(() => void) | undefined> {
    return new Promise((resolve) => {
      locks.request(`${this.#name}:${owner}`, { ifAvailable: true }, (lock) => {
        if (lock === null) return resolve(undefined);
        return new Promise<void>((release) => resolve(() => release()));
      }).catch(() => resolve(undefined));
    });
  }
}
