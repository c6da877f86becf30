import { Batch, endingOfError, type Link, type LinkEvents, parse, unreachable } from "./link.ts";
import { isRecord } from "../check.ts";
import type { Cancel, Clock } from "../clock.ts";
import type { Ending } from "../lifecycle.ts";
import { type Code, isCode } from "../protocol/codes.ts";
import type { RegisterBody } from "../protocol/frames.ts";

/** As much of `fetch` as the client uses. */
export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

/** What a {@linkcode LongPollLink} needs. */
export interface LongPollLinkOptions {
  /** Address that `/api/push/poll/…` is appended to. */
  readonly url: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Milliseconds in which a request must be answered, beyond the time that a poll may hang. */
  readonly timeout: number;
}

type Route = "register" | "messages" | "send" | "unregister";
type Answer =
  | { readonly type: "answered"; readonly value: Record<string, unknown> }
  /** The gateway said no. */
  | { readonly type: "refused"; readonly code: Code; readonly reason: string }
  /** Nobody knows whether the gateway got it. */
  | { readonly type: "failed"; readonly reason: string };

/** Seconds that a poll asks the gateway to wait for a message: less than most proxies allow. */
const POLL_TIMEOUT = 25;
/** Milliseconds before a poll or a send is tried again, until the link counts as lost. */
const RETRY_DELAYS = [250, 1000];
/** Milliseconds in which an empty answer comes too soon: the second in a row is waited after. */
const TOO_SOON = 500;
/** Longest wait between polls that a gateway can ask for, in seconds. */
const MAX_HINT = 60;
/** Milliseconds that a goodbye may take. */
const LEAVE_TIMEOUT = 2000;
/** Refusals that may be over in a moment; any other ends the link. */
const PASSING: readonly Code[] = ["rate_limited", "unavailable", "store_full", "internal"];

/** A link over HTTP: one poll always waits at the gateway, and one send at a time goes up. */
export class LongPollLink implements Link {
  /** Name of the transport. */
  readonly transport = "longpoll";
  readonly #options: LongPollLinkOptions;
  readonly #events: LinkEvents;
  readonly #batch: Batch = new Batch(() => void this.#pump());
  readonly #down: AbortController = new AbortController();
  readonly #up: AbortController = new AbortController();
  #token: string | undefined;
  #state: "open" | "leaving" | "ended" = "open";
  #failures = 0;
  #isSoon = false;
  #pumping = false;
  #sending: Promise<boolean> = Promise.resolve(true);

