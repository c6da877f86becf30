import type { PresenceEntry } from "@push/client/protocol";
import type { Cancel } from "../clock.ts";
import type { HubContext } from "../context.ts";
import { isGone, isSameMetadata, type Metadata, NOWHERE, presenceEntry } from "./member.ts";
import { PresenceRooms } from "./rooms.ts";
import { PresenceRows, ROW, type ToldMember } from "./rows.ts";
import { AWAY, PresenceView } from "./view.ts";
import type { FlowState, Session } from "../session/session.ts";

interface Member extends ToldMember {
  status: string;
  metadata: Metadata;
  lastSeen: number;
  /** The sweep before the last sign of life: a jump of the machine's clock makes nobody leave. */
  seenSweep: number;
  online: boolean;
  attached: boolean;
  generation: number;
  /** One that it shares with others who are in the same channel alone, or else its own. */
  channels: ReadonlySet<string>;
  /** Channels that flowed over the connection before; left if they do not flow again in time. */
  paused: Set<string> | undefined;
  grace: Cancel | undefined;
}

const SWEEPS_PER_TIMEOUT = 6;

/**
 * Who is present: the members of this node, with their heartbeats and timeouts, and what other nodes
 * say of theirs, as one list.
 */
export class Presence {
  readonly #context: HubContext;
  /** Whether generations are those of one store. */
  readonly #isFenced: boolean;
  readonly #members = new Map<string, Member>();
  readonly #rooms: PresenceRooms;
  readonly #view: PresenceView;
  /** Tells other nodes, if there are any. */
  readonly #rows: PresenceRows | undefined;
  #sweep = 0;
  #sweeping: Cancel | undefined;

