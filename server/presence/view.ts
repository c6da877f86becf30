import type { Json } from "@push/client/protocol";
import { looksSame, type Present, readMember } from "./member.ts";
import type { PresenceRooms } from "./rooms.ts";

/** What other nodes say of one session. */
interface Elsewhere {
  readonly rows: Map<string, Present>;
  /** Highest generation that was seen: what has a lower one is over, and comes back no more. */
  fence: number;
  /** The one of the rows that is shown. */
  shown: Present | undefined;
}

/**
 * Generation of a member without a connection, where each node has sessions of its own: whoever has
 * one is newer.
 */
export const AWAY = 0;

/** A member of this node. */
export interface OwnMember extends Present {
  /** Whether another node's is shown in its stead. */
  hidden: boolean;
}

/** What a view is made of. */
export interface PresenceViewParts {
  /** Members of this node by the keys of their sessions. */
  readonly own: ReadonlyMap<string, OwnMember>;
  /** Who is told of changes. */
  readonly rooms: PresenceRooms;
  /** Whether generations are those of one store, so that a lower one is over for good. */
  readonly isFenced: boolean;
  /** Called when a member of this node turns out to be over, or to be valid again. */
  overtaken(key: string): void;
}

/**
 * The one list of who is present, for all nodes: of members that are the same client the newest is
 * shown, so whoever moves is neither there twice nor away in between.
 */
export class PresenceView {
  readonly #parts: PresenceViewParts;
  readonly #elsewhere = new Map<string, Elsewhere>();

  /** @param parts what it is made of */
  constructor(parts: PresenceViewParts) {
    this.#parts = parts;
  }

  /** Everybody who is present. */
  *all(): Iterable<Present> {
    for (const member of this.#parts.own.values()) if (!member.hidden) yield member;
    for (const { shown } of this.#elsewhere.values()) if (shown !== undefined) yield shown;
  }

  /** What another node says of a session, if that is shown. */
  shownElsewhere(key: string): Present | undefined {
    return this.#elsewhere.get(key)?.shown;
  }

  /** Whether a member of this node is over, as the client has gone to another one. */
  isOvertaken({ key, generation }: OwnMember): boolean {
    const elsewhere = this.#elsewhere.get(key);
    if (elsewhere === undefined) return false;
    if (this.#parts.isFenced) return generation < elsewhere.fence;
    return generation === AWAY && elsewhere.shown !== undefined;
  }

  /** A member of this node is new, or has another generation: it may be shown now. */
  arrived(member: OwnMember): void {
    const elsewhere = this.#elsewhere.get(member.key);
    if (elsewhere === undefined) return;
    this.#choose(member.key, elsewhere, true);
  }

  /** Whether other nodes say something of a session. */
  isElsewhere(key: string): boolean {
    return this.#elsewhere.has(key);
  }

  /** A member of this node is no longer one. */
  departed(member: OwnMember): void {
    const elsewhere = this.#elsewhere.get(member.key);
    if (elsewhere !== undefined && this.#parts.isFenced) {
      elsewhere.fence = Math.max(elsewhere.fence, member.generation);
    }
    const before = member.hidden ? elsewhere?.shown : member;
    const after = elsewhere && this.#newest(member.key, elsewhere);
    if (elsewhere !== undefined) elsewhere.shown = after;
    this.#turn(before, after, true);
  }

  /** Another node says something of a session; `null` if it has nothing to say any more. */
  rowChanged(node: string, key: string, row: Json | null, isNews: boolean): void {
    const member = row === null ? undefined : readMember(key, row);
    let elsewhere = this.#elsewhere.get(key);
    if (elsewhere === undefined) {
      if (member === undefined) return;
      elsewhere = { rows: new Map(), fence: -Infinity, shown: undefined };
      this.#elsewhere.set(key, elsewhere);
    }
    if (member === undefined) elsewhere.rows.delete(node);
    else elsewhere.rows.set(node, member);
    if (this.#parts.isFenced && member !== undefined) {
      elsewhere.fence = Math.max(elsewhere.fence, member.generation);
    }
    // The fence is for what is left of the session on other nodes.
    if (elsewhere.rows.size === 0) elsewhere.fence = -Infinity;
    this.#choose(key, elsewhere, isNews);
    if (elsewhere.rows.size === 0) this.#elsewhere.delete(key);
    if (this.#parts.own.has(key)) this.#parts.overtaken(key);
  }

  /** Shows the newest, and tells what that changes. */
  #choose(key: string, elsewhere: Elsewhere, isNews: boolean): void {
    const own = this.#parts.own.get(key);
    const before = own === undefined || own.hidden ? elsewhere.shown : own;
    const after = this.#newest(key, elsewhere);
    if (own !== undefined) own.hidden = after !== own;
    elsewhere.shown = after === own ? undefined : after;
    this.#turn(before, after, isNews);
  }

  #newest(key: string, { rows, fence }: Elsewhere): Present | undefined {
    let newest: Present | undefined = this.#parts.own.get(key);
    if (newest !== undefined && newest.generation < fence) newest = undefined;
    for (const row of rows.values()) {
      if (row.generation < fence) continue;
      if (newest === undefined || row.generation > newest.generation) newest = row;
    }
    return newest;
  }

  /** One is shown in the stead of the other. */
  #turn(before: Present | undefined, after: Present | undefined, isNews: boolean): void {
    if (before === after) return;
    const { rooms } = this.#parts;
    for (const channel of after?.channels ?? []) rooms.enter(channel, after!);
    for (const channel of before?.channels ?? []) {
      if (isNews && before!.online && !isIn(after, channel)) {
        rooms.announce(channel, before!, "leave");
      }
      rooms.leave(channel, before!);
    }
    if (!isNews || after === undefined) return;
    const isUpdate = before !== undefined && !looksSame(before, after);
    for (const channel of after.channels) {
      if (!after.online) continue;
      if (!isIn(before, channel)) rooms.announce(channel, after, "join");
      else if (isUpdate) rooms.announce(channel, after, "update");
    }
  }
}

function isIn(member: Present | undefined, channel: string): boolean {
  return member !== undefined && member.online && member.channels.has(channel);
}
