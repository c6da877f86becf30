/**
 * What the client does next, as a pure function: a state and an input give a state and effects.
 * Nothing here opens, sends or waits; `connector.ts` carries the effects out.
 *
 * @module
 */
import type { Code } from "./protocol/codes.ts";

/** How frames travel. */
export type Transport = "websocket" | "longpoll";

/** Name of a state of the client. */
export type StateName = "idle" | "connecting" | "connected" | "reconnecting" | "closed";

/** Why the client is in a state. */
export interface Why {
  /** What led here; `undefined` where nothing went wrong. */
  readonly code: Code | undefined;
  /** The same in words. */
  readonly reason: string;
}

/** On the way to a connection: one round tries every transport once, and then waits. */
export type Step =
  | { readonly at: "opening"; readonly transport: number; readonly left: number }
  | { readonly at: "waiting"; readonly transport: number };

/** State of the client. Transports are indexes into {@linkcode Policy.transports}. */
export type State =
  | Why & { readonly name: "idle" }
  | Why & {
    readonly name: "connecting" | "reconnecting";
    readonly step: Step;
    /** Waits so far. */
    readonly tries: number;
  }
  | Why & {
    readonly name: "connected";
    readonly transport: number;
    /** Failed looks for a better transport. */
    readonly probes: number;
    /** Waits it took to get here, until the connection has proved steady. */
    readonly tries: number;
  }
  | Why & { readonly name: "closed"; readonly code: Code };

/** How a link ended, or why none came about. */
export interface Ending {
  readonly code: Code;
  readonly reason: string;
  /** Whether coming back is pointless or unwanted. */
  readonly final: boolean;
}

/** What happens to the client. */
export type Input =
  | { readonly type: "connect" }
  | { readonly type: "disconnect"; readonly forget: boolean }
  /** A link was being opened and failed. */
  | { readonly type: "failed"; readonly ending: Ending }
  /** The gateway has accepted the client on the link being opened. */
  | { readonly type: "connected" }
  /** The link in use has lasted for a while. */
  | { readonly type: "steady" }
  /** The link in use has ended. */
  | { readonly type: "lost"; readonly ending: Ending }
  /** The wait is over. */
  | { readonly type: "elapsed" }
  /** The network or the tab is back. */
  | { readonly type: "wake" }
  /** It is time to see whether the best transport works by now. */
  | { readonly type: "probe" }
  | { readonly type: "probe_failed" }
  /** The best transport works and has taken the session over. */
  | { readonly type: "upgraded" };

/** What is to be done. */
export type Effect =
  | { readonly type: "open"; readonly transport: number }
  | { readonly type: "wait"; readonly tries: number }
  | { readonly type: "wait_probe"; readonly tries: number }
  | { readonly type: "open_probe" }
  /** See whether the link in use still lives. */
  | { readonly type: "check" }
  /** Say goodbye on the link in use, and close everything. */
  | { readonly type: "leave"; readonly forget: boolean }
  /** Drop everything without a word. */
  | { readonly type: "drop" };

/** What the application asked for. */
export interface Policy {
  /** Transports, the best first. */
  readonly transports: readonly Transport[];
  /** Whether a lost or refused connection is tried again. */
  readonly autoReconnect: boolean;
}

/** State of a client that was never asked to connect. */
export const IDLE: State = { name: "idle", code: undefined, reason: "connect() was not called." };

/** What a state becomes by an input, and what is to be done about it. An input that does not fit changes nothing. */
export function advance(state: State, input: Input, policy: Policy): [State, Effect[]] {
  switch (input.type) {
    case "connect":
      return state.name === "idle" || state.name === "closed"
        ? open("connecting", 0, policy.transports.length - 1, 0, calm("connect() was called."))
        : [state, []];
    case "disconnect": {
      if (state.name === "closed") return [state, []];
      const why = { code: "disconnected", reason: "disconnect() was called." } as const;
      return [{ name: "closed", ...why }, [{ type: "leave", forget: input.forget }]];
    }
    case "failed":
      return failed(state, input.ending, policy);
    case "connected": {
      if (!isOpening(state)) return [state, []];
      const { step: { transport }, tries } = state;
      const effects: Effect[] = transport === 0 ? [] : [{ type: "wait_probe", tries: 0 }];
      const why = calm("The gateway has accepted the client.");
      return [{ name: "connected", transport, probes: 0, tries, ...why }, effects];
    }
    case "steady":
      return state.name === "connected" ? [{ ...state, tries: 0 }, []] : [state, []];
    case "lost": {
      if (state.name !== "connected") return [state, []];
      const { ending } = input;
      if (ending.final || !policy.autoReconnect) return close(ending);
      return wait("reconnecting", state.transport, state.tries, ending);
    }
    case "elapsed":
      return isWaiting(state) ? retry(state, policy) : [state, []];
    case "wake":
      if (state.name === "connected") return [state, [{ type: "check" }]];
      return isWaiting(state) ? retry(state, policy) : [state, []];
    case "probe":
      return isFallback(state) ? [state, [{ type: "open_probe" }]] : [state, []];
    case "probe_failed": {
      if (!isFallback(state)) return [state, []];
      const probes = state.probes + 1;
      return [{ ...state, probes }, [{ type: "wait_probe", tries: probes }]];
    }
    case "upgraded":
      if (!isFallback(state)) return [state, []];
      return [{ ...state, transport: 0, ...calm("A better transport took the session over.") }, []];
  }
}

type Underway = Extract<State, { readonly step: Step }>;
type At<S extends Step["at"]> = Underway & { readonly step: Extract<Step, { at: S }> };

function isOpening(state: State): state is At<"opening"> {
  return "step" in state && state.step.at === "opening";
}

function isWaiting(state: State): state is At<"waiting"> {
  return "step" in state && state.step.at === "waiting";
}

function isFallback(state: State): state is Extract<State, { name: "connected" }> {
  return state.name === "connected" && state.transport > 0;
}

function failed(state: State, ending: Ending, policy: Policy): [State, Effect[]] {
  if (!isOpening(state)) return [state, []];
  const { transport, left } = state.step;
  if (ending.final) return close(ending);
  // A gateway that answered is reachable: another transport would hear the same.
  if (ending.code === "connection_failed" && left > 0) {
    const next = (transport + 1) % policy.transports.length;
    return open(state.name, next, left - 1, state.tries, pick(ending));
  }
  if (!policy.autoReconnect) return close(ending);
  const again = ending.code === "connection_failed" ? 0 : transport;
  return wait(state.name, again, state.tries, ending);
}

/** Begins a round with the transport that worked last, so that a blocked one costs its timeout once. */
function retry(state: At<"waiting">, policy: Policy): [State, Effect[]] {
  const left = policy.transports.length - 1;
  return open(state.name, state.step.transport, left, state.tries + 1, pick(state));
}

function open(
  name: Underway["name"],
  transport: number,
  left: number,
  tries: number,
  why: Why,
): [State, Effect[]] {
  const step = { at: "opening", transport, left } as const;
  return [{ name, step, tries, ...why }, [{ type: "open", transport }]];
}

function wait(
  name: Underway["name"],
  transport: number,
  tries: number,
  why: Why,
): [State, Effect[]] {
  return [{ name, step: { at: "waiting", transport }, tries, ...pick(why) }, [{
    type: "wait",
    tries,
  }]];
}

function close(ending: Ending): [State, Effect[]] {
  return [{ name: "closed", code: ending.code, reason: ending.reason }, [{ type: "drop" }]];
}

function calm(reason: string): Why {
  return { code: undefined, reason };
}

function pick({ code, reason }: Why): Why {
  return { code, reason };
}
