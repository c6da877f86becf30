import { CLOSED, OPEN } from "../bounds.ts";
import {
  batchOf,
  endingOfClose,
  type Link,
  type LinkEvents,
  type LinkSettings,
  parse,
} from "./link.ts";

/** As much of a WebSocket as the client uses, so that any implementation can be passed in. */
export interface WebSocketLike {
  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  // Every implementation has its own event types; `never` lets all of them pass.
  /** Called when it is open. */
  onopen: ((event: never) => unknown) | null;
  /** Called with an object whose `data` is the text that arrived. */
  onmessage: ((event: never) => unknown) | null;
  /** Called when it fails. */
  onerror: ((event: never) => unknown) | null;
  /** Called with an object of `code` and `reason`. */
  onclose: ((event: never) => unknown) | null;
  /** Sends a text frame. */
  send(text: string): void;
  /** Closes it. */
  close(code?: number, reason?: string): void;
}

/** Class of a WebSocket. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/**
 * Opens a link over one WebSocket.
 *
 * @throws whatever the constructor throws, such as the refusal of an unsafe socket in a safe page
 */
export function openWebSocket(
  settings: LinkSettings,
  events: LinkEvents,
): Link {
  const socket = new settings.WebSocket!(settings.socketUrl);
  // The handlers stay: implementations outside of browsers throw an error that nobody listens to.
  let isLive = true;
  const end = (code: number, reason: string): void => {
    if (!isLive) return;
    isLive = false;
    events.ended(endingOfClose(code, reason));
  };
  const flush = (): void => {
    for (let frames; (frames = batch.take()).length > 0;) {
      // What a closing socket does not take is sent again after the reconnect.
      if (socket.readyState === OPEN) socket.send(frames[1] ? `[${frames}]` : frames[0]);
    }
  };
  const batch = batchOf(settings, flush);
  const close = (code?: number): void => {
    isLive = false;
    try {
      socket.close(code);
    } catch {
      // A socket that cannot be closed is closed.
    }
  };
  socket.onopen = () => isLive && socket.send(JSON.stringify(events.hello()));
  socket.onmessage = ({ data }: { data: unknown }) => {
    const value = isLive ? parse(data, events) : undefined;
    if (value !== undefined) events.frames(Array.isArray(value) ? value : [value]);
  };
  // A socket that a page's policy forbids fires `error` and, for seconds, no `close`.
  socket.onerror = () => socket.readyState === CLOSED && end(1006, "");
  socket.onclose = ({ code, reason }: { code: number; reason: string }) => end(code, reason);
  return {
    send: batch.add,
    flush,
    leave(goodbye, done) {
      batch.add(goodbye);
      flush();
      socket.onclose = done;
      close(1000);
    },
    drop: () => close(),
  };
}
