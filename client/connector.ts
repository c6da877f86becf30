import { Attempt } from "./attempt.ts";
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
import { type Link, type LinkEvents, unreachable } from "./links/link.ts";
import type { ClientSettings } from "./options.ts";
import type { Code } from "./protocol/codes.ts";
import type { ConnectedFrame, ConnectFrame } from "./protocol/frames.ts";

/** What a {@linkcode Connector} works for. */
export interface ConnectorHost extends Pick<LinkEvents, "hello" | "positions" | "garbage"> {
  /** Gets ready what `hello` needs. Rejects if there is no token. */
  prepare(): Promise<void>;
  /** The gateway has accepted the client on this link. */
  attached(link: Link, frame: ConnectedFrame): void;
  /** The link in use is gone. */
  detached(): void;
  /** Values that should be frames. */
  frames(values: readonly unknown[]): void;
  /** The link in use is asked for a sign of life. */
  check(): void;
  /** The last frame of a connection that is ended on purpose; what else is to be said has been sent. */
  goodbye(forget: boolean): string;
  /** Whether the client, refused with this code, may come back as somebody else. */
  mend(code: Code): boolean;
  /** The state has changed. */
  changed(state: State, previous: State): void;
}

/** What happens in an attempt. */
interface AttemptSteps {
  hello(): ConnectFrame;
  accepted(): void;
  failed(ending: Ending): void;
}

/** Milliseconds after which a connection counts as steady. */
const STEADY = 10_000;
/** Wait for a better transport, in milliseconds: random between half and the whole of it. */
const PROBE_DELAY = { min: 5000, max: 60_000 };

/** Carries out what the lifecycle decides: opens links, waits, looks for a better one, gives up. */
export class Connector {
  readonly #settings: ClientSettings;
  readonly #host: ConnectorHost;
  #state: State = IDLE;
  /** The link in use, with the attempt that brought it. */
  #current: { readonly attempt: Attempt; readonly link: Link } | undefined;
  /** The attempt under way: to connect at all, or to find a better transport. */
  #attempt: Attempt | undefined;
  /** Changes whenever what was prepared for is no longer wanted. */
  #era = 0;
  #timers: Set<Cancel> = new Set();
  #left: Promise<void> = Promise.resolve();

  /** @param settings of the client @param host what it works for */
  constructor(settings: ClientSettings, host: ConnectorHost) {
    this.#settings = settings;
    this.#host = host;
  }

  /** State now. */
  get state(): State {
    return this.#state;
  }

  /** How frames travel now. */
  get transport(): Transport | undefined {
    return this.#state.name === "connected" ? this.#transport(this.#state.transport) : undefined;
  }

  /** Takes an input in, and does what follows from it. */
  input(input: Input): void {
    const previous = this.#state;
    const [state, effects] = advance(previous, input, this.#settings.policy);
    if (state === previous && effects.length === 0) return;
    this.#state = state;
    for (const effect of effects) this.#run(effect);
    this.#host.changed(state, previous);
  }

  /** Leaves on purpose. @returns a promise that fulfills when all is said; it never rejects */
  leave(forget: boolean): Promise<void> {
    this.input({ type: "disconnect", forget });
    return this.#left;
  }

  /** Gives the link in use up without waiting for its end. */
  abandon(reason: string): void {
    this.#lost(unreachable(reason));
  }

  #run(effect: Effect): void {
    const { reconnectDelay, random } = this.#settings;
    switch (effect.type) {
      case "open":
        this.#clear();
        return this.#open(effect.transport);
      case "wait":
        this.#clear();
        return this.#after(backoffDelay(effect.tries, reconnectDelay, random), { type: "elapsed" });
      case "wait_probe": {
        const half = { min: PROBE_DELAY.min / 2, max: PROBE_DELAY.max / 2 };
        const least = Math.min(half.max, half.min * 2 ** effect.tries);
        return this.#after(least + backoffDelay(effect.tries, half, random), { type: "probe" });
      }
      case "open_probe":
        return this.#probe();
      case "check":
        return this.#host.check();
      case "leave": {
        const goodbye = this.#host.goodbye(effect.forget);
        const link = this.#current?.link;
        if (link) this.#detach();
        this.#left = link?.leave(goodbye) ?? Promise.resolve();
        return this.#clear();
      }
      case "drop":
        this.#current?.attempt.drop();
        this.#detach();
        return this.#clear();
    }
  }

  #open(transport: number): void {
    this.#try(transport, {
      hello: () => this.#host.hello(),
      accepted: () => this.input({ type: "connected" }),
      failed: (ending) => this.input({ type: "failed", ending }),
    });
  }

  /** Sees whether the best transport works, and takes the session over with it if it does. */
  #probe(): void {
    let taken = false;
    this.#try(0, {
      hello: () => {
        // From here on only the new link speaks: it states what came over the old one, and the
        // gateway will close that as replaced.
        taken = true;
        this.#current?.attempt.drop();
        this.#detach();
        return this.#host.hello();
      },
      accepted: () => this.input({ type: "upgraded" }),
      failed: (ending) => {
        if (taken) this.input({ type: "lost", ending });
        else this.input({ type: "probe_failed" });
      },
    });
  }

  /** Makes an attempt once a token is there, unless it is not wanted any more by then. */
  #try(transport: number, steps: AttemptSteps): void {
    const era = this.#era;
    this.#host.prepare().then(() => {
      if (era === this.#era) this.#attempt = this.#start(transport, steps);
    }, (error) => {
      // No transport can help.
      const ending: Ending = { code: "unavailable", reason: `${error}`, final: false };
      if (era === this.#era) steps.failed(ending);
    });
  }

  #start(transport: number, { hello, accepted, failed }: AttemptSteps): Attempt {
    const host = this.#host;
    const attempt: Attempt = new Attempt(this.#transport(transport), this.#settings, {
      hello,
      positions: () => host.positions(),
      garbage: (reason) => host.garbage(reason),
      frames: (values) => host.frames(values),
      accepted: (link, frame) => {
        this.#attempt = undefined;
        this.#current = { attempt, link };
        this.#after(STEADY, { type: "steady" });
        host.attached(link, frame);
        accepted();
      },
      failed: (ending) => {
        this.#attempt = undefined;
        failed(this.#judge(ending, ending.code));
      },
      lost: (ending) => this.#lost(ending),
    });
    return attempt;
  }

  #lost(ending: Ending): void {
    this.#current?.attempt.drop();
    this.#detach();
    // A poller that is not known any more may still have its session.
    const code = ending.code === "unknown_session" ? undefined : ending.code;
    this.input({ type: "lost", ending: this.#judge(ending, code) });
  }

  #detach(): void {
    if (!this.#current) return;
    this.#current = undefined;
    this.#host.detached();
  }

  /** A refusal that the client can do something about is none, and one that it cannot is final. */
  #judge(ending: Ending, code: Code | undefined): Ending {
    const mended = code !== undefined && this.#host.mend(code);
    return { ...ending, final: !mended && (ending.final || ending.code === "token_expired") };
  }

  /** Drops whatever was planned or under way. */
  #clear(): void {
    this.#era++;
    this.#attempt?.drop();
    this.#attempt = undefined;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #after(delay: number, input: Input): void {
    const cancel = this.#settings.clock.schedule(delay, () => {
      this.#timers.delete(cancel);
      this.input(input);
    });
    this.#timers.add(cancel);
  }

  #transport(index: number): Transport {
    return this.#settings.policy.transports[index];
  }
}
