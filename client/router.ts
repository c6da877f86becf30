import type { Channels } from "./channels.ts";
import type { Emitter } from "./events.ts";
import type { Identity } from "./identity.ts";
import {
  type Incoming,
  readEpoch,
  readError,
  readGap,
  readIncoming,
  readMessage,
} from "./incoming.ts";
import { emitPresence } from "./presence.ts";
import { PushError } from "./protocol/error.ts";
import type { Outbox } from "./outbox.ts";
import type { Requests } from "./requests.ts";
import type { Wire } from "./wire.ts";

/** What a {@linkcode Router} passes frames on to. */
export interface RouterParts {
  readonly channels: Channels;
  readonly requests: Requests;
  readonly outbox: Outbox;
  readonly emitter: Emitter;
  readonly wire: Wire;
  readonly identity: Identity;
}

/** Passes each frame of the gateway on to whom it concerns; what makes no sense is told and ignored. */
export class Router {
  readonly #parts: RouterParts;

  /** @param parts whom it may concern */
  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  /** Takes one value in that should be a frame. */
  route(value: unknown): void {
    const frame = readIncoming(value);
    if (!frame) return this.garbage("Something that is not a frame arrived.");
    const { request_id: id } = frame;
    if (typeof id === "number" && this.#reply(id, frame)) return;
    if (!this.#take(frame)) {
      this.garbage(
        `A frame of type ${JSON.stringify(frame.type.slice(0, 40))} makes no sense here.`,
      );
    }
  }

  /** Tells of something that is no frame. */
  garbage(reason: string): void {
    this.#parts.emitter.report(new PushError("bad_frame", reason), "gateway");
  }

  #reply(id: number, frame: Incoming): boolean {
    const { channels, requests, outbox } = this.#parts;
    return outbox.reply(id, frame) || requests.reply(id, frame) || channels.reply(id, frame);
  }

  #take(frame: Incoming): boolean {
    switch (frame.type) {
      case "channel_message":
        return this.#message(frame);
      case "channel.epoch":
        return this.#epoch(frame);
      case "channel.gap":
        return this.#gap(frame);
      case "presence_diff":
      case "presence_join":
      case "presence_leave":
      case "presence_update":
        return emitPresence(frame, this.#parts.emitter, this.#parts.identity.clientId);
      case "error":
        return this.#error(frame);
      // Signs of life, and answers to what has been given up meanwhile.
      case "pong":
      case "presence.heartbeat_ack":
      case "presence.list":
      case "channel.list":
      case "channel.created":
      case "channel.subscribed":
      case "channel.unsubscribed":
      case "channel.published":
      case "ack_received":
      case "nack_received":
        return true;
      default:
        return false;
    }
  }

  #message(frame: Incoming): boolean {
    const message = readMessage(frame);
    if (!message) return false;
    const { channels } = this.#parts;
    const inbox = channels.at(message.channel);
    if (inbox) return inbox.receive(message);
    channels.keep(message.channel, frame);
    return true;
  }

  #epoch(frame: Incoming): boolean {
    const { channels, emitter } = this.#parts;
    const change = readEpoch(frame);
    if (!change) return false;
    const { channel, epoch, earlier } = change;
    const inbox = channels.at(channel);
    if (!inbox) channels.keep(channel, frame);
    const seq = inbox?.follow(epoch, earlier);
    if (seq !== undefined) emitter.emit("gap", { channel, epoch, seq, reason: "epoch" });
    return true;
  }

  #gap(frame: Incoming): boolean {
    const { channels, emitter, wire } = this.#parts;
    const gap = readGap(frame);
    if (!gap) return false;
    const { channel, epoch, seq, reason } = gap;
    const inbox = channels.at(channel);
    if (!inbox) {
      channels.keep(channel, frame);
      return true;
    }
    const loss = inbox.gap(gap);
    if (!loss) return false;
    if (!loss.isTold) emitter.emit("gap", { channel, epoch, seq, reason });
    // A notice of one message leaves those before it as they are.
    const ack = loss.isOne ? { channel, epoch, ranges: [seq, seq] } : { channel, epoch, upto: seq };
    wire.send({ type: "ack", acks: [ack] });
    return true;
  }

  #error(frame: Incoming): boolean {
    const error = readError(frame);
    if (!error) return false;
    const { channel } = frame;
    this.#parts.emitter.report(error, "gateway", typeof channel === "string" ? { channel } : {});
    return true;
  }
}
