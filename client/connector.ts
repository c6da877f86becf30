import { attempt } from "./attempt.ts";
import { backoffDelay } from "./backoff.ts";
import type { Cancel } from "./clock.ts";
import {
  advance,
  type Effect,
  type Ending,
  IDLE,
  type Input,
  type State,
  type Transport,
} from "./lifecycle.ts";
import { endingOf, type Link, type LinkEvents } from "./links/link.ts";
import type { ClientSettings } from "./options.ts";
import type { Code } from "./protocol/codes.ts";
import type { ConnectedFrame } from "./protocol/frames.ts";

/** What a {@linkcode Connector} works for. */
export interface ConnectorHost extends Omit<LinkEvents, "ended"> {
  /** Gets ready what `hello` needs. Rejects if there is no token. */
  prepare(): Promise<void>;
  /** The gateway has accepted the client on this link. */
  attached(link: Link, frame: ConnectedFrame): void;
  /** The link in use is gone. */
  detached(): void;
  /** The link in use is asked for a sign of life. */
  check(): void;
  /** The last frame of a connection that is ended on purpose; what else is to be said has been sent. */
  goodbye(forget: boolean): string;
  /** Whether the client, refused with this code, may come back as somebody else. */
  mend(code: Code): boolean;
  /** The state may have changed. */
  changed(state: State, previous: State): void;
}

/** Carries out what the lifecycle decides: opens links, waits, looks for a better one, gives up. */
export interface Connector {
  /** State now. */
  readonly state: State;
  /** How frames travel now. */
  readonly transport: Transport | undefined;
  /** How each transport failed the last time: its code, and the reason in words. */
  readonly failures: { readonly [name in Transport]?: string };
  /** Takes an input in, and does what follows from it. */
  input(...input: Input): void;
  /** Leaves on purpose. @returns a promise that fulfills when all is said; it never rejects */
  leave(forget: boolean): Promise<void>;
  /** Gives the link in use up without waiting for its end. */
  abandon(reason: string): void;
}

type Effects = {
  [E in Effect as E extends [infer Name extends string, ...unknown[]] ? Name : never]: (
    value: E[1],
  ) => void;
};

/** Milliseconds after which a connection counts as steady. */
const STEADY = 10_000;
/** Milliseconds that a goodbye may take. */
const LEAVE_TIMEOUT = 2000;
/** Wait for a better transport, in milliseconds: random between half and the whole of it. */
const LOOK_DELAY = { min: 2500, max: 30_000 };

/** Makes a {@linkcode Connector}. @param settings of the client @param host what it works for */
export function connectorOf(settings: ClientSettings, host: ConnectorHost): Connector {
  const { transports, clock, random } = settings;
  const failures: { [name in Transport]?: string } = {};
  const timers: Map<string, Cancel> = new Map();
  let state = IDLE;
  /** The link in use, and what ends it. */
  let current: { readonly link: Link; readonly end: (ending?: Ending) => void } | undefined;
  /** Ends the attempt under way: to connect at all, or to find a better transport. */
  let abort: (() => void) | undefined;
  /** Changes whenever what was prepared for is no longer wanted. */
  let era = 0;
  let left = Promise.resolve();

  const input = (...input: Input): void => {
    const previous = state;
    const [next, effect, value] = advance(previous, input, settings);
    state = next;
    if (effect) (effects[effect] as (value: unknown) => void)(value);
    host.changed(next, previous);
  };

  const after = (delay: number, ...then: Input): void => {
    timers.get(then[0])?.();
    timers.set(then[0], clock.schedule(delay, () => input(...then)));
  };

  /** Drops whatever was planned or under way. */
  const clear = (): void => {
    era++;
    abort?.();
    abort = undefined;
    for (const cancel of timers.values()) cancel();
  };

  const detach = (): void => {
    if (!current) return;
    current = undefined;
    host.detached();
  };

  const start = (transport: number, isLook?: boolean): void => {
    const name = transports[transport];
    const wanted = era;
    let isAccepted = false;
    /** Whether this attempt speaks for the client. */
    let isTaken = !isLook;
    const ended = (ending: Ending): void => {
      const { code, reason, final } = ending;
      // A link may have come to receive over another transport than the one it was opened for.
      failures[isAccepted ? transports[state.transport] : name] = `${code}: ${reason}`;
      if (isAccepted) detach();
      else abort = undefined;
      if (!isTaken) return input("look", transport + 1);
      // A refusal that the client can do something about is none, and one that it cannot is final.
      // A poller that is not known any more may still have its session.
      const isMended = !(isAccepted && code === "unknown_session") && host.mend(code);
      input("ended", { ...ending, final: !isMended && (final || code === "token_expired") });
    };
    const accepted = (): void => {
      after(STEADY, "steady");
      input("accepted", transport);
    };
    const open = (): void => {
      const stream = name === "sse" && isLook && current?.link.stream;
      if (stream) {
        return stream((failure) => {
          if (wanted !== era) return;
          if (failure) ended(failure);
          else accepted();
        });
      }
      // To register takes the session over before anybody knows whether messages can come.
      if (isLook && name !== "websocket") return input("look", transport + 1);
      const end = attempt(name, settings, {
        ...host,
        hello() {
          if (!isTaken) {
            // From here on only the new link speaks: it states what came over the old one, and the
            // gateway will close that as replaced.
            isTaken = true;
            current?.end();
            detach();
          }
          return host.hello();
        },
        accepted(link, frame) {
          isAccepted = true;
          abort = undefined;
          current = { link, end };
          host.attached(link, frame);
          if (name !== "sse") return accepted();
          // A client is not connected before messages can come.
          link.stream!((failure) => failure ? end(failure) : accepted());
        },
        ended,
      });
      abort = end;
    };
    host.prepare().then(
      () => wanted === era && open(),
      // No transport can help.
      (error) => wanted === era && ended(endingOf(`${error}`, "unavailable")),
    );
  };

  const effects: Effects = {
    open(transport) {
      clear();
      start(transport);
    },
    wait(tries) {
      clear();
      after(backoffDelay(tries, settings.reconnectDelay, random), "elapsed");
    },
    rest(looks) {
      const least = Math.min(LOOK_DELAY.max, LOOK_DELAY.min * 2 ** looks);
      after(least + backoffDelay(looks, LOOK_DELAY, random), "look", 0);
    },
    look: (transport) => start(transport, true),
    check() {
      host.check();
      current?.link.renew?.();
    },
    leave(forget) {
      const goodbye = host.goodbye(forget);
      const link = current?.link;
      detach();
      clear();
      left = new Promise((resolve) => {
        if (!link) return resolve();
        const done = (): void => {
          cancel();
          link.drop();
          resolve();
        };
        const cancel = clock.schedule(LEAVE_TIMEOUT, done);
        link.leave(goodbye, done);
      });
    },
    drop() {
      current?.end();
      detach();
      clear();
    },
  };

  return {
    get state() {
      return state;
    },
    get transport() {
      return state.name === "connected" ? transports[state.transport] : undefined;
    },
    failures,
    input,
    leave(forget) {
      input("disconnect", forget);
      return left;
    },
    abandon: (reason) => current?.end(endingOf(reason)),
  };
}
