import { FIRST_EVENT, MAX_HINT, POLL_TIMEOUT, SILENCE, TOO_SOON } from "../bounds.ts";
import { eventReader } from "./event_stream.ts";
import { batchOf, endingOf, type Link, type LinkEvents, type LinkSettings, parse } from "./link.ts";
import { isRecord, isText } from "../check.ts";
import type { Cancel } from "../clock.ts";
import { LATE } from "../deferred.ts";
import type { Ending } from "../lifecycle.ts";
import { type Code, isCode } from "../protocol/codes.ts";

/** As much of `fetch` as the client uses. */
export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

/** What came of a request. */
interface Answer {
  /** What the gateway answered, unless it said no. */
  readonly value?: Record<string, unknown> | undefined;
  /** What it means if that will not do. */
  readonly failure: Ending;
  /** Seconds to wait before it is asked again: nothing else is wrong. */
  readonly wait?: number | false;
}

/** Milliseconds before a poll or a send is tried again, until the link counts as lost. */
const RETRY_DELAYS = [250, 1000];
/** Failures that may be over in a moment; any other ends the link. */
const PASSING: readonly Code[] = ["connection_failed", "unavailable"];
/** A gateway without this transport is no reason to stay away: another one may do. */
const ABSENT: readonly Code[] = ["not_found", "method_not_allowed"];

/**
 * Opens a link over HTTP: one poll waits at the gateway, or one stream of events, and one send at a
 * time goes up.
 */
