import type { ConnectFrame, Ranges } from "../protocol/frames.ts";

/** Publishes of a tab that are remembered, so that it does not get them itself: a window of messages. */
const MAX_OWN = 1024;

/** A tab, as its relay sees it: one virtual socket. */
export class Tab {
  /** Names the page. */
  readonly id: string;
  /** Number of the socket within the page. */
  readonly socket: number;
  /** What it published without wanting it back. */
  readonly own: OwnPublishes;
  /** Its `connect` frame. */
  hello: ConnectFrame | undefined;
  /** Whether it was told that it is connected. */
  isWelcome = false;
  /** What waits for handlers there, by channel. */
  renewed: ReadonlyMap<string, { readonly epoch: string; readonly ranges: Ranges }> = new Map();

  /** @param id names the page @param socket number of the socket @param own see there */
  constructor(id: string, socket: number, own: readonly string[]) {
    this.id = id;
    this.socket = socket;
    this.own = new OwnPublishes(own);
  }
}

/** Names of a tab's last publishes. */
export class OwnPublishes extends Set<string> {
  /** Adds one; the oldest of too many goes. */
  override add(key: string): this {
    this.delete(key);
    super.add(key);
    for (const oldest of this) {
      if (this.size <= MAX_OWN) break;
      this.delete(oldest);
    }
    return this;
  }
}
