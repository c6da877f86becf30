import type { Cancel, Clock } from "../clock.ts";
import { goneRow, memberRow } from "./member.ts";
import { AWAY, type OwnMember, type PresenceView } from "./view.ts";
import type { Roster } from "../nodes/roster.ts";

/** A member of this node, and what other nodes were told of it. */
export interface ToldMember extends OwnMember {
  /** The last sign of life that they were told of… */
  toldSeen: number;
  /** …and whether they were told that this member is over. */
  toldOver: boolean;
}

/** What {@linkcode PresenceRows} are made of. */
export interface PresenceRowsParts {
  readonly roster: Roster;
  readonly clock: Clock;
  readonly view: PresenceView;
  /** Whether generations are those of one store. */
  readonly isFenced: boolean;
}

/** Keys of the rows in which other nodes are told of members. */
export const ROW = "m:";
/** Other nodes are told for so many sweeps that a client is gone. */
const SWEEPS_GONE = 2;

/** Tells other nodes of the members of this one, at the end of each turn in which one has changed. */
export class PresenceRows {
  readonly #parts: PresenceRowsParts;
  readonly #untold = new Set<ToldMember>();
  /** Clients of which they are told that they are gone, and the sweeps since. */
  readonly #gone = new Map<string, number>();
  #telling: Cancel | undefined;

  /** @param parts what they are made of */
  constructor(parts: PresenceRowsParts) {
    this.#parts = parts;
  }

  /** A client is present again. */
  begun(key: string): void {
    this.#gone.delete(key);
  }

  /** A member has changed. */
  changed(member: ToldMember): void {
    this.#untold.add(member);
    this.#telling ??= this.#parts.clock.schedule(0, () => this.#tell());
  }

  /** Other nodes say something new of a session: a member that is over must not be told of. */
  compare(member: ToldMember): void {
    if (this.#parts.view.isOvertaken(member) !== member.toldOver) this.changed(member);
  }

  /** A member is about to go. */
  removed(member: ToldMember): void {
    const { roster, view, isFenced } = this.#parts;
    const { key } = member;
    this.#untold.delete(member);
    // Another node may have the client as it was before it came here, and wait for it.
    const isUnheard = view.isElsewhere(key) && !view.isOvertaken(member);
    if (!isUnheard) return roster.set(ROW + key, null);
    const generation = isFenced ? member.generation : AWAY + 1;
    roster.set(ROW + key, goneRow({ ...member, generation }));
    this.#gone.set(key, 0);
  }

  /** Time has passed. */
  sweep(): void {
    for (const [key, sweeps] of this.#gone) {
      this.#gone.set(key, sweeps + 1);
      if (sweeps < SWEEPS_GONE) continue;
      this.#gone.delete(key);
      this.#parts.roster.set(ROW + key, null);
    }
  }

  /** Stops its timer. */
  stop(): void {
    this.#telling?.();
  }

  #tell(): void {
    const { roster, view } = this.#parts;
    this.#telling = undefined;
    for (const member of this.#untold) {
      member.toldSeen = member.lastSeen;
      member.toldOver = view.isOvertaken(member);
      // What is over must not be shown anywhere once the newer one has left.
      roster.set(ROW + member.key, member.toldOver ? null : memberRow(member));
    }
    this.#untold.clear();
  }
}
