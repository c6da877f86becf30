import type { Incoming } from "./incoming.ts";
import { isEpochChange, isGap, isMessage, readError, readIncoming } from "./incoming.ts";
import { emitPresence } from "./presence.ts";
import { PushError } from "./protocol/error.ts";
import type { Session } from "./session.ts";

/**
 * Passes what should be a frame of the gateway on to whom it concerns; what makes no sense is told
 * and ignored.
 */
export function route(session: Session, value: unknown): void {
  const frame = readIncoming(value);
  if (frame && take(session, frame)) return;
  reportGarbage(session, `${frame?.type}`.slice(0, 40));
}

/** Tells of something that is no frame. */
export function reportGarbage(session: Session, what: string): void {
  session.report(new PushError("bad_frame", `A frame makes no sense: ${what}`), "gateway");
}

/** @returns whether it makes sense */
function take(session: Session, frame: Incoming): unknown {
  const { type, request_id: id, channel: name } = frame;
  const channel = session.channels.get(name);
  if (id !== undefined && session.reply(id, frame)) return true;
  switch (type) {
    case "channel_message":
      return isMessage(frame) && (channel?.at(frame)?.receive(frame) ?? true);
    case "channel.epoch":
      return isEpochChange(frame) && (channel?.at(frame)?.follow(frame), true);
    case "channel.gap":
      return isGap(frame) && (channel?.at(frame)?.gap(frame) ?? true);
    case "error": {
      const error = readError(frame);
      const isBarred = error?.code === "forbidden" && channel?.barred(frame);
      if (error && !isBarred) session.report(error, "gateway", { channel: name as string });
      return error;
    }
    // Signs of life.
    case "pong":
    case "presence.heartbeat_ack":
      return true;
    default:
      // Answers to what has been given up meanwhile have a number, too.
      return type.startsWith("presence_") ? emitPresence(frame, session) : id !== undefined;
  }
}
