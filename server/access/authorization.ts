import { PushError } from "@push/client/protocol";
import type { Clock } from "../clock.ts";
import type { Log } from "../logging/log.ts";
import { EVERYBODY, type Rule } from "./grants.ts";
import { type Action, ANONYMOUS, type Grant, type Identity } from "./identity.ts";
import { Pattern } from "./pattern.ts";
import { ProgramAnswers } from "./program_answers.ts";

/**
 * Decides for the embedding program whether somebody may do something in a channel (`null`: in no
 * one channel); where it returns `undefined`, the rules decide.
 */
export type Authorize = (
  identity: Identity,
  action: Action,
  channel: string | null,
) => boolean | undefined | Promise<boolean | undefined>;

/** What an {@linkcode Authorization} is made of. */
export interface AuthorizationParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Rules of the configuration. Default none. */
  readonly rules?: readonly Rule[];
  /** Whether what no rule allows is denied even without a rule: a token somewhere has grants. */
  readonly closed?: boolean;
  /** Decides for the embedding program. */
  readonly authorize?: Authorize;
}

interface Compiled {
  readonly patterns: readonly Pattern[];
  readonly actions: ReadonlySet<Action>;
}

/**
 * Decides who may do what. Where there is any rule (in the configuration, for any token, in this
 * token, or the program's own) what none of them allows is denied. Where there is none everything is
 * allowed, but `admin` only to those whom no token tells apart.
 */
export class Authorization {
  readonly #answers: ProgramAnswers;
  readonly #log: Log;
  readonly #authorize: Authorize | undefined;
  readonly #isClosed: boolean;
  /** Rules by the subjects that they name. */
  readonly #rules = new Map<string, Compiled[]>();
  /** What the grants of an identity amount to: patterns are read once. */
  readonly #grants = new WeakMap<readonly Grant[], readonly Compiled[]>();

  /**
   * @param parts what it is made of
   * @throws {RangeError} if a rule has a pattern that is none
   */
  constructor({ clock, log, rules = [], closed = false, authorize }: AuthorizationParts) {
    this.#answers = new ProgramAnswers("authorize", clock);
    this.#log = log;
    this.#authorize = authorize;
    this.#isClosed = closed || rules.length > 0 || authorize !== undefined;
    for (const rule of rules) {
      const compiled = compile(rule);
      for (const subject of rule.subjects) {
        const known = this.#rules.get(subject);
        if (known === undefined) this.#rules.set(subject, [compiled]);
        else known.push(compiled);
      }
    }
  }

  /** Whether the embedding program decides: it may say something else later. */
  get asks(): boolean {
    return this.#authorize !== undefined;
  }

  /** Whether somebody may do everything that no rule is needed for. */
  isFree({ grants }: Identity): boolean {
    return !this.#isClosed && grants === undefined;
  }

  /**
   * Whether somebody may do something in a channel.
   *
   * @param channel `null` for what is of no one channel
   * @throws {PushError} `unavailable`, or rejects with it, if the embedding program could not decide;
   *   rejects with `going_away` once this was stopped
   */
  allows(identity: Identity, action: Action, channel: string | null): boolean | Promise<boolean> {
    if (this.#authorize === undefined) return this.#judge(identity, action, channel);
    let said: ReturnType<Authorize>;
    try {
      said = this.#authorize(identity, action, channel);
    } catch (error) {
      throw this.#failed(error, identity, action, channel);
    }
    if (typeof said === "boolean") return said;
    if (said === undefined) return this.#judge(identity, action, channel);
    return this.#wait(said, identity, action, channel);
  }

  /** Waits for the embedding program no more. */
  stop(): void {
    this.#answers.stop();
  }

  async #wait(
    saying: PromiseLike<boolean | undefined>,
    identity: Identity,
    action: Action,
    channel: string | null,
  ): Promise<boolean> {
    try {
      const said: unknown = await this.#answers.wait(saying);
      if (typeof said === "boolean") return said;
      if (said === undefined) return this.#judge(identity, action, channel);
      throw new TypeError("authorize() returned something else than true, false or undefined");
    } catch (error) {
      // Whatever the program says by now.
      if (this.#answers.isStopped) throw new PushError("going_away");
      throw this.#failed(error, identity, action, channel);
    }
  }

  /** What the rules say. */
  #judge(identity: Identity, action: Action, channel: string | null): boolean {
    const { subject, grants } = identity;
    if (this.isFree(identity)) return action !== "admin" || subject === ANONYMOUS;
    const segments = channel?.split(":");
    const allow = ({ actions, patterns }: Compiled) =>
      actions.has(action) &&
      // What is of no channel is granted for all of them, or not at all.
      patterns.some((pattern) => segments ? pattern.matches(segments, subject) : pattern.isAll);
    return (grants !== undefined && this.#compiled(grants).some(allow)) ||
      (this.#rules.get(EVERYBODY)?.some(allow) ?? false) ||
      (subject !== EVERYBODY && (this.#rules.get(subject)?.some(allow) ?? false));
  }

  #compiled(grants: readonly Grant[]): readonly Compiled[] {
    let compiled = this.#grants.get(grants);
    if (compiled === undefined) this.#grants.set(grants, compiled = grants.map(compile));
    return compiled;
  }

  #failed(
    error: unknown,
    { subject }: Identity,
    action: Action,
    channel: string | null,
  ): PushError {
    const about = channel === null ? { subject, action } : { subject, action, channel };
    this.#log.failure("handler.failed", error, { ...about, about: "authorize" });
    return new PushError("unavailable", "Whether that is allowed could not be found out.", {
      cause: error,
    });
  }
}

function compile({ channels, actions }: Grant): Compiled {
  return { patterns: channels.map((text) => new Pattern(text)), actions: new Set(actions) };
}
