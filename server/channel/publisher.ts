import { PushError } from "@push/client/protocol";
import type { AppendResult, Draft } from "../stores/store.ts";

/** Result of a publish. */
export interface Published {
  readonly epoch: string;
  readonly seq: number;
  readonly duplicate: boolean;
}

/** How drafts get into a log. */
export interface PublisherParts {
  /** Appends drafts in one step, and takes notice of the result. */
  append(drafts: readonly Draft[]): Promise<AppendResult>;
  /** An append has failed: what was to be stored may be, or may not. */
  failed(count: number): void;
}

interface Waiting {
  readonly draft: Draft;
  readonly resolve: (published: Published) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_COMMIT_COUNT = 1000;
const MAX_COMMIT_CHARACTERS = 256 * 1024;

/**
 * The way into one log: publishes are committed in the order they came, one commit at a time; while
 * one is on its way the next gather.
 */
export class Publisher {
  readonly #parts: PublisherParts;
  #waiting: Waiting[] = [];
  #committing = false;

  /** @param parts where drafts go */
  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** Whether nothing waits or is under way. */
  get isIdle(): boolean {
    return !this.#committing && this.#waiting.length === 0;
  }

  /** Whether a commit is under way. */
  get isCommitting(): boolean {
    return this.#committing;
  }

  /**
   * Appends a message; resolves once the store has it.
   *
   * @throws {PushError} as the store
   */
  publish(draft: Draft): Promise<Published> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ draft, resolve, reject });
      if (!this.#committing) this.#commit();
    });
  }

  async #commit(): Promise<void> {
    this.#committing = true;
    // Everything that arrives in the same burst belongs to the first commit.
    await undefined;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#commitSize());
      try {
        const { epoch, appended } = await this.#parts.append(batch.map(({ draft }) => draft));
        appended.forEach(({ seq, duplicate }, i) => batch[i].resolve({ epoch, seq, duplicate }));
      } catch (cause) {
        this.#parts.failed(batch.length);
        const error = cause instanceof PushError
          ? cause
          : new PushError("internal", undefined, { cause });
        for (const { reject } of batch) reject(error);
      }
    }
    this.#committing = false;
  }

  /** How many of the waiting publishes go into one commit: at least one. */
  #commitSize(): number {
    const count = Math.min(this.#waiting.length, MAX_COMMIT_COUNT);
    let characters = 0;
    for (let i = 0; i < count; i++) {
      characters += this.#waiting[i].draft.payload.length;
      if (characters > MAX_COMMIT_CHARACTERS) return Math.max(i, 1);
    }
    return count;
  }
}
