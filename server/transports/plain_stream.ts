import type { Code } from "@push/client/protocol";
import type { Flushed, Turn } from "../turn.ts";
import type { Connection } from "./connection.ts";
import { type EventStream, onOneLine, type StreamOwner } from "./event_stream.ts";
import type { StreamSource } from "./longpoll.ts";
import { mayBeLost } from "./may_be_lost.ts";
import { type LogPlace, placeOf, writePlaces } from "./places.ts";

/** Whose frames a plain stream carries, and who hears of its end. */
export interface PlainStreamHost {
  /** What was written up to a place counts as acknowledged. */
  written(channel: string, place: LogPlace): void;
  /** The stream takes messages again. */
  drained(): void;
  /** The reader lives, as far as anybody can tell. */
  lives(): void;
  /** The reader has gone, or this side has closed the connection with a code. */
  ended(code: Code | "normal"): void;
}

/** Characters of ids between two looks at what waits: each event names the places of all channels. */
const IDS_AT_ONCE = 262_144;
/** A comment: readers pass over it. */
const KEEPALIVE = ":\n\n";

/**
 * The way out to a reader of plain server-sent events, an `EventSource` or `curl -N`: one frame of the
 * fixed wire in an event. The id of an event says where the reader stands in every channel, so that
 * it can go on from there with another connection, at any node.
 */
export class PlainStreamConnection implements Connection, Flushed, StreamOwner {
  /** See {@linkcode Connection.transport}. */
  readonly transport = "sse";
  readonly #turn: Turn;
  readonly #host: PlainStreamHost;
  readonly #stream: EventStream;
  readonly #places = new Map<string, LogPlace>();
  /** Channels that moved in this turn. */
  readonly #moved = new Set<string>();
  #events = "";
  #idLength = 1;
  #closed = false;

  /** @throws {PushError} `too_many_connections` */
  constructor(source: StreamSource, turn: Turn, host: PlainStreamHost) {
    this.#turn = turn;
    this.#host = host;
    this.#stream = source.open(this, KEEPALIVE);
  }

  /** See {@linkcode Connection.capacity}. */
  get capacity(): number {
    if (this.#closed || !this.#stream.takes(this.#events.length)) return 0;
    return Math.ceil(IDS_AT_ONCE / this.#idLength);
  }

  /**
   * Begins the stream, without a message yet: where it stands, and how long the reader shall wait
   * before it comes back, should it lose the connection.
   *
   * @param retry milliseconds
   */
  begin(places: ReadonlyMap<string, LogPlace>, retry: number): EventStream {
    for (const [channel, place] of places) this.#places.set(channel, place);
    const id = writePlaces(this.#places);
    this.#idLength = id.length;
    this.#stream.write(`retry: ${retry}\nid: ${id}\n\n`);
    return this.#stream;
  }

  /** Ends the connection before it has begun. */
  discard(): void {
    this.#stream.abandon();
    if (!this.#closed) this.gone();
  }

  /** See {@linkcode Connection.send}. */
  send(text: string, count: number): void {
    if (this.#closed) return;
    if (mayBeLost(text, count) && !this.#stream.takes(this.#events.length)) return;
    const isFirst = this.#events === "";
    if (isFirst) this.#turn.flush(this);
    if (count > 0) this.#turn.sends(isFirst ? 1 : 0, text.length);
    const place = placeOf(text, count > 0);
    if (place !== undefined) {
      const { channel, epoch, seq } = place;
      const { epoch: known, seq: reached } = this.#places.get(channel) ?? { epoch: "", seq: 0 };
      // A message that comes again leaves the reader where it is.
      if (epoch !== known || seq > reached) this.#places.set(channel, { epoch, seq });
      this.#moved.add(channel);
      this.#events += `id: ${writePlaces(this.#places)}\n`;
    }
    this.#events += `data: ${onOneLine(text)}\n\n`;
  }

  /** Writes what gathered in this turn. */
  flush(): void {
    const events = this.#events;
    if (events === "" || this.#closed) return;
    this.#events = "";
    this.#stream.write(events);
    // It may have shown that the reader is stuck: then nothing of it was written.
    if (this.#closed) return;
    const moved = [...this.#moved];
    this.#moved.clear();
    for (const channel of moved) this.#host.written(channel, this.#places.get(channel)!);
  }

  /** See {@linkcode Connection.close}. */
  close(code: Code | "normal"): void {
    if (this.#closed) return;
    this.flush();
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.end();
    this.#host.ended(code);
  }

  /** See {@linkcode Connection.barred}: what the reader asks for is refused from now on. */
  barred(): void {
    this.close("forbidden");
  }

  /** See {@linkcode StreamOwner.drained}. */
  drained(): void {
    this.#host.drained();
  }

  /** See {@linkcode StreamOwner.lives}. */
  lives(): void {
    this.#host.lives();
  }

  /** See {@linkcode StreamOwner.gone}. */
  gone(): void {
    this.#closed = true;
    this.#host.ended("normal");
  }

  /** See {@linkcode StreamOwner.stuck}. */
  stuck(): void {
    this.#closed = true;
    this.#stream.drop();
    this.#host.ended("slow_consumer");
  }
}
