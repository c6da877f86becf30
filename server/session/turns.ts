import { SmallMap } from "../small_map.ts";

/** Does what concerns one channel of a session in the order in which it was asked for. */
export class Turns {
  /** By channel what was asked for last; resolves once it has ended. */
  #last: SmallMap<string, Promise<void>> | undefined;
  #works: Set<Promise<unknown>> | undefined;

  /** Channels in which something is being done. */
  get channels(): Iterable<string> {
    return this.#last?.keys() ?? [];
  }

  /** What is being done at present; resolves once it has ended. `undefined` if nothing is. */
  get changes(): Promise<unknown> | undefined {
    if (this.#last === undefined && this.#works === undefined) return undefined;
    return Promise.all([...this.#last?.values() ?? [], ...this.#works ?? []]);
  }

  /** Does something once all has ended that was asked for before in this channel. */
  take<T>(channel: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last?.get(channel);
    const result = before === undefined ? task() : before.then(task, task);
    const end = () => {
      if (this.#last?.get(channel) !== done) return;
      this.#last.delete(channel);
      if (this.#last.size === 0) this.#last = undefined;
    };
    const done = result.then(end, end);
    (this.#last ??= new SmallMap()).set(channel, done);
    return result;
  }

  /** Counts something of no one channel among what is being done. */
  during<T>(work: Promise<T>): Promise<T> {
    const end = () => {
      this.#works?.delete(done);
      if (this.#works?.size === 0) this.#works = undefined;
    };
    const done = work.then(end, end);
    (this.#works ??= new Set()).add(done);
    return work;
  }
}
