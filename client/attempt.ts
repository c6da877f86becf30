import { LATE } from "./deferred.ts";
import { isConnected, readError, readIncoming } from "./incoming.ts";
import type { Ending, Transport } from "./lifecycle.ts";
import { openHttp } from "./links/http.ts";
import { endingOf, type Link, type LinkEvents, type LinkSettings } from "./links/link.ts";
import { openWebSocket } from "./links/websocket.ts";
import type { ConnectedFrame } from "./protocol/frames.ts";

/** What an attempt tells: `frames` only after the acceptance. */
export interface AttemptEvents extends LinkEvents {
  /** The gateway has accepted the client. */
  accepted(link: Link, frame: ConnectedFrame): void;
}

/**
 * Tries to connect over one transport, and stays with the link that comes of it.
 *
 * @returns what ends it, without a word if there is no ending to tell
 */
export function attempt(
  transport: Transport,
  settings: LinkSettings,
  events: AttemptEvents,
): (ending?: Ending) => void {
  const { connectTimeout, requestTimeout, clock } = settings;
  // A request over HTTP needs no handshake to be allowed through: only a slow answer is waited for.
  const timeout = transport === "websocket" ? connectTimeout : requestTimeout;
  let link: Link | undefined;
  let isAccepted = false;
  const end = (ending?: Ending): void => {
    cancel();
    link?.drop();
    if (ending) events.ended(ending);
  };
  const cancel = clock.schedule(timeout, () => end(endingOf(LATE)));
  const opened = (value: unknown): boolean => {
    const frame = readIncoming(value);
    const error = frame && readError(frame);
    if (frame && isConnected(frame)) {
      isAccepted = true;
      cancel();
      events.accepted(link!, frame);
    } else if (error) {
      end(endingOf(error.message, error.code));
    } else {
      events.garbage("no answer to connect");
      return false;
    }
    return true;
  };
  const heard: LinkEvents = {
    ...events,
    ended: end,
    frames(values) {
      if (isAccepted) return events.frames(values);
      const first = values.findIndex(opened);
      if (isAccepted) events.frames(values.slice(first + 1));
    },
  };
  try {
    link = (transport === "websocket" ? openWebSocket : openHttp)(settings, heard);
  } catch (error) {
    end(endingOf(`${error}`));
  }
  return end;
}
