import { PushError } from "@push/client/protocol";
import type { AppendResult, Draft } from "../stores/store.ts";

/** Result of a publish. */
export interface Published {
  readonly epoch: string;
  readonly seq: number;
  readonly duplicate: boolean;
}

/** What became of a draft: its place, or why it was not stored, or may not have been. */
export type Outcome = Published | PushError;

/** How drafts get into a log. */
export interface PublisherParts {
  /** Appends drafts in one step, and takes notice of the result. */
  append(drafts: readonly Draft[]): Promise<AppendResult>;
  /** An append has failed: what was to be stored may be, or may not. */
  failed(count: number): void;
}

/** Drafts that came together. */
interface Group {
  readonly drafts: readonly Draft[];
  /** Of its first ones, those whose commits have ended. */
  readonly outcomes: Outcome[];
  readonly resolve: (outcomes: readonly Outcome[]) => void;
}

const MAX_COMMIT_COUNT = 1000;
const MAX_COMMIT_CHARACTERS = 256 * 1024;
/** Drafts in a row that the store has no room for, after which it is not asked for each of the others. */
const MOST_REFUSED = 3;

/**
 * The way into one log: publishes are committed in the order they came, one commit at a time; while
 * one is on its way the next gather.
 */
export class Publisher {
  readonly #parts: PublisherParts;
  /** Absent while nothing waits: there is one publisher for each channel. */
  #waiting: Group[] | undefined;
  #committing = false;

  /** @param parts where drafts go */
  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** Whether nothing waits or is under way. */
  get isIdle(): boolean {
    return !this.#committing && this.#waiting === undefined;
  }

  /** Whether a commit is under way. */
  get isCommitting(): boolean {
    return this.#committing;
  }

  /**
   * Appends messages, in this order; resolves to one outcome for each once all have one. Never rejects:
   * they may belong to several commits, of which one may fail.
   */
  publish(drafts: readonly Draft[]): Promise<readonly Outcome[]> {
    if (drafts.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const group: Group = { drafts, outcomes: [], resolve };
      if (this.#waiting === undefined) this.#waiting = [group];
      else this.#waiting.push(group);
      if (!this.#committing) this.#commit();
    });
  }

  async #commit(): Promise<void> {
    this.#committing = true;
    // Everything that arrives in the same burst belongs to the first commit.
    await undefined;
    while (this.#waiting !== undefined) {
      const drafts = nextOf(this.#waiting);
      this.#settle(this.#waiting, await this.#append(drafts));
    }
    this.#committing = false;
  }

  async #append(drafts: readonly Draft[]): Promise<readonly Outcome[]> {
    try {
      const { epoch, appended } = await this.#parts.append(drafts);
      return appended.map(({ seq, duplicate }) => ({ epoch, seq, duplicate }));
    } catch (cause) {
      const error = cause instanceof PushError
        ? cause
        : new PushError("internal", undefined, { cause });
      // None was stored: perhaps one is too large, and it need not be anybody else's.
      if (error.code === "store_full" && drafts.length > 1) return await this.#appendEach(drafts);
      this.#parts.failed(drafts.length);
      return drafts.map(() => error);
    }
  }

  async #appendEach(drafts: readonly Draft[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    let refused = 0;
    for (const draft of drafts) {
      const [outcome] = await this.#append([draft]);
      outcomes.push(outcome);
      refused = outcome instanceof PushError ? refused + 1 : 0;
      if (refused < MOST_REFUSED) continue;
      const rest = drafts.slice(outcomes.length);
      this.#parts.failed(rest.length);
      return [...outcomes, ...rest.map(() => outcome)];
    }
    return outcomes;
  }

  /** Hands the outcomes of a commit to those whose drafts were in it. */
  #settle(waiting: Group[], outcomes: readonly Outcome[]): void {
    let settled = 0;
    for (let at = 0; at < outcomes.length;) {
      const group = waiting[settled];
      const left = group.drafts.length - group.outcomes.length;
      for (const end = Math.min(at + left, outcomes.length); at < end; at++) {
        group.outcomes.push(outcomes[at]);
      }
      if (group.outcomes.length < group.drafts.length) break;
      settled++;
      group.resolve(group.outcomes);
    }
    if (settled === waiting.length) this.#waiting = undefined;
    else waiting.splice(0, settled);
  }
}

/** What goes into the next commit: at least one draft. */
function nextOf(waiting: readonly Group[]): readonly Draft[] {
  const next: Draft[] = [];
  let characters = 0;
  for (const { drafts, outcomes } of waiting) {
    for (let i = outcomes.length; i < drafts.length; i++) {
      characters += drafts[i].payload.length;
      const isFull = next.length === MAX_COMMIT_COUNT || characters > MAX_COMMIT_CHARACTERS;
      if (isFull && next.length > 0) return next;
      next.push(drafts[i]);
    }
  }
  return next;
}