export function openHttp(
  settings: LinkSettings,
  events: LinkEvents,
): Link {
  const { httpUrl, fetch, clock, requestTimeout } = settings;
  const batch = batchOf(settings, () => void pump());
  /** What ends requests and pauses, and whether they are for receiving. */
  const ends: Map<() => void, boolean> = new Map();
  let token: unknown;
  let isOpen = true;
  /** Whether receiving was ended so that it begins anew. */
  let isRenewed = false;
  let isHiding = false;
  let failures = 0;
  let streams = false;
  let tried: ((failure?: Ending) => void) | undefined;
  let isPumping = false;
  let pumped: Promise<boolean> | undefined;
  /** The send that is under way, and its frames. */
  let sending: Promise<boolean> | undefined;
  let sent: string[] = [];

  const stop = (isAll?: boolean): void => {
    for (const [end, isDown] of ends) if (isAll || isDown) end();
  };

  const drop = (): void => {
    isOpen = false;
    token = undefined;
    stop(true);
  };

  const end = (ending: Ending | undefined): void => {
    if (!ending || !isOpen) return;
    drop();
    events.ended(ending);
  };

  const renew = (): void => {
    isRenewed = true;
    stop();
  };

  const deliver = (values: unknown): void => {
    failures = 0;
    if (isOpen) events.frames(([] as unknown[]).concat(values ?? []));
  };

  const pause = (delay: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        cancel();
        ends.delete(done);
        resolve();
      };
      const cancel = clock.schedule(delay, done);
      ends.set(done, true);
      if (!isOpen) done();
    });

  /** Waits before the next try, or ends the link. */
  const stumble = ({ failure, wait }: Answer): Promise<void> | void =>
    wait
      ? pause(1000 * Math.min(wait, MAX_HINT))
      : PASSING.includes(failure.code) && failures < RETRY_DELAYS.length
      ? pause(RETRY_DELAYS[failures++])
      : end(failure);

  /** Sends a request. @param read reads the answer; `wait` gives it so many milliseconds from now */
  const ask = async (
    path: string,
    body: string,
    timeout?: number,
    read: (response: Response, wait: (timeout: number) => void) => Promise<Answer> = answerOf,
  ): Promise<Answer> => {
    const over = new AbortController();
    const abort = (): void => over.abort(LATE);
    const wait = (timeout: number): void => {
      cancel?.();
      cancel = clock.schedule(timeout, abort);
    };
    let cancel: Cancel | undefined;
    wait(timeout ?? requestTimeout);
    // Only what receives has a time of its own.
    ends.set(abort, !!timeout);
    try {
      const response = await fetch(`${httpUrl}/api/push/${path}`, {
        method: "POST",
        // Without a type that a page of another origin would have to ask for first.
        body,
        // A request that outlives the page.
        keepalive: isHiding,
        // A redirect could lead the token astray, and none of our gateways answers with one.
        redirect: "error",
        signal: over.signal,
      });
      return await read(response, wait);
    } catch (error) {
      return { failure: endingOf(`${path}: ${error}`) };
    } finally {
      cancel!();
      ends.delete(abort);
    }
  };

  /** @returns whether something came */
  const poll = async (body: string): Promise<unknown> => {
    const answer = await ask("poll/messages", body, requestTimeout + 1000 * POLL_TIMEOUT);
    // What has been read by then comes again, where it is wanted.
    if (isRenewed) return 0;
    if (!answer.value) return await stumble(answer);
    const { messages, poll_interval_hint: hint } = answer.value;
    deliver(messages);
    if (hint as number > 0) await pause(1000 * Math.min(hint as number, MAX_HINT));
    return (messages as unknown[] | undefined)?.length;
  };

  const stream = async (body: string): Promise<void> => {
    let isHeard = false;
    const decide = (failure?: Ending): void => {
      const tell = tried ?? end;
      tried = undefined;
      streams = !failure;
      tell(failure);
    };
    const { failure } = await ask("sse", body, FIRST_EVENT, async (response, wait) => {
      if (!response.ok) return answerOf(response);
      const take = eventReader((data) => {
        isHeard = true;
        decide();
        deliver(parse(data, events));
      });
      const reader = response.body!.getReader();
      for (let chunk; isOpen && !(chunk = await reader.read()).done && !isRenewed;) {
        if (!take(chunk.value)) end(endingOf("An event is too large."));
        if (isHeard) wait(SILENCE);
      }
      return { failure: endingOf("The stream ended too soon.") };
    });
    if (isOpen && !isHeard && !isRenewed) decide(failure);
  };

  const run = async (): Promise<void> => {
    if (!isOpen) return;
    const { value = {}, failure } = await ask(
      "poll/register",
      JSON.stringify({ connect: events.hello() }),
    );
    const { poll_token, connected } = value;
    if (!isText(poll_token) || !isRecord(connected)) return end(failure);
    token = poll_token;
    deliver(connected);
    for (let wasSoon = false; isOpen;) {
      const begun = clock.now();
      const positions = events.positions();
      const body = JSON.stringify({ poll_token, timeout: POLL_TIMEOUT, positions });
      isRenewed = false;
      const isEmpty = !await (streams ? stream : poll)(body);
      const isSoon = isEmpty && !isRenewed && clock.now() - begun < TOO_SOON;
      if (isSoon && wasSoon) await pause(TOO_SOON);
      wasSoon = isSoon;
      // Of what was lost the next positions must tell: those of new subscriptions, too, which are
      // known when they are answered.
      if (isEmpty) await sending;
    }
  };

  /** The body of the next send, behind those frames; `undefined` if nothing waits, or fits there. */
  const next = (before: readonly string[] = []): string | undefined => {
    const frames = batch.take(before);
    if (!token || !frames[before.length]) return undefined;
    sent = frames;
    return `{"poll_token":${JSON.stringify(token)},"frames":[${sent}]}`;
  };

  /** Sends batch by batch until nothing waits. @returns whether all of it was sent */
  const pump = (): Promise<boolean> => {
    if (!isPumping) pumped = sendAll();
    return pumped!;
  };

  const sendAll = async (body = next()): Promise<boolean> => {
    isPumping = true;
    let isSent = true;
    while (body && isSent) {
      const frames = sent;
      isSent = await (sending = sendOne(body));
      // Whoever has taken them along goes on.
      if (sent !== frames) return isSent;
      body = next();
    }
    sent = [];
    isPumping = false;
    return isSent;
  };

  const sendOne = async (body: string): Promise<boolean> => {
    const frames = sent;
    let answer: Answer;
    // An answer that is lost is asked for again with the same frames.
    while (!(answer = await ask("poll/send", body)).value) {
      if (isOpen && sent === frames) await stumble(answer);
      if (!isOpen || sent !== frames) return false;
    }
    deliver(answer.value.frames);
    return true;
  };

  queueMicrotask(run);
  return {
    send: batch.add,
    flush() {
      isHiding = true;
      // Requests have no order: what is under way goes again, before what follows it.
      const body = next(sent);
      if (body) pumped = sendAll(body);
      isHiding = false;
    },
    leave(goodbye, done) {
      const body = JSON.stringify({ poll_token: token });
      batch.add(goodbye);
      isOpen = false;
      stop();
      pump().then((isSaid) => !isSaid && token && ask("poll/unregister", body)).then(done);
    },
    drop,
    renew,
    stream(callback) {
      streams = true;
      tried = callback;
      renew();
    },
  };
}

async function answerOf(response: Response): Promise<Answer> {
  const { ok, status } = response;
  const json = await response.json().catch(() => {});
  const { code, error, retry_after: wait } = Object(json);
  return {
    value: ok && isRecord(json) ? json : undefined,
    failure: endingOf(
      isText(error) ? error : `HTTP status ${status}`,
      isCode(code) && !ABSENT.includes(code) ? code : undefined,
    ),
    wait: code === "too_many_polls" && wait > 0 && wait,
  };
}
