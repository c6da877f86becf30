/**
 * What happened in a run, as those saw it who took part: what was asked, what was answered, and what
 * came.
 *
 * @module
 */

/** Where a message stands. */
export interface Place {
  /** Epoch of the channel's log. */
  readonly epoch: string;
  /** Number in the log. */
  readonly seq: number;
}

/** How far an operation is: asked for, done, surely not done, or without a known outcome. */
export type Phase = "invoke" | "ok" | "fail" | "unknown";

/** A client that takes part. */
export interface ClientNote {
  readonly type: "client";
  readonly client: string;
  /** Whether its deliveries are runs of a handler of `@push/client`, or frames as they arrive. */
  readonly sees: "handler" | "frames";
  /** What it does with each message. */
  readonly policy: "ack" | "nack" | "silent";
}

/** A publish. */
export interface PublishNote {
  readonly type: "publish";
  readonly phase: Phase;
  readonly client: string;
  readonly channel: string;
  /** Names the message in this run. */
  readonly id: string;
  /** JSON text of what was published. */
  readonly payload: string;
  /** Where it was stored; with `ok`. */
  readonly place?: Place;
  /** Why not; with `fail` and `unknown`. */
  readonly code?: string;
  /** Whether it had to be refused, since the client has no right to it. */
  readonly forbidden?: boolean;
}

/** A subscription that begins or ends. */
export interface SubscribeNote {
  readonly type: "subscribe" | "unsubscribe";
  readonly phase: Phase;
  readonly client: string;
  readonly channel: string;
}

/** A message that came. */
export interface DeliverNote {
  readonly type: "deliver";
  readonly client: string;
  readonly channel: string;
  readonly place: Place;
  /** As in the payload. */
  readonly id: string;
  /** JSON text of what came. */
  readonly payload: string;
  /** Attempts that failed before. */
  readonly retry: number;
  /** Whether it came back from the dead letters. */
  readonly redriven?: boolean;
}

/** An acknowledgement or a refusal. `fail` says that nothing was outstanding. */
export interface SettleNote {
  readonly type: "ack" | "nack";
  readonly phase: Phase;
  readonly client: string;
  readonly channel: string;
  readonly id: string;
  /** Whether the message was sent to another client. */
  readonly foreign?: boolean;
}

/** A notice that messages are gone. */
export interface GapNote {
  readonly type: "gap";
  readonly client: string;
  readonly channel: string;
  /** Epoch that delivery goes on in. */
  readonly epoch: string;
  /** Highest number that is gone. */
  readonly seq: number;
}

/** A dead letter as listed in the end. */
export interface DeadNote {
  readonly type: "dead";
  readonly client: string;
  readonly channel: string;
  readonly id: string;
  readonly attempts: number;
}

/** A list of who is present, after there was time for it. */
export interface PresentNote {
  readonly type: "present";
  /** Where it was asked for. */
  readonly observer: string;
  readonly channel: string;
  readonly listed: readonly string[];
  readonly expected: readonly string[];
}

/** Something is broken on purpose, or whole again. */
export interface FaultNote {
  readonly type: "fault" | "heal";
  readonly what: string;
  /** Milliseconds before it whose acknowledgements it may undo. */
  readonly forgets?: number;
}

/** Something about a process. */
export interface NodeNote {
  readonly type: "node";
  readonly node: string;
  /** It ended without being told to, or wrote of an error that nobody caught. */
  readonly what: "ended" | "complained";
  readonly detail: string;
}

/** A client was told to stay away, and nobody had it in mind. */
export interface ClosedNote {
  readonly type: "closed";
  readonly client: string;
  /** Why. */
  readonly code: string;
}

/** What a process uses, before the load and after it. */
export interface ResourceNote {
  readonly type: "resource";
  readonly node: string;
  readonly moment: "before" | "after";
  /** Bytes of memory. */
  readonly rss: number;
  /** Open files and sockets. */
  readonly fds: number;
}

/** Anything that is noted. */
export type Note =
  | ClientNote
  | PublishNote
  | SubscribeNote
  | DeliverNote
  | SettleNote
  | GapNote
  | DeadNote
  | PresentNote
  | FaultNote
  | NodeNote
  | ClosedNote
  | ResourceNote;

/** A note and when it was made, in milliseconds since the start of the run. */
export type Entry = Note & { readonly at: number };

/** All notes of one run, in the order in which they were made. */
export class History {
  /** The notes. */
  readonly entries: Entry[] = [];
  readonly #now: () => number;

  /** @param now milliseconds since the start of the run */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Adds a note. */
  note(note: Note): void {
    this.entries.push({ ...note, at: this.#now() });
  }

  /** How many notes of these types and phases there are. */
  count(type: Note["type"], phase?: Phase): number {
    return this.entries.filter((it) =>
      it.type === type && (phase === undefined || ("phase" in it && it.phase === phase))
    ).length;
  }
}