  /** @param context what every part of the hub shares */
  constructor(context: HubContext) {
    this.#context = context;
    this.#isFenced = context.store.cluster?.sharesSessions ?? true;
    this.#rooms = new PresenceRooms(context);
    this.#view = new PresenceView({
      own: this.#members,
      rooms: this.#rooms,
      isFenced: this.#isFenced,
      overtaken: (key) => this.#overtaken(key),
    });
    const { roster, clock } = context;
    if (roster !== undefined) {
      this.#rows = new PresenceRows({ roster, clock, view: this.#view, isFenced: this.#isFenced });
    }
    if (!this.enabled) return;
    roster?.listen({
      rowChanged: (node, key, row, isNews) => {
        if (!key.startsWith(ROW)) return;
        this.#view.rowChanged(node, key.slice(ROW.length), row, isNews);
      },
      // Others have told that they left, and who waits here for a client may do so in vain.
      ownRowsLost: () => {
        for (const member of this.#members.values()) if (!member.attached) this.#remove(member);
      },
    });
    this.#scheduleSweep();
  }

  /** Whether presence is tracked. */
  get enabled(): boolean {
    return this.#context.settings.presence.enabled;
  }

  /** How many are present. */
  get size(): number {
    let size = 0;
    for (const { online } of this.#view.all()) if (online) size++;
    return size;
  }

  /** A session has a connection. */
  attach(session: Session): void {
    if (!this.enabled) return;
    const member = this.#members.get(session.key) ?? this.#begin(session);
    member.attached = true;
    member.generation = this.#generation(session);
    this.#view.arrived(member);
    if (member.paused !== undefined) this.#startGrace(member);
    this.seen(session);
    this.#rows?.changed(member);
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
    if (!this.#isFenced) {
      member.generation = AWAY;
      this.#view.arrived(member);
      this.#rows?.changed(member);
    }
    if (left || this.#view.isOvertaken(member)) this.#remove(member);
    else this.#startGrace(member);
  }

  /** A channel flows to a session, pauses, or has ended. */
  flowing(session: Session, channel: string, state: FlowState): void {
    if (!this.enabled) return;
    const member = this.#members.get(session.key);
    if (state === "flows") {
      this.#watch(channel, session);
      if (member === undefined) return;
      this.#unpause(member, channel);
      if (!member.channels.has(channel)) this.#enter(member, channel);
      return;
    }
    this.#rooms.unwatch(channel, session);
    if (member === undefined) return;
    if (state === "ended") {
      this.#leave(member, channel);
    } else {
      (member.paused ??= new Set()).add(channel);
      this.#startGrace(member);
    }
  }

  /** Tells a session of a channel's changes from now on, or no more, as it may see them or not. */
  #watch(channel: string, session: Session): void {
    const { connection, permits } = session;
    const decide = (allowed: boolean) => {
      if (allowed) this.#rooms.watch(channel, session);
      else this.#rooms.unwatch(channel, session);
    };
    // Where that cannot be found out, it is asked for with the next subscribe.
    try {
      const allowed = permits.may("presence", channel);
      if (typeof allowed === "boolean") return decide(allowed);
      allowed.catch(() => false).then((allowed) => {
        if (session.connection === connection && session.flowsTo(channel)) decide(allowed);
      });
    } catch {
      decide(false);
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
    this.#announce(member, "join");
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
      (metadata !== undefined && !isSameMetadata(metadata, member.metadata));
    member.status = status;
    member.metadata = metadata ?? member.metadata;
    if (changed) this.#announce(member, "update");
    return true;
  }

  /** Who is present in a channel, or anywhere, on all nodes. */
  list(channel: string | null): PresenceEntry[] {
    const members = channel === null ? this.#view.all() : this.#rooms.members(channel);
    const entries: PresenceEntry[] = [];
    for (const member of members) if (member.online) entries.push(presenceEntry(member));
    return entries;
  }

  /** Stops every timer. */
  stop(): void {
    this.#sweeping?.();
    this.#rows?.stop();
    for (const { grace } of this.#members.values()) grace?.();
    this.#rooms.stop();
    this.#members.clear();
  }

  /** A client that moves from another node is what it was there, and has some time to subscribe. */
  #begin(session: Session): Member {
    const { key, owner } = session;
    const shown = this.#view.shownElsewhere(key);
    const elsewhere = shown === undefined || isGone(shown) ? undefined : shown;
    this.#rows?.begun(key);
    const member: Member = {
      key,
      clientId: owner.publicName,
      status: elsewhere?.status ?? "online",
      metadata: elsewhere?.metadata ?? {},
      lastSeen: 0,
      seenSweep: 0,
      toldSeen: 0,
      toldOver: false,
      online: elsewhere?.online ?? true,
      attached: true,
      hidden: shown !== undefined,
      generation: this.#generation(session),
      channels: elsewhere === undefined ? NOWHERE : new Set(elsewhere.channels),
      paused: elsewhere?.channels.size ? new Set(elsewhere.channels) : undefined,
      grace: undefined,
    };
    this.#members.set(key, member);
    return member;
  }

  /** Where each node has sessions of its own, their generations say nothing; the last to come wins. */
  #generation(session: Session): number {
    return this.#isFenced ? session.generation : this.#context.clock.now();
  }

  /** Another node has said something of a session that this node has, too. */
  #overtaken(key: string): void {
    const member = this.#members.get(key)!;
    if (!member.attached && this.#view.isOvertaken(member)) this.#remove(member);
    else this.#rows?.compare(member);
  }

  /** A member that comes back in time, and to the same channels, was never away. */
  #startGrace(member: Member): void {
    const { presence, delivery } = this.#context.settings;
    const delay = Math.min(delivery.sessionGrace, presence.offlineTimeout);
    member.grace?.();
    member.grace = this.#context.clock.schedule(delay, () => {
      member.grace = undefined;
      if (!member.attached) return this.#remove(member);
      for (const channel of member.paused ?? []) this.#leave(member, channel);
    });
  }

  #remove(member: Member): void {
    member.grace?.();
    this.#rows?.removed(member);
    this.#members.delete(member.key);
    this.#view.departed(member);
  }

  #enter(member: Member, channel: string): void {
    member.channels = this.#rooms.with(member.channels, channel);
    this.#rows?.changed(member);
    if (member.hidden) return;
    this.#rooms.enter(channel, member);
    if (member.online) this.#rooms.announce(channel, member, "join");
  }

  #leave(member: Member, channel: string): void {
    this.#unpause(member, channel);
    if (!member.channels.has(channel)) return;
    member.channels = this.#rooms.without(member.channels, channel);
    this.#rows?.changed(member);
    if (member.hidden) return;
    if (member.online) this.#rooms.announce(channel, member, "leave");
    this.#rooms.leave(channel, member);
  }

  #unpause(member: Member, channel: string): void {
    member.paused?.delete(channel);
    if (member.paused?.size === 0) member.paused = undefined;
  }

  #announce(member: Member, kind: "join" | "update" | "leave"): void {
    this.#rows?.changed(member);
    if (member.hidden) return;
    for (const channel of member.channels) this.#rooms.announce(channel, member, kind);
  }

  #scheduleSweep(): void {
    const { offlineTimeout } = this.#context.settings.presence;
    this.#sweeping = this.#context.clock.schedule(offlineTimeout / SWEEPS_PER_TIMEOUT, () => {
      this.#sweep++;
      for (const member of this.#members.values()) {
        // A sign of life alone is no news, but others must not list one that is very old.
        if (member.lastSeen - member.toldSeen >= offlineTimeout / 2) this.#rows?.changed(member);
        if (!member.online || this.#sweep - member.seenSweep <= SWEEPS_PER_TIMEOUT) continue;
        member.online = false;
        this.#announce(member, "leave");
      }
      this.#rows?.sweep();
      this.#scheduleSweep();
    });
  }
}
