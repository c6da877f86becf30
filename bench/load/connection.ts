/** One client of a server: it opens, listens, acknowledges, and publishes. */
import { encodeFrame } from "./frames.ts";
import { RawSocket, type SocketHandler } from "./socket.ts";
import { payload, type StampHandler, Stamps } from "./stamp.ts";
import { type Client, type Wire, type WireName, WIRES } from "./wires.ts";

/** How what came is acknowledged: not at all, as `@push/client` does it, or each message on its own. */
export type Acks = "none" | "cumulative" | "each";

/** Messages that `@push/client` acknowledges at once: half a window. */
const HALF_WINDOW = 512;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** How a connection is made, and who hears of it. */
export interface ConnectionOptions extends Client {
  /** Port of 127.0.0.1. */
  readonly port: number;
  /** Language of the server. */
  readonly wire: WireName;
  /** How it acknowledges. */
  readonly acks: Acks;
  /** Hears where the connection goes on in the log, if the server says so. */
  readonly onPlace?: (place: { epoch: string; seq: number }) => void;
  /** Hears each message that comes. */
  readonly onStamp?: StampHandler;
  /** Hears how many publishes were answered. */
  readonly onAnswers?: (count: number) => void;
  /** Hears what should not be: an error, a gap, an end. */
  readonly onTrouble: (what: string) => void;
}

/** One connection. */
export class Connection implements SocketHandler {
  readonly #options: ConnectionOptions;
  readonly #wire: Wire;
  readonly #stamps = new Stamps();
  readonly #ready = Promise.withResolvers<void>();
  #isReady = false;
  #isLeaving = false;
  #socket: RawSocket | undefined;
  #epoch = "";
  /** The number in the log of the newest message that came. */
  #seq = 0;
  #acknowledged = 0;
  /** Frames with messages that came. */
  frames = 0;
  /** Signs of life that were sent, and that were answered. */
  beats = 0;
  answeredBeats = 0;

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#wire = WIRES[options.wire];
  }

  /** Opens one. @throws {Error} if the server refuses */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const connection = new Connection(options);
    const { port, channel } = options;
    const path = connection.#wire.path(channel);
    connection.#socket = await RawSocket.open(port, path, connection);
    for (const text of connection.#wire.hello(options)) connection.#socket.send(text);
    await connection.#ready.promise;
    return connection;
  }

  /** Where the newest message that came is in the log. */
  get position(): { epoch: string; seq: number } {
    return { epoch: this.#epoch, seq: this.#seq };
  }

  /** Sends a text. */
  send(text: string): void {
    this.#socket?.send(text);
  }

  /** Publishes a message with this mark. */
  publish(channel: string, publisher: number, number: number, time: number): void {
    const text = this.#wire.publish(channel, payload(publisher, number, time));
    this.#socket?.sendFrame(encodeFrame(ENCODER.encode(text)));
  }

  /** Acknowledges what came since the last time. */
  acknowledge(): void {
    if (this.#options.acks !== "cumulative" || this.#seq <= this.#acknowledged) return;
    this.#acknowledged = this.#seq;
    this.#ackUpTo(this.#seq);
  }

  /** Says that it lives, where that is the client's to say. */
  beat(): void {
    const { beat } = this.#wire;
    if (beat === undefined) return;
    this.beats++;
    this.send(beat.text);
  }

  /** Drops the connection, as a network does. */
  close(): void {
    this.#socket?.close();
  }

  /** Leaves for good: the gateway forgets the session, and ends the connection. */
  leave(): void {
    this.#isLeaving = true;
    this.send('{"type":"disconnect","forget":true}');
  }

  text(bytes: Uint8Array, start: number, end: number): void {
    const { acks, onStamp = ignore, onAnswers } = this.#options;
    if (!this.#isReady) {
      this.#opening(DECODER.decode(bytes.subarray(start, end)));
      // The first messages may come in the same frame.
      if (!this.#isReady) return;
    }
    if (onAnswers !== undefined) {
      const text = DECODER.decode(bytes.subarray(start, end));
      this.#notice(text);
      const answers = this.#wire.answered(text);
      if (answers > 0) onAnswers(answers);
      if (this.#options.channel === undefined) return;
    }
    const count = this.#stamps.read(bytes, start, end, onStamp);
    if (count === 0) {
      if (onAnswers === undefined) this.#notice(DECODER.decode(bytes.subarray(start, end)));
      return;
    }
    this.frames++;
    if (acks === "none") return;
    if (this.#epoch === "") this.#learn(DECODER.decode(bytes.subarray(start, end)));
    const before = this.#seq;
    this.#seq += count;
    if (acks === "cumulative") {
      if (this.#seq - this.#acknowledged >= HALF_WINDOW) this.acknowledge();
    } else {
      for (let seq = before + 1; seq <= this.#seq; seq++) this.#ackOne(seq);
    }
  }

  ended(why: string): void {
    if (this.#isLeaving) return;
    if (this.#isReady) return this.#options.onTrouble(why);
    this.#ready.reject(new Error(why));
  }

  #opening(text: string): void {
    if (!this.#wire.isReady(text)) return this.#notice(text);
    this.#isReady = true;
    const place = /"epoch":"(\w+)","seq":(\d+)/.exec(text);
    if (place !== null) this.#start(place[1], Number(place[2]));
    this.#ready.resolve();
  }

  /** The fixed wire says where it is with the first message only, as a part of its id. */
  #learn(text: string): void {
    const place = /"event_id":"(\w+):(\d+):/.exec(text);
    if (place === null) return this.#options.onTrouble(`No place in ${text.slice(0, 200)}`);
    this.#start(place[1], Number(place[2]) - 1);
  }

  #start(epoch: string, seq: number): void {
    this.#epoch = epoch;
    this.#seq = this.#acknowledged = seq;
    this.#options.onPlace?.({ epoch, seq });
  }

  #ackUpTo(seq: number): void {
    const { channel } = this.#options;
    this.send(
      `{"type":"ack","acks":[{"channel":"${channel}","epoch":"${this.#epoch}","upto":${seq}}]}`,
    );
  }

  #ackOne(seq: number): void {
    if (this.#options.wire === "extended") return this.#ackUpTo(seq);
    this.send(
      `{"type":"message_ack","event_id":"${this.#epoch}:${seq}:${this.#options.channel}"}`,
    );
  }

  #notice(text: string): void {
    // A sign of life that Engine.IO asks for.
    if (text === "2" && this.#options.wire === "socketio") this.send("3");
    if (this.beats > 0 && text.includes(this.#wire.beat!.answer)) this.answeredBeats++;
    if (text.includes('"error"') || text.includes('"channel.gap"')) this.#options.onTrouble(text);
  }
}

function ignore(): void {}
