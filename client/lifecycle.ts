/**
 * What the client does next, as a pure function: a state and an input give a state and an effect.
 * Nothing here opens, sends or waits; `connector.ts` carries the effects out.
 *
 * @module
 */
import type { Code } from "./protocol/codes.ts";

/** How frames travel. */
export type Transport = "websocket" | "sse" | "longpoll";

/** Name of a state of the client. */
export type StateName = "idle" | "connecting" | "connected" | "reconnecting" | "closed";

/** Why the client is in a state. */
export interface Why {
  /** What led here; `undefined` where nothing went wrong. */
  readonly code: Code | undefined;
  /** The same in words. */
  readonly reason: string;
}

/** How far the client is. One round tries every transport once, and then waits. */
interface Progress extends Why {
  /** The transport in use or being tried, as an index into {@linkcode Policy.transports}. */
  readonly transport: number;
  /** Transports that are left in this round; -1 while none is being opened. */
  readonly left: number;
  /** Waits so far, until a connection has proved steady. */
  readonly tries: number;
  /** Looks for a better transport since the best one was in use: each waits longer than the last. */
  readonly looks: number;
  /** Whether the connection has lasted for a while. */
  readonly isSteady: boolean;
}

/** State of the client. */
export type State =
  | Progress & { readonly name: Exclude<StateName, "closed"> }
  | Progress & { readonly name: "closed"; readonly code: Code };

/** How a link ended, or why none came about. */
export interface Ending {
  readonly code: Code;
  readonly reason: string;
  /** Whether coming back is pointless or unwanted. */
  readonly final: boolean;
}

/** What happens to the client. */
export type Input =
  | readonly ["connect"]
  /** `disconnect()` was called; whether the session is to be forgotten. */
  | readonly ["disconnect", boolean]
  /** The gateway has accepted the client over this transport, the one being opened or a better one. */
  | readonly ["accepted", number]
  /** The link in use has lasted for a while. */
  | readonly ["steady"]
  /** The link in use has ended, or the one being opened has failed. */
  | readonly ["ended", Ending]
  /** The wait is over. */
  | readonly ["elapsed"]
  /** The network or the page is back. */
  | readonly ["wake"]
  /** It is time to see whether this transport, from the best on, works by now. */
  | readonly ["look", number];

/** What is to be done, if anything. */
export type Effect =
  | []
  /** Open this transport. */
  | ["open", number]
  /** Wait before the next round, after so many waits. */
  | ["wait", number]
  /** Wait before the next look for a better transport, after so many looks. */
  | ["rest", number]
  /** Open this transport beside the one in use. */
  | ["look", number]
  /** See whether the link in use still lives. */
  | ["check"]
  /** Say goodbye on the link in use, and close everything; whether the session is to be forgotten. */
  | ["leave", boolean]
  /** Drop everything without a word. */
  | ["drop"];

/** What the application asked for. */
export interface Policy {
  /** Transports, the best first. */
  readonly transports: readonly Transport[];
  /** Whether a lost or refused connection is tried again. */
  readonly autoReconnect: boolean;
}

/** State of a client that was never asked to connect. */
export const IDLE: State = {
  name: "idle",
  code: undefined,
  reason: "connect() was not called.",
  transport: 0,
  left: -1,
  tries: 0,
  looks: 0,
  isSteady: false,
};

/** What a state becomes by an input, and what is to be done about it. An input that does not fit changes nothing. */
export function advance(
  state: State,
  [type, value]: Input,
  { transports, autoReconnect }: Policy,
): [State, ...Effect] {
  const { name, transport, left, tries, looks } = state;
  const isOpening = left >= 0;
  const isConnected = name === "connected";
  const isClosed = name === "idle" || name === "closed";

  const to = (changes: Partial<State>, ...effect: Effect): [State, ...Effect] => [
    { ...state, left: -1, ...changes } as State,
    ...effect,
  ];
  const open = (
    changes: Partial<State>,
    transport: number,
    left = transports.length - 1,
  ): [State, ...Effect] => to({ ...changes, transport, left }, "open", transport);

  switch (type) {
    case "connect":
      if (!isClosed) break;
      return open(
        { ...IDLE, name: "connecting", reason: "connect() was called." },
        0,
      );
    case "disconnect":
      if (name === "closed") break;
      return to(
        { name: "closed", code: "disconnected", reason: "disconnect() was called." },
        "leave",
        value,
      );
    case "accepted":
      if (!isOpening && !isConnected) break;
      return to(
        {
          name: "connected",
          code: undefined,
          reason: `The gateway has accepted the client over ${transports[value]}.`,
          transport: value,
          looks: value > 0 ? looks : 0,
          isSteady: false,
        },
        ...(value > 0 ? ["rest", looks] as const : []),
      );
    case "steady":
      if (isConnected) return to({ tries: 0, isSteady: true });
      break;
    case "ended": {
      if (!isOpening && !isConnected) break;
      const { final, ...why } = value;
      // A gateway that answered is reachable: another transport would hear the same. One that can no
      // longer be reached, and could not for long, may be reached in another way.
      const isBlocked = !final && why.code === "connection_failed" && !state.isSteady;
      if (isOpening && isBlocked && left > 0) {
        return open(why, (transport + 1) % transports.length, left - 1);
      }
      if (final || !autoReconnect) return to({ ...why, name: "closed" }, "drop");
      return to(
        {
          ...why,
          name: isConnected ? "reconnecting" : name,
          transport: isBlocked ? 0 : transport,
          isSteady: false,
        } as Partial<State>,
        "wait",
        tries,
      );
    }
    case "wake":
      if (isConnected) return [state, "check"];
      /* falls through */
    case "elapsed":
      if (isOpening || isConnected || isClosed) break;
      // With the transport that worked last, so that a blocked one costs its timeout once.
      return open({ tries: tries + 1 }, transport);
    case "look":
      if (!isConnected || transport === 0) break;
      if (value >= transport) return [state, "rest", looks];
      return to({ looks: value === 0 ? looks + 1 : looks }, "look", value);
  }
  return [state];
}

/** Why a client was closed. */
export interface Closed {
  /** `disconnected` after `disconnect()`; else what the gateway or the network said. */
  readonly code: Code;
  /** The same in words. */
  readonly reason: string;
}
