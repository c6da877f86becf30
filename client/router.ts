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
import type { Session } from "./session.ts";

/**
 * Passes what should be a frame of the gateway on to whom it concerns; what makes no sense is told
 * and ignored.
 */
export function route(session: Session, value: unknown): void {
  const { requests, outbox } = session;
  const frame = readIncoming(value);
  // A key of any other type finds nothing.
  const id = frame?.request_id as number;
  const isReply = id !== undefined && (outbox.reply(id, frame!) || requests.reply(id, frame!));
  if (isReply || (frame && take(session, frame))) return;
  const type = String(frame?.type).slice(0, 40);
  reportGarbage(session, `A frame of type ${type} makes no sense here.`);
}

/** Tells of something that is no frame. */
export function reportGarbage({ emitter }: Session, reason: string): void {
  emitter.report(new PushError("bad_frame", reason), "gateway");
}

/** Takes in what is no reply. @returns whether it makes sense */
function take({ channels, emitter, identity }: Session, frame: Incoming): boolean {
  switch (frame.type) {
    case "channel_message": {
      const message = readMessage(frame);
      return message !== undefined &&
        (channels.at(message.channel, frame)?.receive(message) ?? true);
    }
    case "channel.epoch": {
      const change = readEpoch(frame);
      if (change) channels.at(change.channel, frame)?.follow(change);
      return change !== undefined;
    }
    case "channel.gap": {
      const gap = readGap(frame);
      return gap !== undefined && (channels.at(gap.channel, frame)?.gap(gap) ?? true);
    }
    case "error": {
      const error = readError(frame);
      const { channel } = frame;
      if (error) emitter.report(error, "gateway", typeof channel === "string" ? { channel } : {});
      return error !== undefined;
    }
    // Signs of life.
    case "pong":
    case "presence.heartbeat_ack":
      return true;
    default:
      // Answers to what has been given up meanwhile have a number, too.
      return frame.type.startsWith("presence_")
        ? emitPresence(frame, emitter, identity.clientId)
        : frame.request_id !== undefined;
  }
}
