import { ServerSentEventStream as Original } from "deno-std/http/server_sent_event_stream.js";

/** One event of a {@linkcode ServerSentEventStream}. */
export interface ServerSentEventMessage {
  /** Ignored by the reader. */
  comment?: string;
  /** The kind of event. */
  event?: string;
  /** The event itself. */
  data?: string;
  /** What the reader sends as `Last-Event-ID` when it comes back. */
  id?: string | number;
  /** Milliseconds the reader waits before it comes back. */
  retry?: number;
}

/** Encodes events for a `text/event-stream` response. */
export type ServerSentEventStream = TransformStream<ServerSentEventMessage, Uint8Array>;

/** Encodes events for a `text/event-stream` response. */
export const ServerSentEventStream: new () => ServerSentEventStream = Original;
