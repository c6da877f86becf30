import type { ClientFrame } from "./protocol/frames.ts";

/** The way out to the gateway, whichever link it is. */
export interface Wire {
  /** Whether the gateway has accepted the client on the link in use. */
  readonly up: boolean;
  /** Number for the next request; never used twice by one client. */
  nextId(): number;
  /** Sends a frame at the end of this turn. Nothing happens while the wire is not up. */
  send(frame: ClientFrame): void;
  /** Sends the JSON text of a frame. */
  sendText(frame: string): void;
}
