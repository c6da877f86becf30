import { type Cancel, randomId } from "../clock.ts";
import {
  type Incoming,
  isEpochChange,
  isGap,
  isMessage,
  isSubscribed,
  readError,
  readIncoming,
} from "../incoming.ts";
import type { Ending } from "../lifecycle.ts";
import type { ClientSettings } from "../options.ts";
import { isChannelName } from "../protocol/channel_name.ts";
import { closeOf } from "../protocol/codes.ts";
import type {
  Ack,
  ConnectedFrame,
  ConnectFrame,
  NackFrame,
  PublishFrame,
  RenewFrame,
  Start,
  SubscribeFrame,
} from "../protocol/frames.ts";
import { RangeSet } from "../protocol/ranges.ts";
import { framesOf, inOrder } from "./batch.ts";
import { Outgoing } from "./outgoing.ts";
import type { TabLocks, TabStorage } from "./platform.ts";
import { addressOf, type Down, type Up } from "./post.ts";
import { keyOf, Stream } from "./stream.ts";
import { Tab } from "./tab.ts";
import { Upstream, type UpstreamParts } from "./upstream.ts";

/** What a {@linkcode Relay} needs. */
export interface RelayParts {
  /** Of the connection to the gateway. */
  readonly settings: ClientSettings;
  /** Name of the group of tabs. */
  readonly group: string;
  readonly locks: TabLocks;
  readonly storage: TabStorage | undefined;
  /** Tells tabs. */
  post(down: Down): void;
}

/** Longest time, in milliseconds, in which tabs come back after a reconnect. */
const HOLD = 1000;
/** Longest time, in milliseconds, that a channel is kept for a tab that went without a word. */
const GRACE = 60_000;

/** Who asked the gateway something. */
type Asker =
  | { readonly tab: Tab; readonly id: unknown; readonly others: number }
  | { readonly stream: Stream };

/**
 * Has the one connection, and speaks for the gateway to all tabs: to each it looks like a WebSocket.
 * When the connection ends, so do those of the tabs, and when they come back it is made again.
 */
