import { Batch, endingOfClose, type Link, type LinkEvents, parse, unreachable } from "./link.ts";
import type { Cancel, Clock } from "../clock.ts";

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

/** What a {@linkcode WebSocketLink} needs. */
export interface WebSocketLinkOptions {
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly clock: Clock;
}

// Values of `readyState` (HTML, "The WebSocket interface").
const OPEN = 1;
const CLOSED = 3;
/** Milliseconds to wait for the other side's close frame. */
const CLOSE_TIMEOUT = 2000;

/** A link over one WebSocket. */
export class WebSocketLink implements Link {
  /** Name of the transport. */
  readonly transport = "websocket";
  readonly #clock: Clock;
  readonly #batch: Batch = new Batch(() => this.flush());
  #socket: WebSocketLike | undefined;

  /** Opens a socket. @param options where and how @param events who hears of it */
  constructor(options: WebSocketLinkOptions, events: LinkEvents) {
    this.#clock = options.clock;
    try {
      this.#socket = new options.WebSocket(options.url);
    } catch (error) {
      // Such as the refusal to open an unsafe socket from a safe page.
      queueMicrotask(() => events.ended(unreachable(`No WebSocket could be made: ${error}`)));
      return;
    }
    const socket = this.#socket;
    const end = (close: number, reason: string): void => {
      if (this.#socket !== socket) return;
      this.#release();
      events.ended(endingOfClose(close, reason));
    };
    socket.onopen = () => socket.send(JSON.stringify(events.hello()));
    socket.onmessage = ({ data }: { data: unknown }) => {
      const value = parse(data, events);
      if (value !== undefined) events.frames(Array.isArray(value) ? value : [value]);
    };
    // A socket that a page's policy forbids fires `error` and, for seconds, no `close`.
    socket.onerror = () => {
      if (socket.readyState === CLOSED) end(1006, "");
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => end(code, reason);
  }

  /** Sends one frame with the others of this turn. */
  send(frame: string): void {
    this.#batch.add(frame);
  }

  /** Sends what waits. */
  flush(): void {
    while (!this.#batch.empty) {
      const frames = this.#batch.take();
      // What a closing socket does not take is sent again after the reconnect.
      if (this.#socket?.readyState !== OPEN) continue;
      this.#socket.send(frames.length === 1 ? frames[0] : `[${frames.join()}]`);
    }
  }

  /** Says a last frame and closes with 1000. */
  leave(goodbye: string): Promise<void> {
    this.#batch.add(goodbye);
    this.flush();
    const socket = this.#release();
    if (!socket) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        socket.onclose = null;
        resolve();
      };
      const cancel: Cancel = this.#clock.schedule(CLOSE_TIMEOUT, done);
      socket.onclose = done;
      close(socket, 1000);
    });
  }

  /** Ends the link without a word. */
  drop(): void {
    const socket = this.#release();
    if (socket) close(socket);
  }

  #release(): WebSocketLike | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // Implementations outside of browsers throw an error that nobody listens to.
    socket.onerror = () => {};
    return socket;
  }
}

function close(socket: WebSocketLike, code?: number): void {
  try {
    socket.close(code);
  } catch {
    // A socket that cannot be closed is closed.
  }
}
