import type { Cancel } from "../clock.ts";
import type { HubContext } from "../context.ts";
import { mergeChange, PresenceChange, type PresenceChanges } from "./changes.ts";
import { NOWHERE, type Present } from "./member.ts";
import type { Session } from "../session/session.ts";

/** One channel, for all members that are in no other: it is never changed. */
class Alone extends Set<string> {}

interface Room {
  readonly channel: string;
  /** Who is present, on all nodes. */
  readonly members: Set<Present>;
  /** What those share who are in this channel and in no other. */
  readonly alone: Alone;
  /** Sessions of this node that the channel's events go to. */
  readonly watchers: Set<Session>;
  pending: PresenceChanges;
  lastFlush: number;
  timer: Cancel | undefined;
}

const DIFF_INTERVAL = 1_000;
/** Characters of changes that are told at once, and milliseconds until more: who is told of all reads meanwhile. */
const MOST_AT_ONCE = 131_072;
const PAUSE = 20;

/**
 * Who is present in which channel, and who is told of it.
 *
 * Changes of a channel are gathered: the first is told at once, the next ones a second later in one
 * piece, and what cancels out is not told at all. Where many channels change at once, as when a node dies,
 * they are told one after the other.
 */
export class PresenceRooms {
  readonly #context: HubContext;
  readonly #rooms = new Map<string, Room>();
  /** Those whose time has come. */
  readonly #due = new Set<Room>();
  /** Characters told since a moment, in Unix milliseconds. */
  #told = 0;
  #since = 0;
  #pause: Cancel | undefined;
  #stopped = false;

  /** @param context what every part of the hub shares */
  constructor(context: HubContext) {
    this.#context = context;
  }

  /** Who is present in a channel. */
  members(channel: string): Iterable<Present> {
    return this.#rooms.get(channel)?.members ?? [];
  }

  /** A session is to be told of a channel's changes from now on. */
  watch(channel: string, session: Session): void {
    this.#room(channel).watchers.add(session);
  }

  /** A session is to be told no more. */
  unwatch(channel: string, session: Session): void {
    if (this.#rooms.get(channel)?.watchers.delete(session)) this.#dropEmpty(channel);
  }

  /** Channels of a member that enters one more. Changes them, where they are its own. */
  with(channels: ReadonlySet<string>, channel: string): ReadonlySet<string> {
    if (channels.size === 0) return this.#rooms.get(channel)?.alone ?? new Alone([channel]);
    const own = channels instanceof Alone ? new Set(channels) : channels as Set<string>;
    return own.add(channel);
  }

  /** Channels of a member that leaves one of them. Changes them, where they are its own. */
  without(channels: ReadonlySet<string>, channel: string): ReadonlySet<string> {
    if (channels.size === 1) return NOWHERE;
    (channels as Set<string>).delete(channel);
    return channels;
  }

  /** A member has entered a channel. */
  enter(channel: string, member: Present): void {
    this.#room(channel).members.add(member);
  }

  /** A member has left a channel. */
  leave(channel: string, member: Present): void {
    this.#rooms.get(channel)?.members.delete(member);
    this.#dropEmpty(channel);
  }

  /** Tells the watchers of a channel soon. */
  announce(channel: string, member: Present, kind: PresenceChange["kind"]): void {
    const room = this.#rooms.get(channel);
    if (room === undefined || room.watchers.size === 0 || this.#stopped) return;
    if (!this.#context.settings.presence.broadcastChanges) return;
    mergeChange(
      room.pending,
      member.key,
      new PresenceChange(kind, member.clientId, member.status, member.metadata),
    );
    if (room.timer !== undefined || this.#due.has(room)) return;
    const { clock } = this.#context;
    const wait = Math.min(Math.max(room.lastFlush + DIFF_INTERVAL - clock.now(), 0), DIFF_INTERVAL);
    room.timer = clock.schedule(wait, () => {
      room.timer = undefined;
      this.#due.add(room);
      if (this.#pause === undefined) this.#tellDue();
    });
  }

  /** Stops every timer. */
  stop(): void {
    this.#stopped = true;
    this.#pause?.();
    for (const { timer } of this.#rooms.values()) timer?.();
    this.#rooms.clear();
    this.#due.clear();
  }

  #room(channel: string): Room {
    let room = this.#rooms.get(channel);
    if (room === undefined) {
      room = {
        channel,
        members: new Set(),
        alone: new Alone([channel]),
        watchers: new Set(),
        pending: new Map(),
        lastFlush: -Infinity,
        timer: undefined,
      };
      this.#rooms.set(channel, room);
    }
    return room;
  }

  #dropEmpty(channel: string): void {
    const room = this.#rooms.get(channel);
    if (room === undefined || room.members.size > 0 || room.watchers.size > 0) return;
    room.timer?.();
    this.#due.delete(room);
    this.#rooms.delete(channel);
  }

  #tellDue(): void {
    const { clock } = this.#context;
    const now = clock.now();
    if (Math.abs(now - this.#since) >= PAUSE) {
      this.#since = now;
      this.#told = 0;
    }
    for (const room of this.#due) {
      if (this.#told >= MOST_AT_ONCE) {
        this.#pause = clock.schedule(PAUSE, () => {
          this.#pause = undefined;
          this.#tellDue();
        });
        return;
      }
      this.#due.delete(room);
      this.#tell(room);
    }
  }

  #tell(room: Room): void {
    const { clock, settings: { presence } } = this.#context;
    const { channel, pending } = room;
    if (pending.size === 0) return;
    room.pending = new Map();
    room.lastFlush = clock.now();
    // Everybody told of everybody grows with the square of the members; those who have just left,
    // with a node that died, count as well.
    const size = Math.max(room.members.size, pending.size);
    if (size > presence.diffLimit) return;
    const timestamp = room.lastFlush / 1000;
    const changes = [...pending];
    const diff = PresenceChange.diff(channel, timestamp, changes.map(([, change]) => change));
    this.#told += diff.length;
    const quiet = size > presence.broadcastLimit;
    const events = quiet
      ? []
      : changes.map(([key, change]) => [key, change.event(channel, timestamp)] as const);
    for (const session of room.watchers) {
      const { connection } = session;
      if (connection === undefined) continue;
      if (session.wire === "extended") {
        connection.send(diff, 0);
        continue;
      }
      for (const [key, event] of events) if (key !== session.key) connection.send(event, 0);
    }
  }
}
