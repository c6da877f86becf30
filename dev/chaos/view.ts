import type {
  ClientNote,
  DeadNote,
  DeliverNote,
  Entry,
  FaultNote,
  GapNote,
  Place,
  PublishNote,
  SettleNote,
  SubscribeNote,
} from "./history.ts";

type At = { readonly at: number };

/** All that became of one publish. */
export interface Publish extends PublishNote, At {
  /** When it was asked for. */
  readonly invoked: number;
}

/** All that one client saw of one channel. */
export interface Seat {
  readonly client: string;
  readonly channel: string;
  readonly sees: ClientNote["sees"];
  readonly policy: ClientNote["policy"];
  /** When it asked to be subscribed, and when it was; infinite for never. */
  readonly asked: number;
  readonly joined: number;
  /** When it asked to leave, and when it had left; infinite for never. */
  readonly leaving: number;
  readonly left: number;
  readonly deliveries: readonly (DeliverNote & At)[];
  readonly gaps: readonly (GapNote & At)[];
  readonly settled: readonly (SettleNote & At)[];
  readonly dead: readonly DeadNote[];
}

/** A history in the order in which the rules look at it. */
export class View {
  /** Every publish by its id, with its last phase. */
  readonly publishes: ReadonlyMap<string, Publish>;
  /** Every client on every channel that it has to do with as a subscriber. */
  readonly seats: readonly Seat[];
  /** Faults and what healed them. */
  readonly faults: readonly (FaultNote & At)[];
  /** All notes. */
  readonly entries: readonly Entry[];
  readonly #epochs: ReadonlyMap<string, readonly string[]>;
  readonly #meanings: ReadonlyMap<string, string>;

  constructor(entries: readonly Entry[]) {
    this.entries = entries;
    this.#epochs = epochsOf(entries);
    this.#meanings = meaningsOf(entries);
    this.publishes = publishesOf(entries);
    this.seats = seatsOf(entries);
    this.faults = entries.filter((it): it is FaultNote & At =>
      it.type === "fault" || it.type === "heal"
    );
  }

  /** Id of the message that has a number, as far as anybody got it or was answered so. */
  meaning(channel: string, { epoch, seq }: Place): string | undefined {
    return this.#meanings.get(`${channel} ${epoch}:${seq}`);
  }

  /** Whether a notice tells of the loss of a message: it names its number, or a later epoch. */
  isTold(seat: Seat, { place, invoked }: Publish): boolean {
    const epochs = this.#epochs.get(seat.channel) ?? [];
    const rank = epochs.indexOf(place?.epoch ?? "");
    return seat.gaps.some(({ epoch, seq, at }) =>
      epoch === place?.epoch ? place.seq <= seq : epochs.indexOf(epoch) > rank && invoked < at
    );
  }

  /** Publishes that a seat has a right to: asked for after it was there, answered, and not its own. */
  owed(seat: Seat): Publish[] {
    return [...this.publishes.values()].filter((it) =>
      it.phase === "ok" && it.channel === seat.channel && it.client !== seat.client &&
      it.invoked >= seat.joined && it.at < seat.leaving
    );
  }
}

/** The epochs of each channel, in the order in which anybody heard of them. */
function epochsOf(entries: readonly Entry[]): Map<string, string[]> {
  const epochs = new Map<string, string[]>();
  for (const entry of entries) {
    if (!("channel" in entry)) continue;
    const epoch = entry.type === "gap"
      ? entry.epoch
      : "place" in entry
      ? entry.place?.epoch
      : undefined;
    if (epoch === undefined) continue;
    const known = epochs.get(entry.channel) ?? [];
    if (!known.includes(epoch)) known.push(epoch);
    epochs.set(entry.channel, known);
  }
  return epochs;
}

/** Ids of messages by their channels, epochs and numbers. */
function meaningsOf(entries: readonly Entry[]): Map<string, string> {
  const meanings = new Map<string, string>();
  for (const entry of entries) {
    if ((entry.type !== "publish" && entry.type !== "deliver") || entry.place === undefined) {
      continue;
    }
    const { channel, place: { epoch, seq }, id } = entry;
    meanings.set(`${channel} ${epoch}:${seq}`, id);
  }
  return meanings;
}

function publishesOf(entries: readonly Entry[]): Map<string, Publish> {
  const publishes = new Map<string, Publish>();
  for (const entry of entries) {
    if (entry.type !== "publish") continue;
    const invoked = publishes.get(entry.id)?.invoked ?? entry.at;
    publishes.set(entry.id, { ...entry, invoked });
  }
  return publishes;
}

function seatsOf(entries: readonly Entry[]): Seat[] {
  const clients = new Map<string, ClientNote>();
  for (const entry of entries) if (entry.type === "client") clients.set(entry.client, entry);
  const names = new Map<string, [client: string, channel: string]>();
  for (const entry of entries) {
    if (!("client" in entry && "channel" in entry) || entry.type === "publish") continue;
    names.set(`${entry.client} ${entry.channel}`, [entry.client, entry.channel]);
  }
  return [...names.values()].map(([client, channel]) => {
    const own = entries.filter((it) =>
      "client" in it && "channel" in it && it.client === client && it.channel === channel
    );
    const times = (type: SubscribeNote["type"], phase: "invoke" | "ok") =>
      own.filter((it) => it.type === type && it.phase === phase).map(({ at }) => at);
    return {
      client,
      channel,
      sees: clients.get(client)?.sees ?? "frames",
      policy: clients.get(client)?.policy ?? "ack",
      asked: Math.min(Infinity, ...times("subscribe", "invoke")),
      joined: Math.min(Infinity, ...times("subscribe", "ok")),
      leaving: Math.min(Infinity, ...times("unsubscribe", "invoke")),
      left: Math.min(Infinity, ...times("unsubscribe", "ok")),
      deliveries: own.filter((it) => it.type === "deliver"),
      gaps: own.filter((it) => it.type === "gap"),
      settled: own.filter((it): it is SettleNote & At => it.type === "ack" || it.type === "nack"),
      dead: own.filter((it) => it.type === "dead"),
    };
  });
}
