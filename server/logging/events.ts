/**
 * What a gateway logs: the stable name, the level and the sentence of each event.
 *
 * @module
 */
import type { LogLevel } from "./record.ts";

/** Stable name of something that is logged. */
export type LogEvent =
  | "gateway.listening"
  | "gateway.draining"
  | "gateway.stopped"
  | "gateway.failed"
  | "listener.lost"
  | "listener.back"
  | "tls.renewed"
  | "tls.failed"
  | "store.opened"
  | "store.degraded"
  | "store.back"
  | "store.doubtful"
  | "store.damaged"
  | "options.doubtful"
  | "connection.opened"
  | "connection.closed"
  | "connection.slow"
  | "request.failed"
  | "frame.failed"
  | "keys.failed"
  | "handler.failed"
  | "identity.refused"
  | "action.refused"
  | "origin.refused"
  | "host.refused"
  | "limit.hit"
  | "token.revoked"
  | "log.omitted";

/** Level and sentence of each event. */
export const LOG_EVENTS: { readonly [event in LogEvent]: readonly [LogLevel, string] } = {
  "gateway.listening": ["info", "The gateway listens."],
  "gateway.draining": ["info", "The gateway stops: it takes no more work."],
  "gateway.stopped": ["info", "The gateway has stopped."],
  "gateway.failed": ["error", "The gateway could not open."],
  "listener.lost": ["error", "The server stopped accepting connections; it listens again soon."],
  "listener.back": ["warn", "The server accepts connections again."],
  "tls.renewed": ["info", "The certificate was renewed."],
  "tls.failed": ["error", "The certificate could not be renewed; the last one is used."],
  "store.opened": ["info", "The store is open."],
  "store.degraded": ["error", "The store fails: publishes and new sessions do, too."],
  "store.back": ["warn", "The store works again."],
  "store.doubtful": ["warn", "The store cannot tell whether it is set up as it should be."],
  "store.damaged": ["error", "The store has entries that nobody can read: they are told as lost."],
  "options.doubtful": ["warn", "An option is allowed, and may not be what was meant."],
  "connection.opened": ["debug", "A client connected."],
  "connection.closed": ["debug", "A client disconnected."],
  "connection.slow": ["warn", "A client reads too slowly: its connection is closed."],
  "request.failed": ["error", "A request could not be answered."],
  "frame.failed": ["error", "A frame could not be handled."],
  "keys.failed": ["error", "The keys of tokens could not be read; the last ones are used."],
  "handler.failed": ["error", "A handler of the embedding program failed."],
  "identity.refused": ["warn", "Somebody could not show who they are."],
  "action.refused": ["warn", "Somebody wanted to do what they may not."],
  "origin.refused": ["warn", "A page of an origin that is not allowed sent a request."],
  "host.refused": ["warn", "A request named a host that is not this gateway's."],
  "limit.hit": ["warn", "Somebody reached a limit."],
  "token.revoked": ["warn", "A token, a subject or a client was revoked."],
  "log.omitted": ["warn", "Lines of one event were left out, as there were too many."],
};
