import { isRecord } from "../check.ts";
import type { WebSocketLike } from "../links/websocket.ts";
import type { Down } from "./post.ts";
import type { Seat } from "./seat.ts";
import { keyOf } from "./stream.ts";

// Values of `readyState` (HTML, "The WebSocket interface").
const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** A WebSocket whose other side is the relay of the group. */
export class TabSocket implements WebSocketLike {
  /** Called when the relay has answered. */
  onopen: WebSocketLike["onopen"] = null;
  /** Called with an object whose `data` is the text that arrived. */
  onmessage: WebSocketLike["onmessage"] = null;
  /** Never called: what fails is closed. */
  onerror: WebSocketLike["onerror"] = null;
  /** Called with an object of `code` and `reason`. */
  onclose: WebSocketLike["onclose"] = null;
  /** Number within the tab. */
  readonly number: number;
  /** Name of the relay, once it has answered. */
  relay: string | undefined;
  readonly #seat: Seat;
  #state = CONNECTING;

  /** Opens it. @param seat the tab's place in its group */
  constructor(seat: Seat) {
    this.#seat = seat;
    this.number = seat.open(this);
    seat.announce(this);
  }

  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  get readyState(): number {
    return this.#state;
  }

  /** Sends a text frame. */
  send(text: string): void {
    if (this.#state !== OPEN) return;
    this.#remember(text);
    this.#say("text", text);
  }

  /** Closes it; with 1000 the relay answers when the goodbye before it is said. A second call ends the wait. */
  close(code?: number): void {
    if (this.#state === CLOSING && code === undefined) this.#end(1000, "");
    if (this.#state >= CLOSING) return;
    const isOpen = this.#state === OPEN;
    this.#say("close");
    this.#state = CLOSING;
    if (code !== 1000 || !isOpen) this.#end(1000, "");
  }

  /** The relay says something. */
  hear(down: Exclude<Down, { down: "lead" }>): void {
    if (this.#state === CLOSED || (this.relay ?? down.relay) !== down.relay) return;
    if (down.down === "open") {
      if (this.#state !== CONNECTING) return;
      this.relay = down.relay;
      this.#state = OPEN;
      this.onopen?.({} as never);
    } else if (down.down === "text") {
      if (this.#state === OPEN) this.onmessage?.({ data: down.text } as never);
    } else this.#end(down.code, down.reason);
  }

  /** Another tab leads now. */
  lost(): void {
    this.#end(4000, "Another tab has taken the connection over.");
  }

  #say(up: "text" | "close", text = ""): void {
    const { relay, number } = this;
    if (relay === undefined) return;
    this.#seat.say({ up, tab: this.#seat.id, socket: number, relay, text });
  }

  #end(code: number, reason: string): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    const { onclose } = this;
    this.#seat.closed(this.number);
    onclose?.({ code, reason } as never);
  }

  /** The next relay must know what not to give back. */
  #remember(text: string): void {
    if (!text.includes('"channel.publish"')) return;
    const value: unknown = JSON.parse(text);
    for (const frame of Array.isArray(value) ? value : [value]) {
      if (!isRecord(frame) || frame.type !== "channel.publish") continue;
      const key = keyOf(`${frame.channel}`, `${frame.id}`);
      if (frame.echo === true) this.#seat.own.delete(key);
      else this.#seat.own.add(key);
    }
  }
}
