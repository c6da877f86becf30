import { isText } from "./check.ts";
import type { Link } from "./links/link.ts";
import type { ClientFrame } from "./protocol/frames.ts";

/** The way out to the gateway, whichever link it is. What is sent while there is none is lost. */
export interface Wire {
  /** The link in use, once the gateway has accepted the client on it. */
  link?: Link | undefined;
  /** Sends a frame, or its JSON, at the end of this turn. */
  send(frame: ClientFrame | string): void;
}

/** Makes a wire without a link. */
export function wireOf(session: Wire): Pick<Wire, "send"> {
  return {
    send: (frame) => session.link?.send(isText(frame) ? frame : JSON.stringify(frame)),
  };
}
