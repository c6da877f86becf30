import type { Json, PresenceEntry } from "@push/client/protocol";
import type { Cancel } from "./clock.ts";
import type { HubContext } from "./context.ts";
import { mergeChange, PresenceChange, type PresenceChanges } from "./presence_changes.ts";
import type { FlowState, Session } from "./session.ts";

type Metadata = { [key: string]: Json };

interface Member {
  readonly key: string;
  readonly clientId: string;
  status: string;
  metadata: Metadata;
  /** Unix milliseconds of the last sign of life… */
  lastSeen: number;
  /** …and the sweep before it: a jump of the machine's clock makes nobody leave. */
  seenSweep: number;
  online: boolean;
  attached: boolean;
  readonly channels: Set<string>;
  /** Channels that flowed over the connection before; left if they do not flow again in time. */
  readonly paused: Set<string>;
  grace: Cancel | undefined;
}

interface Room {
  readonly members: Set<Member>;
  /** Sessions that channel's events go to. */
  readonly watchers: Set<Session>;
  pending: PresenceChanges;
  lastFlush: number;
  timer: Cancel | undefined;
}

const SWEEPS_PER_TIMEOUT = 6;
const DIFF_INTERVAL = 1_000;

/**
 * Who is present, on this node: heartbeats, timeouts, and events to the channels that are shared.
 *
 * Changes of a channel are gathered: the first is told at once, the next ones a second later in one
 * piece, and what cancels out is not told at all.
 */
export class Presence {
  readonly #context: HubContext;
  readonly #members = new Map<string, Member>();
  readonly #rooms = new Map<string, Room>();
  #sweep = 0;
  #sweeping: Cancel | undefined;
  #stopped = false;

  /** @param context what every part of the hub shares */
  constructor(context: HubContext) {
    this.#context = context;
    if (context.settings.presence.enabled) this.#scheduleSweep();
  }

  /** Whether presence is tracked. */
  get enabled(): boolean {
    return this.#context.settings.presence.enabled;
  }

  /** How many are present. */
  get size(): number {
    let size = 0;
    for (const { online } of this.#members.values()) if (online) size++;
    return size;
  }

  /** A session has a connection. */
  attach(session: Session): void {
    if (!this.enabled) return;
    let member = this.#members.get(session.key);
    if (member === undefined) {
      member = {
        key: session.key,
        clientId: session.owner.clientId,
        status: "online",
        metadata: {},
        lastSeen: 0,
        seenSweep: 0,
        online: true,
        attached: true,
        channels: new Set(),
        paused: new Set(),
        grace: undefined,
      };
      this.#members.set(session.key, member);
    }
    member.attached = true;
    if (member.paused.size > 0) this.#startGrace(member);
    this.seen(session);
  }

  /**
   * A session has lost its connection.
   *
   * @param left whether it went on purpose: it is gone at once then, and after a grace otherwise
   */
  detach(session: Session, left: boolean): void {
    const member = this.#members.get(session.key);
    if (member === undefined) return;
    member.attached = false;
    if (left) this.#remove(member);
    else this.#startGrace(member);
  }

  /** A channel flows to a session, pauses, or has ended. */
  flowing(session: Session, channel: string, state: FlowState): void {
    const member = this.#members.get(session.key);
    if (member === undefined) return;
    if (state === "flows") {
      this.#room(channel).watchers.add(session);
      member.paused.delete(channel);
      if (!member.channels.has(channel)) this.#enter(member, channel);
      return;
    }
    this.#rooms.get(channel)?.watchers.delete(session);
    if (state === "ended") {
      this.#leave(member, channel);
    } else {
      member.paused.add(channel);
      this.#startGrace(member);
    }
  }

  /** A sign of life. */
  seen(session: Session): void {
    const member = this.#members.get(session.key);
    if (member === undefined) return;
    member.lastSeen = this.#context.clock.now();
    member.seenSweep = this.#sweep;
    if (member.online) return;
    member.online = true;
    for (const channel of member.channels) this.#announce(member, channel, "join");
  }

  /**
   * A heartbeat, with the status and metadata of the application.
   *
   * @returns whether it was taken; false if presence is off
   */
  heartbeat(session: Session, status: string, metadata: Metadata | undefined): boolean {
    const member = this.#members.get(session.key);
    if (member === undefined) return false;
    this.seen(session);
    const changed = member.status !== status ||
      (metadata !== undefined && JSON.stringify(metadata) !== JSON.stringify(member.metadata));
    member.status = status;
    member.metadata = metadata ?? member.metadata;
    if (changed) {
      for (const channel of member.channels) {
        this.#announce(member, channel, "update");
      }
    }
    return true;
  }

  /** Who is present in a channel, or anywhere. */
  list(channel: string | null): PresenceEntry[] {
    const members = channel === null
      ? this.#members.values()
      : this.#rooms.get(channel)?.members ?? [];
    const entries: PresenceEntry[] = [];
    for (const member of members) {
      if (!member.online) continue;
      entries.push({
        client_id: member.clientId,
        status: member.status,
        last_seen: member.lastSeen / 1000,
        metadata: member.metadata,
        channels: [...member.channels].sort(),
      });
    }
    return entries;
  }

  /** Stops every timer. */
  stop(): void {
    this.#stopped = true;
    this.#sweeping?.();
    for (const { grace } of this.#members.values()) grace?.();
    for (const { timer } of this.#rooms.values()) timer?.();
    this.#members.clear();
    this.#rooms.clear();
  }

  /** A member that comes back in time, and to the same channels, was never away. */
  #startGrace(member: Member): void {
    const { presence, delivery } = this.#context.settings;
    const delay = Math.min(delivery.sessionGrace, presence.offlineTimeout);
    member.grace?.();
    member.grace = this.#context.clock.schedule(delay, () => {
      member.grace = undefined;
      if (!member.attached) return this.#remove(member);
      for (const channel of member.paused) this.#leave(member, channel);
    });
  }

