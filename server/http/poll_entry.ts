import type { Code } from "@push/client/protocol";
import type { Bucket } from "../limits/bucket.ts";
import type { Place } from "../limits/connections.ts";
import type { Limits } from "../limits/limits.ts";
import type { Session } from "../session/session.ts";
import type { LongPollConnection } from "../transports/longpoll.ts";
import type { PollTerms } from "./poll_records.ts";

/** One long-poller. */
export interface Poller {
  readonly session: Session;
  readonly connection: LongPollConnection;
  /** That it is counted. */
  readonly place: Place;
  /** What it may send. */
  readonly frames: Bucket;
}

/** What becomes of a poller's connection: it may be taken while it is being attached. */
export interface PollFate {
  /** Why it has ended, if it has. */
  ended: Code | "normal" | undefined;
  /** Does what has to be done then. */
  onEnd: (() => void) | undefined;
  /** Does what has to be done when its session has lost a channel for want of a right. */
  onBarred: (() => void) | undefined;
  readonly place: Place;
}

/** What a {@linkcode PollEntry} is made of. */
export interface PollEntryParts extends Pick<Poller, "session" | "connection"> {
  readonly terms: PollTerms;
  readonly fate: PollFate;
}

/** A long-poller as the node has it whose connection holds its session. */
export class PollEntry implements Poller {
  /** Hash of its token. */
  readonly hash: string;
  readonly session: Session;
  readonly connection: LongPollConnection;
  /** What its session was attached with. */
  readonly terms: PollTerms;
  /** Names its connection as the session's holder. */
  readonly holder: string;
  readonly fate: PollFate;
  readonly frames: Bucket;
  /** Polls that it may begin. */
  readonly polls: Bucket;
  /** Sweeps that found it without a request. */
  idleSweeps = 0;
  /** Requests under way. */
  busy = 0;
  /** Sweeps since other nodes were told how to go on with it… */
  toldSweeps = 0;
  /** …and the channels that they were told; `undefined` if that has failed. */
  told: string | undefined;

  /** @param hash hash of its token */
  constructor(
    hash: string,
    { session, connection, terms, fate }: PollEntryParts,
    limits: Limits,
  ) {
    this.hash = hash;
    this.frames = limits.frames();
    this.polls = limits.polls();
    this.session = session;
    this.connection = connection;
    this.terms = terms;
    this.holder = session.holder;
    this.fate = fate;
  }

  /** See {@linkcode Poller.place}. */
  get place(): Place {
    return this.fate.place;
  }

  /** The channels that it is subscribed to, as one text. */
  get names(): string {
    return this.session.channels.sort().join(" ");
  }
}