export class Relay {
  readonly id: string;
  readonly #parts: RelayParts;
  readonly #stopped: AbortController = new AbortController();
  readonly #tabs: Map<string, Tab> = new Map();
  /** Pages that are waited for to be gone. */
  readonly #watched: Set<string> = new Set();
  readonly #streams: Map<string, Stream> = new Map();
  readonly #askers: Map<number, Asker> = new Map();
  readonly #timers: Set<Cancel> = new Set();
  readonly #upstream: Upstream;
  readonly #outgoing: Outgoing = new Outgoing((to, text) => {
    this.#parts.post({ down: "text", relay: this.id, to, text });
  });
  /** Subscriptions that the next connection begins with. */
  readonly #wanted: Map<string, Start> = new Map();
  #lastId = 0;
  /** The last status that a tab has said. */
  #status: Readonly<Record<string, unknown>> = {};
  #isPlanned = false;
  /** Whether tabs are about to come back. */
  #isHeld = false;
  #cancelHold: Cancel | undefined;

  /** @param parts what it needs */
  constructor(parts: RelayParts) {
    const { settings, group, storage } = parts;
    this.#parts = parts;
    this.id = randomId(settings.random);
    this.#upstream = new Upstream({
      settings,
      group,
      storage,
      hello: () => this.#hello(),
      positions: () => this.#positions(),
      connected: (frame) => this.#accepted(frame),
      frames: (values) => {
        for (const frame of inOrder(values)) this.#route(frame);
      },
      ended: (ending) => this.#ended(ending),
    });
  }

  /** A tab says something. */
  receive(up: Up): void {
    if (this.#stopped.signal.aborted) return;
    if (up.up === "open") return this.#open(new Tab(up.tab, up.socket, up.own));
    const tab = this.#tabs.get(up.tab);
    if (up.relay !== this.id || tab?.socket !== up.socket) return;
    if (up.up === "close") return this.#remove(tab);
    for (const frame of framesOf(up.text)) {
      try {
        this.#frame(tab, frame);
      } catch {
        // No client says that: another script does.
      }
    }
  }

  /** Sends what waits to the gateway, at once: the page is about to go. */
  flush(): void {
    this.#acknowledge();
    this.#upstream.flush();
  }

  /** Another tab is to lead: lets go of the session, and keeps it at the gateway. */
  stop(): void {
    if (this.#stopped.signal.aborted) return;
    this.flush();
    this.#stopped.abort();
    this.#upstream.drop();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #open(tab: Tab): void {
    const older = this.#tabs.get(tab.id);
    // A tab that hears of its relay says it again.
    if (older?.socket !== tab.socket) {
      if (older) this.#remove(older);
      this.#tabs.set(tab.id, tab);
      this.#watch(tab.id);
    }
    this.#post({ down: "open", relay: this.id, to: [this.#address(tab)] });
  }

  /** A page holds the lock of its name as long as it lives. */
  #watch(id: string): void {
    if (this.#watched.has(id)) return;
    this.#watched.add(id);
    const { locks, group } = this.#parts;
    locks.request(`${group}:${id}`, { signal: this.#stopped.signal }, () => {
      this.#watched.delete(id);
      const tab = this.#tabs.get(id);
      if (tab) this.#remove(tab);
    }).catch(() => this.#watched.delete(id));
  }

  #frame(tab: Tab, frame: Incoming): void {
    if (!tab.hello) {
      if (frame.type !== "connect") return;
      tab.hello = frame as unknown as ConnectFrame;
      const { connected } = this.#upstream;
      if (connected) this.#welcome(tab, connected);
      else this.#upstream.connect();
      return;
    }
    const { channel } = frame;
    switch (frame.type) {
      case "channel.subscribe": {
        if (!isChannelName(channel)) return this.#forward(tab, frame);
        const { type: _, channel: __, request_id, ...start } = frame as unknown as SubscribeFrame;
        return this.#stream(channel).ask(tab, request_id, start);
      }
      case "channel.unsubscribe": {
        if (!isChannelName(channel)) return this.#forward(tab, frame);
        const ok = this.#leave(tab, channel, true);
        const { request_id } = frame;
        return this.#tell([tab], { type: "channel.unsubscribed", channel, ok, request_id });
      }
      case "channel.publish":
        return this.#publish(tab, frame as unknown as PublishFrame);
      case "ack":
        for (const ack of frame.acks as Ack[]) this.#streams.get(ack.channel)?.ack(tab, ack);
        return;
      case "nack": {
        const { epoch, seq } = frame as unknown as NackFrame;
        if (this.#streams.get(channel as string)?.owes(tab, epoch, seq)) this.#upstream.send(frame);
        return;
      }
      case "renew":
        return this.#renew(tab, (frame as unknown as RenewFrame).renew);
      case "presence.heartbeat": {
        // A beat without a status would take back what another tab has said.
        const { type: _, request_id: __, ...status } = frame;
        if (typeof status.status === "string") this.#status = status;
        this.#upstream.expect();
        return this.#forward(tab, { ...this.#status, ...frame });
      }
      case "ping":
        this.#upstream.expect();
        return this.#forward(tab, frame);
      case "disconnect":
        return this.#goodbye(tab, frame.forget === true);
      default:
        return this.#forward(tab, frame);
    }
  }

  #publish(tab: Tab, frame: PublishFrame): void {
    const stream = this.#streams.get(frame.channel);
    const others = (stream?.size ?? 0) - (stream && [...stream.tabs].includes(tab) ? 1 : 0);
    if (typeof frame.id === "string") {
      const key = keyOf(frame.channel, frame.id);
      if (frame.echo === true) tab.own.delete(key);
      else tab.own.add(key);
    }
    // To the gateway all tabs are one client, and the others are to get it: also one that comes back
    // after this, so that its channel is not known here yet.
    this.#forward(tab, { ...frame, echo: true }, others);
  }

  /** Passes a question on, and its answer back. */
  #forward(tab: Tab, frame: Incoming, others = 0): void {
    const { request_id: id } = frame;
    if (id === undefined) return this.#upstream.send(frame);
    const request_id = ++this.#lastId;
    this.#askers.set(request_id, { tab, id, others });
    this.#upstream.send({ ...frame, request_id });
  }

  #renew(tab: Tab, renew: RenewFrame["renew"]): void {
    tab.renewed = new Map(renew.map(({ channel, ...rest }) => [channel, rest]));
    // Each frame replaces the one before, so this one says it for all tabs.
    const all: RenewFrame["renew"] = [];
    for (const [channel, stream] of this.#streams) {
      const ranges = new RangeSet();
      for (const each of this.#tabs.values()) {
        const waits = each.renewed.get(channel);
        if (!waits) continue;
        for (const seq of stream.inFlight(waits.epoch, waits.ranges)) ranges.add(seq);
      }
      if (stream.epoch === undefined || !renew.some((it) => it.channel === channel)) continue;
      all.push({ channel, epoch: stream.epoch, ranges: ranges.toRanges() });
    }
    if (all.length > 0) this.#upstream.send({ type: "renew", renew: all });
  }

  /** A tab leaves on purpose; the last one ends the session as a client of its own would. */
  #goodbye(tab: Tab, forget: boolean): void {
    for (const [channel] of this.#streams) this.#leave(tab, channel, true, false);
    this.#tabs.delete(tab.id);
    if (this.#tabs.size > 0) {
      this.#prune();
      return this.#close(tab);
    }
    this.#acknowledge();
    this.#streams.clear();
    this.#askers.clear();
    void this.#upstream.leave(forget).then(() => this.#close(tab));
  }

  #close(tab: Tab): void {
    this.#post({ down: "close", relay: this.id, to: [this.#address(tab)], code: 1000, reason: "" });
  }

  /** Ends the subscriptions that a tab has left and no other wants. */
  #prune(): void {
    for (const [channel, stream] of this.#streams) {
      if (stream.deserted) this.#drop(channel);
    }
  }

  #remove(tab: Tab): void {
    if (this.#tabs.get(tab.id) !== tab) return;
    this.#tabs.delete(tab.id);
    for (const [channel] of this.#streams) this.#leave(tab, channel, false);
    this.#close(tab);
  }

  /** @param onPurpose whether the channel ends at the gateway if nobody else wants it @param now at once */
  #leave(tab: Tab, channel: string, onPurpose: boolean, now = true): boolean {
    const stream = this.#streams.get(channel);
    const was = stream?.leave(tab) ?? false;
    if (!stream?.deserted || !was) return was;
    if (!onPurpose) {
      // The page may be reloading.
      const grace = Math.min(GRACE, 1000 * (this.#upstream.connected?.session_ttl ?? 0));
      this.#after(grace, () => stream.deserted && this.#drop(channel, stream));
    } else if (now) this.#drop(channel);
    return was;
  }

  #drop(channel: string, stream = this.#streams.get(channel)): void {
    if (this.#streams.get(channel) !== stream) return;
    this.#streams.delete(channel);
    this.#upstream.send({ type: "channel.unsubscribe", channel });
  }

  #stream(channel: string): Stream {
    const known = this.#streams.get(channel);
    if (known) return known;
    const stream = new Stream(channel, {
      send: (frame) => this.#upstream.send({ ...frame }),
      subscribe: (asking, start) => {
        const request_id = ++this.#lastId;
        this.#askers.set(request_id, { stream: asking });
        this.#upstream.send({ type: "channel.subscribe", channel, ...start, request_id });
      },
      isHeld: () => this.#isHeld,
      isOrdered: () => this.#upstream.isOrdered,
      restart: (name, start) => {
        this.#wanted.set(name, start);
        this.#upstream.lose("going_away", "The connection is made anew.");
      },
      tell: (tabs, text) => this.#tellText(tabs, text),
      settled: () => this.#plan(),
    });
    this.#streams.set(channel, stream);
    return stream;
  }

  #hello(): ReturnType<UpstreamParts["hello"]> {
    // Whoever came last has the newest token.
    const hello = [...this.#tabs.values()].filter((tab) => tab.hello).at(-1)?.hello;
    const { token, session_ttl } = hello ?? {};
    return {
      ...token !== undefined && { token },
      ...session_ttl !== undefined && { session_ttl },
      subscriptions: [...this.#wanted].map(([channel, start]) => {
        this.#stream(channel).asked(start);
        return { channel, ...start };
      }),
    };
  }

  #positions(): ({ channel: string; epoch: string; seq: number })[] {
    const positions = [];
    for (const [channel, { position }] of this.#streams) {
      if (position) positions.push({ channel, ...position });
    }
    return positions;
  }

  #accepted(frame: ConnectedFrame): void {
    this.#isHeld = true;
    // The tabs that the last connection was lost with, or the last relay, come back.
    this.#cancelHold?.();
    this.#cancelHold = this.#after(Math.min(HOLD, 250 * frame.ack_timeout), () => {
      this.#isHeld = false;
      for (const stream of this.#streams.values()) stream.release();
    });
    for (const answer of frame.subscriptions.map(readIncoming)) {
      const stream = this.#streams.get(answer?.channel as string);
      if (answer && stream) this.#answer({ stream }, answer);
    }
    this.#wanted.clear();
    for (const tab of this.#tabs.values()) if (tab.hello) this.#welcome(tab, frame);
  }

  #welcome(tab: Tab, connected: ConnectedFrame): void {
    tab.isWelcome = true;
    const { secret: _, ...frame } = connected;
    // What is not answered here is asked for by name.
    this.#tell([tab], { ...frame, subscriptions: [] });
  }

  #ended({ code, reason, final }: Ending): void {
    this.#askers.clear();
    this.#streams.clear();
    this.#outgoing.clear();
    const to = [...this.#tabs.values()].map((tab) => this.#address(tab));
    this.#tabs.clear();
    // Nobody else has the secret of an unnamed session than the next relay of this group.
    const isGroup = code === "replaced" && this.#parts.settings.clientId === undefined;
    const known = closeOf(isGroup ? "going_away" : code);
    if (to.length > 0) {
      // What no close can say is said before it; a lost connection says it best by its close.
      if (known === undefined && code !== "connection_failed") {
        const text = JSON.stringify({ type: "error", code, message: reason });
        this.#post({ down: "text", relay: this.id, to, text });
      }
      const close = known ?? (final ? 4999 : 1006);
      this.#post({ down: "close", relay: this.id, to, code: close, reason });
    }
    // Whoever knows why need not wait.
    if (code === "going_away") this.#post({ down: "lead", relay: this.id });
  }

  #route(frame: Incoming): void {
    const { request_id, channel } = frame;
    const asker = typeof request_id === "number" ? this.#askers.get(request_id) : undefined;
    if (asker) {
      this.#askers.delete(request_id as number);
      return this.#answer(asker, frame);
    }
    const stream = this.#streams.get(channel as string);
    switch (frame.type) {
      case "channel_message": {
        if (!isMessage(frame) || !stream) return;
        const { id } = frame;
        stream.receive(frame, id === undefined ? undefined : keyOf(frame.channel, id));
        return stream.limit(2 * (this.#upstream.connected?.window || 1024));
      }
      case "channel.epoch":
        if (isEpochChange(frame)) stream?.follow(frame);
        return;
      case "channel.gap":
        if (isGap(frame)) stream?.gap(frame);
        return;
      case "channel.unsubscribed":
        stream?.ended();
        return this.#upstream.renew();
      case "presence_diff":
        if (stream) this.#tell(stream.tabs, frame);
        return;
      case "error":
        if (frame.code === "forbidden" && stream) {
          // The right to it is lost for all who have it.
          this.#streams.delete(stream.channel);
          return this.#tell(stream.tabs, frame);
        }
        // falls through
      case "pong":
      case "presence.heartbeat_ack":
        this.#tell([...this.#tabs.values()].filter((tab) => tab.isWelcome), frame);
    }
  }

  #answer(asker: Asker, frame: Incoming): void {
    if ("tab" in asker) {
      const { tab, id, others } = asker;
      const { delivered } = frame;
      const counted = typeof delivered === "number" && { delivered: delivered + others };
      return this.#tell([tab], { ...frame, ...counted, request_id: id });
    }
    const { stream } = asker;
    if (this.#streams.get(stream.channel) !== stream) return;
    if (isSubscribed(frame)) {
      const { epoch, seq, earlier, stored = false } = frame;
      stream.answered({ epoch, seq, earlier, stored });
      if (stream.deserted && this.#wanted.size === 0) this.#drop(stream.channel, stream);
    } else if (readError(frame)) {
      // Others that had the channel come back and ask for it anew.
      if (stream.size > 0) {
        return this.#upstream.lose("going_away", "A channel had to be asked for anew.");
      }
      this.#streams.delete(stream.channel);
      for (const { tab, id } of stream.refused()) this.#tell([tab], { ...frame, request_id: id });
    }
  }

  #tell(tabs: Iterable<Tab>, frame: Readonly<Record<string, unknown>>): void {
    this.#tellText(tabs, JSON.stringify(frame));
  }

  /** What goes to the same tabs in one turn goes at once. */
  #tellText(tabs: Iterable<Tab>, text: string): void {
    const to = [...tabs].filter((tab) => this.#tabs.get(tab.id) === tab)
      .map((tab) => this.#address(tab));
    if (to.length === 0) return;
    this.#outgoing.add(to, text);
    this.#plan();
  }

  /** At the end of this turn everything goes that has gathered. */
  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    queueMicrotask(() => {
      this.#isPlanned = false;
      this.#outgoing.flush();
      this.#acknowledge();
    });
  }

  #acknowledge(): void {
    const acks: Ack[] = [];
    for (const stream of this.#streams.values()) {
      const ack = stream.takeAck();
      if (ack) acks.push(ack);
    }
    if (acks.length > 0) this.#upstream.send({ type: "ack", acks });
  }

  #post(down: Down): void {
    this.#outgoing.flush();
    if (!this.#stopped.signal.aborted) this.#parts.post(down);
  }

  #after(delay: number, task: () => void): Cancel {
    const cancel = this.#parts.settings.clock.schedule(delay, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
    return cancel;
  }

  #address({ id, socket }: Tab): string {
    return addressOf({ tab: id, socket });
  }
}
