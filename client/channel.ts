import type { Cancel } from "./clock.ts";
import type { Deferred } from "./deferred.ts";
import type { Inbox } from "./inbox.ts";
import type { Incoming } from "./incoming.ts";
import type { PushError } from "./protocol/error.ts";
import type { Start } from "./protocol/frames.ts";

/** A part of the application that wants a channel. */
export interface Member {
  /** The channel is over for it. @param error why, unless the application wanted it */
  end(error?: PushError): void;
  /** The client is closed, and may be connected again. @param error why, unless the application wanted it */
  pause(error?: PushError): void;
}

/** A channel that the application wants. */
export class Channel {
  /** Who wants it. */
  readonly members: Set<Member> = new Set();
  /** Who waits for it to flow. */
  readonly waiting: Set<Deferred<void>> = new Set();
  /** What came before the answer: over HTTP the one may overtake the other. */
  readonly early: Incoming[] = [];
  /** How far the gateway has followed on this connection. */
  state: "unasked" | "asked" | "flowing" = "unasked";
  /** Whether the gateway may know of the subscription. */
  told = false;
  /** Whether it ever flowed: its refusal then is not the answer to anybody's call. */
  proved = false;
  /** Whether the gateway had a position of it before this object asked, which nobody has given up. */
  stored = false;
  /** Refusals in a row. */
  tries = 0;
  /** Ends the wait before it is asked for again. */
  cancelRetry: Cancel | undefined;
  readonly name: string;
  readonly inbox: Inbox;
  readonly #start: Start;

  /** @param name of the channel @param inbox what is there of it @param start where the application wants to start */
  constructor(name: string, inbox: Inbox, start: Start) {
    this.name = name;
    this.inbox = inbox;
    this.#start = start;
  }

  /** Where it goes on: from its position, or else from where the application wants. */
  get start(): Start {
    const { position } = this.inbox;
    return position ? { position } : this.#start;
  }

  /** The gateway is asked for it now. */
  asking(): void {
    this.state = "asked";
    this.told = true;
    // The position said all that these would have said.
    this.inbox.takeAck();
  }

  /** The connection is gone. */
  disconnected(): void {
    this.state = "unasked";
    this.cancelRetry?.();
    this.cancelRetry = undefined;
    this.early.length = 0;
    this.inbox.disconnected();
  }
}