  /** Registers at the gateway. @param options where and how @param events who hears of it */
  constructor(options: LongPollLinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    queueMicrotask(() => void this.#run());
  }

  /** Sends one frame with the others of this turn, and with what gathers while a send is under way. */
  send(frame: string): void {
    this.#batch.add(frame);
  }

  /** Sends what waits in a request that outlives the page. */
  flush(): void {
    if (this.#token === undefined) return;
    while (!this.#batch.empty) {
      void this.#post("send", sendBody(this.#token, this.#batch.take()), { keepalive: true });
    }
  }

  /** Sends what waits and a last frame, and unregisters. */
  async leave(goodbye: string): Promise<void> {
    if (this.#state !== "open") return;
    const token = this.#token;
    if (token === undefined) return this.drop();
    this.#batch.add(goodbye);
    this.#state = "leaving";
    this.#down.abort();
    const cancel: Cancel = this.#options.clock.schedule(LEAVE_TIMEOUT, () => this.drop());
    const said = await this.#pump();
    if (!said) await this.#post("unregister", JSON.stringify({ poll_token: token }));
    cancel();
    this.drop();
  }

  /** Ends the link without a word. */
  drop(): void {
    this.#state = "ended";
    this.#down.abort();
    this.#up.abort();
  }

  async #run(): Promise<void> {
    if (this.#state !== "open") return;
    const body: RegisterBody = { connect: this.#events.hello() };
    const answer = await this.#post("register", JSON.stringify(body));
    if (this.#state !== "open") return;
    if (answer.type === "failed") return this.#end(unreachable(answer.reason));
    if (answer.type === "refused") return this.#end(endingOfRegister(answer.code, answer.reason));
    const { poll_token, connected } = answer.value;
    if (typeof poll_token !== "string" || !isRecord(connected)) {
      return this.#end(unreachable("The answer to register is not one of this protocol."));
    }
    this.#token = poll_token;
    this.#events.frames([connected]);
    while (this.#state === "open") await this.#poll(poll_token);
  }

  async #poll(poll_token: string): Promise<void> {
    const begun = this.#options.clock.now();
    const positions = this.#events.positions();
    const body = JSON.stringify({ poll_token, timeout: POLL_TIMEOUT, positions });
    const answer = await this.#post("messages", body, { signal: this.#down.signal });
    if (this.#state !== "open") return;
    if (answer.type !== "answered") return await this.#stumble(answer);
    this.#failures = 0;
    const { messages, poll_interval_hint: hint } = answer.value;
    const values = Array.isArray(messages) ? messages : [];
    this.#events.frames(values);
    const wasSoon = this.#isSoon;
    this.#isSoon = values.length === 0 && this.#options.clock.now() - begun < TOO_SOON;
    if (typeof hint === "number" && hint > 0) {
      await this.#pause(1000 * Math.min(hint, MAX_HINT));
    } else if (wasSoon && this.#isSoon) {
      await this.#pause(TOO_SOON);
    }
  }

  /** Sends batch by batch until nothing waits. An answer that is lost is asked for again with the same frames. */
  #pump(): Promise<boolean> {
    if (!this.#pumping) {
      this.#pumping = true;
      this.#sending = this.#sendAll();
    }
    return this.#sending;
  }

  /** @returns whether all that waited was sent */
  async #sendAll(): Promise<boolean> {
    try {
      while (this.#token !== undefined && !this.#batch.empty && this.#state !== "ended") {
        if (!await this.#sendOne(sendBody(this.#token, this.#batch.take()))) return false;
      }
      return this.#batch.empty;
    } finally {
      this.#pumping = false;
    }
  }

  async #sendOne(body: string): Promise<boolean> {
    let answer = await this.#post("send", body);
    while (answer.type !== "answered" && this.#state === "open") {
      await this.#stumble(answer);
      if (this.#state === "open") answer = await this.#post("send", body);
    }
    if (answer.type !== "answered") return false;
    this.#failures = 0;
    const { frames } = answer.value;
    if (this.#state === "open") this.#events.frames(Array.isArray(frames) ? frames : []);
    return true;
  }

  /** Waits before the next try, or ends the link. */
  async #stumble(answer: Exclude<Answer, { type: "answered" }>): Promise<void> {
    const { type, reason } = answer;
    if (type === "refused" && !PASSING.includes(answer.code)) {
      return this.#end(endingOfError(answer.code, reason));
    }
    if (this.#failures >= RETRY_DELAYS.length) {
      return this.#end(
        type === "failed" ? unreachable(reason) : endingOfError(answer.code, reason),
      );
    }
    await this.#pause(RETRY_DELAYS[this.#failures++]);
  }

  #pause(delay: number): Promise<void> {
    const { signal } = this.#down;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#options.clock.schedule(delay, done);
      signal.addEventListener("abort", done);
    });
  }

  #end(ending: Ending): void {
    if (this.#state === "ended") return;
    const told = this.#state === "open";
    this.drop();
    if (told) this.#events.ended(ending);
  }

  async #post(
    route: Route,
    body: string,
    { keepalive = false, signal }: { keepalive?: boolean; signal?: AbortSignal } = {},
  ): Promise<Answer> {
    const { url, fetch, clock, timeout } = this.#options;
    const over = new AbortController();
    const stop = (): void => over.abort();
    const ends = signal ?? this.#up.signal;
    if (ends.aborted) return { type: "failed", reason: "The link was closed." };
    ends.addEventListener("abort", stop);
    const hangs = route === "messages" ? 1000 * POLL_TIMEOUT : 0;
    const cancel = clock.schedule(timeout + hangs, stop);
    try {
      const response = await fetch(`${url}/api/push/poll/${route}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        keepalive,
        // A redirect could lead the token astray, and none of our gateways answers with one.
        redirect: "error",
        cache: "no-store",
        signal: over.signal,
      });
      return this.#read(route, response.status, await response.text());
    } catch (error) {
      return { type: "failed", reason: `The request to ${route} failed: ${error}` };
    } finally {
      cancel();
      ends.removeEventListener("abort", stop);
    }
  }

  #read(route: Route, status: number, text: string): Answer {
    const ok = status >= 200 && status < 300;
    // The error page of a proxy is not worth a word of its own.
    const value = parse(text, ok ? this.#events : { garbage() {} });
    if (ok && isRecord(value)) return { type: "answered", value };
    const { code, error } = isRecord(value) ? value : {};
    const reason = typeof error === "string"
      ? error
      : `The gateway answered with status ${status}.`;
    if (status === 404 && route !== "register") {
      return { type: "refused", code: "unknown_session", reason };
    }
    return isCode(code) ? { type: "refused", code, reason } : { type: "failed", reason };
  }
}

function sendBody(token: string, frames: readonly string[]): string {
  return `{"poll_token":${JSON.stringify(token)},"frames":[${frames.join()}]}`;
}

/** A gateway without long-polling is no reason to stay away: another transport may do. */
function endingOfRegister(code: Code, reason: string): Ending {
  return code === "not_found" || code === "method_not_allowed"
    ? unreachable(reason)
    : endingOfError(code, reason);
}
