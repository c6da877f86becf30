import { Deferred } from "./deferred.ts";
import { isText } from "./check.ts";
import type { StateName, Transport } from "./lifecycle.ts";
import { actionOf, type Code } from "./protocol/codes.ts";
import type { Session } from "./session.ts";

/** Version of the package. */
export const VERSION = "0.1.0";

/** How things stand with a client: JSON can carry all of it, and its `toString()` gives the text. */
export interface Diagnosis {
  /** Version of `@push/client`. */
  readonly version: string;
  /** What it runs in: what it says of itself, or the version of a Node that does not. */
  readonly runtime?: string | undefined;
  /** Address of the gateway, without its query. */
  readonly url: string;
  /** State of the client. */
  readonly state: StateName;
  /** What led there; absent where nothing went wrong. */
  readonly code?: Code | undefined;
  /** The same in words. */
  readonly reason: string;
  /** What to do about it. */
  readonly action?: string | undefined;
  /** How frames travel now; absent while there is no connection. */
  readonly transport?: Transport | undefined;
  /** How each transport failed the last time. */
  readonly failures: { readonly [transport in Transport]?: string };
  /** Name of the client, given or minted. */
  readonly clientId?: string | undefined;
  /** Whether the application gave the name. */
  readonly named: boolean;
  /** What the gateway said of itself, every duration in milliseconds; its defaults before that. */
  readonly terms: { readonly [name: string]: number | boolean };
  /** Publishes without an answer. */
  readonly outbox: number;
  /** The subscribed channels. */
  readonly channels: readonly ChannelDiagnosis[];
  /** What `/health` of the gateway answers over HTTP just now, and after how long, or why it does not. */
  readonly health: string;
}

/** How things stand with a channel. */
export interface ChannelDiagnosis {
  /** Its name. */
  readonly channel: string;
  /** Whether the gateway sends its messages on this connection. */
  readonly flowing: boolean;
  /** Epoch of its log; absent before the first answer. */
  readonly epoch?: string | undefined;
  /** Highest number received. */
  readonly seq?: number | undefined;
  /** Messages received and not settled. */
  readonly unsettled: number;
}

/** Says how things stand. Never rejects. */
export async function diagnose(session: Session): Promise<Diagnosis> {
  const { fetch, clock, failures, clientId } = session;
  const { origin, pathname, search, searchParams } = new URL(session.socketUrl);
  const over = new AbortController();
  const begun = clock.now();
  const answer = new Deferred<string>()
    .rejectedAfter(session, "connection_failed")
    .whenSettled(() => over.abort());
  const ask = async (): Promise<void> => {
    const response = await fetch(`${session.httpUrl}/health`, { signal: over.signal });
    const text = await response.text();
    answer.resolve(`${response.status} after ${clock.now() - begun} ms: ${text.slice(0, 200)}`);
  };
  ask().catch(answer.reject);
  const health = await answer.promise.catch(String);
  const { state, code, reason } = session;
  const { navigator, process } = globalThis as unknown as Runtime;
  const told: Diagnosis = {
    version: VERSION,
    runtime: navigator?.userAgent ?? (process && `Node.js ${process.version}`),
    url: origin + pathname,
    state,
    code,
    reason,
    action: code && actionOf(code),
    transport: session.transport,
    failures,
    clientId,
    named: session.isNamed,
    terms: { ...session.terms },
    outbox: session.unanswered.size,
    channels: [...session.channels.values()].map(({ name, state, position }) => {
      const { epoch, seq, open = [] } = position() ?? {};
      const unsettled = open.reduce((sum, n, i) => i % 2 ? sum + n + 1 : sum - n, 0);
      return { channel: name, flowing: state === "flowing", epoch, seq, unsettled };
    }),
    health,
  };
  // What others say may hold anything, and errors of the runtime may hold the address. To hide a word
  // of less than four characters would make the rest unreadable.
  const secrets = [
    session.secret,
    session.token,
    session.authToken,
    search,
    ...searchParams.values(),
  ];
  const hide = (text: string, secret: unknown): string =>
    isText(secret) && secret.length > 3 ? text.replaceAll(secret, "…") : text;
  const text = JSON.stringify(
    told,
    (_, value) => isText(value) ? secrets.reduce(hide, value) : value,
    2,
  );
  return Object.defineProperty(JSON.parse(text), "toString", { value: () => text });
}

/** What tells where the client runs: Node 20 has no navigator. */
interface Runtime {
  readonly navigator?: { readonly userAgent: string };
  readonly process?: { readonly version: string };
}
