import { Deferred } from "./deferred.ts";
import { keeperOf } from "./keeper.ts";
import type { Closed, StateName } from "./lifecycle.ts";
import { actionOf, type Code } from "./protocol/codes.ts";
import { PushError } from "./protocol/error.ts";
import type { ConnectFrame } from "./protocol/frames.ts";
import { PROTOCOL_VERSION } from "./protocol/limits.ts";
import type { Room, Session } from "./session.ts";

/** From `connect()` to the end, and what of it survives a reload of the page. */
export interface Life {
  /** Gets ready what `hello` needs. Rejects if there is no token. */
  prepare(): Promise<void>;
  /** What opens a connection. */
  hello(): ConnectFrame;
  /** The state has changed. */
  changed(previous: StateName): void;
  /** Keeps the positions for the page that a reload brings. */
  save(): void;
  /** Connects, and waits until it is. Rejects when the client is closed. */
  connect(signal: AbortSignal | undefined): Promise<void>;
  /** Closes the client on purpose. @param forget whether the session ends too, even a named one */
  disconnect(forget?: boolean): Promise<void>;
  /** Waits until the client is closed. */
  closed(signal: AbortSignal | undefined): Promise<Closed>;
}

/** Makes the life of a session. */
export function lifeOf(session: Session): Life & Room {
  const { clock, environment, isNamed } = session;
  const connecting: Set<Deferred<void>> = new Set();
  const closing: Set<Deferred<Closed>> = new Set();
  const name = isNamed ? session.clientId : "";
  const keeper = environment?.keep &&
    keeperOf(environment.keep, clock, `push:${session.httpUrl}:${name}`);
  let loaded: Promise<void> | undefined;
  let isForgetting = false;
  let unwatch: (() => void)[] = [];

  const load = async (): Promise<void> => {
    const kept = await keeper?.load().catch(() => undefined);
    if (!kept || (session.clientId ?? kept.clientId) !== kept.clientId) return;
    const { clientId, secret, positions } = kept;
    if (!isNamed) Object.assign(session, { clientId, secret });
    session.restore(positions);
  };

  /** Everybody who waits hears that it is over. */
  const close = (code: Code, reason: string): void => {
    const error = new PushError(code, reason);
    const isWanted = code === "disconnected";
    const forget = isWanted && isForgetting;
    for (const end of unwatch) end();
    if (keeper?.release(forget || (isWanted && !isNamed))) loaded = undefined;
    session.over(error, isWanted, forget);
    for (const each of connecting) each.reject(error);
    for (const each of closing) each.resolve({ code, reason });
  };

  return {
    async prepare() {
      await (loaded ??= load());
      try {
        await session.getToken();
      } catch (error) {
        if (error !== session) session.report(error, "token");
        throw error;
      }
    },
    hello: () => ({
      type: "connect",
      version: PROTOCOL_VERSION,
      ...session.introduce(),
      session_ttl: session.sessionTtl,
      subscriptions: session.firsts(),
    }),
    // The client's name is held against other pages.
    attached: () => void keeper?.hold(session.clientId!).then(session.save),
    changed(previous) {
      const { state, code, reason, transport } = session;
      if (transport) { for (const each of connecting) each.resolve(); }
      if (state === "closed") close(code!, reason);
      const action = code && actionOf(code);
      session.emit("state", { state, previous, code, reason, action, transport });
    },
    save() {
      const { clientId, secret } = session;
      if (!keeper || !clientId) return;
      const positions = [...session.channels.values()]
        .map(({ name, snapshot }) => [name, snapshot()!] as const)
        .filter(([, snapshot]) => snapshot);
      keeper.save({ clientId, secret, positions });
    },
    connect(signal) {
      const waiting = new Deferred<void>(signal, connecting);
      if (session.transport) waiting.resolve();
      if (waiting.settled) return waiting.promise;
      waiting.whenSettled(() => {
        const isDeserted = signal?.aborted && connecting.size === 0;
        if (isDeserted && session.state === "connecting") void session.disconnect();
      });
      if (/idle|closed/.test(session.state)) {
        // What was refused before may be answered differently now.
        session.token = undefined;
        isForgetting = false;
        for (const { pump } of session.channels.values()) pump();
        if (environment) {
          unwatch = [
            environment.onWake(session.wake),
            environment.onHide(() => {
              session.flushAcks();
              session.link?.flush();
              session.save();
            }),
          ];
        }
        session.begin();
      }
      return waiting.promise;
    },
    disconnect(forget = false) {
      isForgetting = forget;
      return session.goodbye(forget);
    },
    closed(signal) {
      const { state, code, reason } = session;
      const waiting = new Deferred<Closed>(signal, closing);
      if (state === "closed") waiting.resolve({ code: code!, reason });
      return waiting.promise;
    },
  };
}
