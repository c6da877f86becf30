import { LEAVE_TIMEOUT, STEADY } from "./bounds.ts";
import { attempt } from "./attempt.ts";
import { backoffDelay } from "./backoff.ts";
import type { Cancel } from "./clock.ts";
import type { Ending, State, StateName, Transport } from "./lifecycle.ts";
import { endingOf } from "./links/link.ts";
import { reportGarbage, route } from "./router.ts";
import type { Session } from "./session.ts";
import { termsOf } from "./terms.ts";

/**
 * Decides what the client does next, and does it: opens links, waits, looks for a better one, gives
 * up. One round tries every transport once, and then waits.
 */
export interface Connector extends State {
  /** How each transport failed the last time: its code, and the reason in words. */
  readonly failures: { readonly [name in Transport]?: string };
  /** Begins to connect, where nothing is under way. */
  begin(): void;
  /** The network or the page is back. */
  wake(): void;
  /** Leaves on purpose. @returns a promise that fulfills when all is said; it never rejects */
  goodbye(forget: boolean): Promise<void>;
  /** Gives the link in use up without waiting for its end. */
  abandon(reason: string): void;
}

/** Wait for a better transport, in milliseconds: random between half and the whole of it. */
const LOOK_DELAY = { min: 2500, max: 30_000 };

/** Makes the connector of a session. */
export function connectorOf(session: Session): Connector {
  const { transports, clock, random } = session;
  const failures: { [name in Transport]?: string } = {};
  /** The transport in use or being tried. */
  let at = 0;
  /** Transports that are left in this round; -1 while none is being opened. */
  let left = -1;
  /** Waits so far, until a connection has proved steady. */
  let tries = 0;
  /** Looks for a better transport since the best one was in use: each waits longer than the last. */
  let looks = 0;
  /** When the client was accepted last. */
  let since = 0;
  /** Ends the wait for the next round, or for the next look. */
  let cancelNext: Cancel | undefined;
  /** Gives up the link in use. */
  let end: ((ending?: Ending) => void) | undefined;
  /** Ends the attempt under way: to connect at all, or to find a better transport. */
  let abort: (() => void) | undefined;
  /** Changes whenever what was prepared for is no longer wanted. */
  let era = 0;
  let said = Promise.resolve();

  /** What is done may change the state again; who listens hears of it after that. */
  const move = (
    state: StateName,
    { code, reason }: Pick<State, "code" | "reason">,
    act: () => void,
  ): void => {
    const { state: previous, transport } = session;
    Object.assign(session, { state, code, reason });
    session.transport = state === "connected" ? transports[at] : undefined;
    act();
    if (state !== previous || session.transport !== transport) session.changed(previous);
  };

  /** Drops whatever was planned or under way. */
  const clear = (): void => {
    era++;
    left = -1;
    abort?.();
    cancelNext?.();
  };

  const detach = (): void => {
    if (!session.link) return;
    end = session.link = undefined;
    session.detached();
  };

  const open = (transport: number, others = transports.length - 1): void => {
    clear();
    at = transport;
    left = others;
    start(transport);
  };

  const retry = (): void => {
    tries++;
    // With the transport that worked last, so that a blocked one costs its timeout once.
    open(at);
  };

  const lost = (ending: Ending): void => {
    const { state } = session;
    // A gateway that answered is reachable: another transport would hear the same. One that can no
    // longer be reached, and could not for long, may be reached in another way.
    const isSteady = session.transport && clock.now() - since >= STEADY;
    const isBlocked = !ending.final && ending.code === "connection_failed" && !isSteady;
    if (isSteady) tries = 0;
    if (isBlocked && left > 0) {
      return move(state, ending, () => open((at + 1) % transports.length, left - 1));
    }
    if (ending.final || !session.autoReconnect) {
      return move("closed", ending, () => {
        end?.();
        detach();
        clear();
      });
    }
    if (isBlocked) at = 0;
    move(state === "connected" ? "reconnecting" : state, ending, () => {
      clear();
      cancelNext = clock.schedule(backoffDelay(tries, session.reconnectDelay, random), retry);
    });
  };

  /** Sees whether this transport works by now, or the next one that is better than the one in use. */
  const look = (transport: number): void => {
    if (transport < at) {
      if (!transport) looks++;
      return start(transport, true);
    }
    const least = Math.min(LOOK_DELAY.max, LOOK_DELAY.min * 2 ** looks);
    const delay = least + backoffDelay(looks, LOOK_DELAY, random);
    cancelNext = clock.schedule(delay, () => look(0));
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
      failures[isAccepted ? transports[at] : name] = `${code}: ${reason}`;
      if (isAccepted) detach();
      if (!isTaken) return look(transport + 1);
      // A refusal that the client can do something about is none, and one that it cannot is final.
      // A poller that is not known any more may still have its session.
      const isMended = !(isAccepted && code === "unknown_session") && session.mend(code);
      lost({ code, reason, final: !isMended && (final || code === "token_expired") });
    };
    const accepted = (): void => {
      if (wanted !== era) return;
      since = clock.now();
      at = transport;
      left = -1;
      const reason = `Connected over ${name}.`;
      move("connected", { reason }, () => transport ? look(transport) : looks = 0);
    };
    session.prepare().then(() => {
      if (wanted !== era) return;
      const stream = name === "sse" && isLook && session.link?.stream;
      if (stream) {
        return stream((failure) => {
          if (wanted !== era) return;
          if (failure) ended(failure);
          else accepted();
        });
      }
      // To register takes the session over before anybody knows whether messages can come.
      if (isLook && name !== "websocket") return look(transport + 1);
      const give = abort = attempt(name, session, {
        hello() {
          if (!isTaken) {
            // From here on only the new link speaks: it states what came over the old one, and the
            // gateway will close that as replaced.
            isTaken = true;
            end?.();
            detach();
          }
          return session.hello();
        },
        positions: session.positions,
        garbage: (what) => reportGarbage(session, what),
        frames(values) {
          session.heard();
          for (const value of values) route(session, value);
        },
        accepted(link, frame) {
          isAccepted = true;
          abort = undefined;
          end = give;
          session.link = link;
          Object.assign(session.terms, termsOf(frame));
          session.attached(frame);
          // A client is not connected before messages can come.
          if (name === "sse") link.stream!((failure) => failure ? give(failure) : accepted());
          else accepted();
        },
        ended,
      });
    }, (error) => {
      // No transport can help.
      if (wanted === era) ended(endingOf(`${error}`, "unavailable"));
    });
  };

  return {
    state: "idle",
    reason: "connect() was not called.",
    failures,
    begin() {
      tries = looks = 0;
      move("connecting", { reason: "connect() was called." }, () => open(0));
    },
    wake() {
      if (session.transport) {
        session.checkBeat();
        session.link?.renew?.();
      } else if (left < 0 && session.state.endsWith("ing")) retry();
    },
    goodbye(forget) {
      if (session.state === "closed") return said;
      move("closed", { code: "disconnected", reason: "disconnect() was called." }, () => {
        session.flushAcks();
        const { link } = session;
        detach();
        clear();
        said = new Promise((resolve) => {
          if (!link) return resolve();
          const done = (): void => {
            cancel();
            link.drop();
            resolve();
          };
          const cancel = clock.schedule(LEAVE_TIMEOUT, done);
          link.leave(JSON.stringify({ type: "disconnect", forget: forget || undefined }), done);
        });
      });
      return said;
    },
    abandon: (reason) => end?.(endingOf(reason)),
  };
}
