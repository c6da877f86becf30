import type { Link } from "./links/link.ts";
import type { ClientFrame } from "./protocol/frames.ts";

/** The way out to the gateway, whichever link it is. What is sent while there is none is lost. */
export class Wire {
  /** The link in use, once the gateway has accepted the client on it. */
  link: Link | undefined;
  /** Whether the client is closed: then no message is handed out. */
  closed = false;
  #lastId = 0;

  /** Whether there is a way out. */
  get up(): boolean {
    return this.link !== undefined;
  }

  /** Number for the next request; none is used twice. */
  nextId(): number {
    return ++this.#lastId;
  }

  /** Sends a frame at the end of this turn. */
  send(frame: ClientFrame): void {
    this.link?.send(JSON.stringify(frame));
  }

  /** Sends the JSON text of a frame at the end of this turn. */
  sendText(frame: string): void {
    this.link?.send(frame);
  }
}