  #remove(member: Member): void {
    member.grace?.();
    this.#members.delete(member.key);
    for (const channel of member.channels) this.#leave(member, channel);
  }

  #enter(member: Member, channel: string): void {
    member.channels.add(channel);
    this.#room(channel).members.add(member);
    if (member.online) this.#announce(member, channel, "join");
  }

  #leave(member: Member, channel: string): void {
    member.paused.delete(channel);
    if (!member.channels.delete(channel)) return;
    this.#rooms.get(channel)?.members.delete(member);
    if (member.online) this.#announce(member, channel, "leave");
    this.#dropEmpty(channel);
  }

  #room(channel: string): Room {
    let room = this.#rooms.get(channel);
    if (room === undefined) {
      room = {
        members: new Set(),
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
    this.#rooms.delete(channel);
  }

  #announce(member: Member, channel: string, kind: PresenceChange["kind"]): void {
    if (!this.#context.settings.presence.broadcastChanges || this.#stopped) return;
    const room = this.#room(channel);
    mergeChange(
      room.pending,
      member.key,
      new PresenceChange(kind, member.clientId, member.status, member.metadata),
    );
    if (room.timer !== undefined) return;
    const { clock } = this.#context;
    const wait = Math.min(Math.max(room.lastFlush + DIFF_INTERVAL - clock.now(), 0), DIFF_INTERVAL);
    room.timer = clock.schedule(wait, () => {
      room.timer = undefined;
      this.#tell(channel, room);
    });
  }

  #tell(channel: string, room: Room): void {
    const { clock, settings: { presence } } = this.#context;
    const { pending } = room;
    if (pending.size === 0) return;
    room.pending = new Map();
    room.lastFlush = clock.now();
    // Everybody told of everybody grows with the square of the members.
    if (room.members.size > presence.diffLimit) return;
    const timestamp = room.lastFlush / 1000;
    const changes = [...pending];
    const diff = PresenceChange.diff(channel, timestamp, changes.map(([, change]) => change));
    const quiet = room.members.size > presence.broadcastLimit;
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

  #scheduleSweep(): void {
    const interval = this.#context.settings.presence.offlineTimeout / SWEEPS_PER_TIMEOUT;
    this.#sweeping = this.#context.clock.schedule(interval, () => {
      this.#sweep++;
      for (const member of this.#members.values()) {
        if (!member.online || this.#sweep - member.seenSweep <= SWEEPS_PER_TIMEOUT) continue;
        member.online = false;
        for (const channel of member.channels) this.#announce(member, channel, "leave");
      }
      this.#scheduleSweep();
    });
  }
}
