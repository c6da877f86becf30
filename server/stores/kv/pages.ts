import type { KvCommitter } from "./committer.ts";
import type { KvKey } from "./engine.ts";
import type { KvLog } from "./log.ts";
import { type Beside, KvPage, type PageHost } from "./page.ts";
import { KvTrash } from "./trash.ts";
import type { MemorySession } from "../memory/sessions.ts";

/** Where the positions in one channel are written. */
export class KvPages implements PageHost {
  readonly #log: KvLog;
  readonly #committer: KvCommitter;
  readonly #nextId: () => number;
  readonly #bySession = new Map<MemorySession, KvPage>();
  readonly #roomy = new Set<KvPage>();

  /** @param nextId gives numbers that nothing was called by */
  constructor(log: KvLog, committer: KvCommitter, nextId: () => number) {
    this.#log = log;
    this.#committer = committer;
    this.#nextId = nextId;
  }

  /** The page of a session, if it has one. */
  get(session: MemorySession): KvPage | undefined {
    return this.#bySession.get(session);
  }

  /** The page of a session with a position in the channel. */
  of(session: MemorySession): KvPage {
    return this.get(session) ?? this.#put(session, this.#roomyPage());
  }

  /** Takes over a page that is in the file. */
  restore(id: number, chunks: number): KvPage {
    return new KvPage(id, this.#log, this, chunks);
  }

  /** Takes over what the file says of a session's position. */
  restoreSession(session: MemorySession, page: KvPage, beside: Beside | undefined): void {
    this.#put(session, page, beside);
  }

  /** Number that nothing was called by. */
  nextId(): number {
    return this.#nextId();
  }

  /** A page is to be written. */
  pageChanged(page: KvPage): void {
    this.#committer.changed(page);
  }

  /** A session has no position in a page any more. */
  pageLeft(page: KvPage, session: MemorySession): void {
    if (this.#bySession.get(session) === page) this.#bySession.delete(session);
    this.#roomy.add(page);
  }

  /** What is at these keys can be deleted. */
  obsolete(keys: readonly KvKey[]): void {
    const trash = new KvTrash();
    trash.add(...keys);
    this.#committer.changed(trash);
  }

  #roomyPage(): KvPage {
    for (const page of this.#roomy) return page;
    return new KvPage(this.#nextId(), this.#log, this);
  }

  #put(session: MemorySession, page: KvPage, beside?: Beside): KvPage {
    page.add(session, beside);
    this.#bySession.set(session, page);
    if (page.hasRoom) this.#roomy.add(page);
    else this.#roomy.delete(page);
    return page;
  }
}
