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
export interface Channel {
  readonly name: string;
  /** What is there of it. */
  readonly inbox: Inbox;
  /** Where the application wants to start. */
  readonly start: Start;
  /** Who wants it. */
  readonly members: Set<Member>;
  /** Who waits for it to flow. */
  readonly waiting: Set<Deferred<void>>;
  /** What came before the answer: over HTTP the one may overtake the other. */
  early: Incoming[];
  /** How far the gateway has followed on this connection. */
  state: "unasked" | "asked" | "flowing";
  /** Whether the gateway may know of the subscription. */
  told?: boolean;
  /** Whether it ever flowed: its refusal then is not the answer to anybody's call. */
  proved?: boolean;
  /** Whether the gateway had a position of it before this object asked, which nobody has given up. */
  stored?: boolean;
  /** Refusals in a row. */
  tries: number;
  /** Ends the wait before it is asked for again. */
  cancelRetry?: Cancel | undefined;
}
