import { type Json, type JsonObject, parseJson } from "@push/client/protocol";
import type { Identity } from "../access/identity.ts";
import { readIdentity } from "../access/kept_identity.ts";
import type { Wire } from "../channel/entry.ts";
import { isObject } from "../dialog/fields.ts";
import { type Flights, readFlights, writeFlights } from "../session/flight.ts";
import { harmless } from "../harmless.ts";
import type { AttachRequest } from "../hub.ts";
import type { Cluster } from "../stores/cluster.ts";

/** What a long-poller's session is attached with, wherever its next request arrives. */
export type PollTerms =
  & Pick<AttachRequest, "name" | "minted">
  & Required<Pick<AttachRequest, "instance" | "attempt" | "since">>;

/** What another node needs to go on with a long-poller. */
export interface PollRecord extends PollTerms {
  /** Who it is. */
  readonly identity: Identity;
  /** Milliseconds that its session outlives its connection. */
  readonly ttl: number;
  /** Frames that it understands. */
  readonly wire: Wire;
  /** The connection that holds the session… */
  readonly holder: string;
  /** …and the number of its claim: a record of an earlier one that is late is not kept. */
  readonly generation: number;
  /** Names of the channels that it is subscribed to. */
  readonly channels: readonly string[];
}

/** What is kept of a poller whose client has gone, so that no node goes on with it. */
export interface EndedPoller {
  /** Whether its session ends, even a named one. */
  readonly forgets: boolean;
}

const FORMAT = 3;
const PREFIX = "poller:";
const FLIGHTS = "flights:";
const MAX_NESTING = 8;

/** The records of the long-pollers of all nodes, by the hash of their tokens. */
export class PollRecords {
  readonly #cluster: Cluster;
  readonly #ttl: number;

  /**
   * @param cluster where they are kept
   * @param ttl milliseconds for which each is kept
   */
  constructor(cluster: Cluster, ttl: number) {
    this.#cluster = cluster;
    this.#ttl = ttl;
  }

  /**
   * Keeps a record, in the stead of the one before; resolves to whether it did: not if a later claim
   * is on record, or that the poller has ended.
   */
  keep(hash: string, record: PollRecord): Promise<boolean> {
    return this.#keep(PREFIX + hash, { ...record }, record.generation);
  }

  /** Keeps that a poller has ended, whoever is taking it at present. */
  async end(hash: string, ended: EndedPoller): Promise<void> {
    await this.#keep(PREFIX + hash, { ended: ended.forgets }, Number.MAX_SAFE_INTEGER);
  }

  /** Keeps what was in flight to a connection, for the one that goes on for it. */
  async keepFlights(holder: string, flights: Flights): Promise<void> {
    await harmless(this.#cluster.keep(FLIGHTS + holder, writeFlights(flights), this.#ttl));
  }

  /** What was in flight to a connection, if that is known. */
  async findFlights(holder: string): Promise<Flights> {
    return readFlights(await harmless(this.#cluster.kept(FLIGHTS + holder)));
  }

  /** The record of a token; `undefined` if there is none, or it is of another version. */
  async find(hash: string): Promise<PollRecord | EndedPoller | undefined> {
    const text = await harmless(this.#cluster.kept(PREFIX + hash));
    return text === undefined ? undefined : readRecord(text);
  }

  /** Keeps the record of a token no longer, unless another connection holds its session by now. */
  async drop(hash: string, holder: string): Promise<void> {
    const record = await this.find(hash);
    if (record === undefined || hasEnded(record) || record.holder !== holder) return;
    await harmless(this.#cluster.drop(PREFIX + hash));
  }

  #keep(name: string, record: object, version: number): Promise<boolean> {
    const text = JSON.stringify({ format: FORMAT, ...record });
    return harmless(this.#cluster.keep(name, text, this.#ttl, version));
  }
}

/** Whether a record says that the poller has ended. */
export function hasEnded(record: PollRecord | EndedPoller): record is EndedPoller {
  return "forgets" in record;
}

function readRecord(text: string): PollRecord | EndedPoller | undefined {
  let value: Json;
  try {
    value = parseJson(text, MAX_NESTING);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value.format !== FORMAT) return undefined;
  if (typeof value.ended === "boolean") return { forgets: value.ended };
  const { ttl, wire, holder, generation, channels, name, minted } = value;
  const { instance, attempt, since } = value;
  const identity = readIdentity(value.identity);
  const isWellFormed = typeof ttl === "number" &&
    (wire === "fixed" || wire === "extended") && typeof holder === "string" &&
    typeof generation === "number" && typeof since === "number" &&
    Array.isArray(channels) && channels.every((channel) => typeof channel === "string") &&
    (name === undefined || typeof name === "string") &&
    (minted === undefined || isMinted(minted)) &&
    typeof instance === "string" && typeof attempt === "number";
  if (!isWellFormed || identity === undefined) return undefined;
  const terms = { name, minted, instance, attempt, since } as PollTerms;
  return { ...terms, identity, ttl, wire, holder, generation, channels: channels as string[] };
}

function isMinted(value: Json): value is JsonObject {
  return isObject(value) && typeof value.clientId === "string" &&
    typeof value.secretHash === "string";
}
