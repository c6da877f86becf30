/**
 * Every frame of the wire, as types. `PROTOCOL.md` says in words what each means and when it may be
 * sent; the fixed frames are section 4 of the contract and never change.
 *
 * @module
 */
import type { Code } from "./codes.ts";

/** Any value that JSON can carry. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A sorted set of message numbers, as flat pairs: `[1, 3, 7, 7]` is 1, 2, 3 and 7. */
export type Ranges = number[];

/** What a client has of a channel. */
export interface Position {
  /** Epoch of the channel's log. */
  epoch: string;
  /** Highest number received. */
  seq: number;
  /** Received but not settled, all at or below `seq`. */
  open?: Ranges;
}

/** Where a subscription starts. With none of these it goes on from its stored position, or starts at the head. */
export interface Start {
  /** The client's own position: go on from there. */
  position?: Position;
  /** Start after this place; includes the client's own messages. Needs the history right. */
  since?: { epoch: string; seq: number };
  /** Start with the last n kept messages. */
  last?: number;
  /** Start with the oldest kept message. */
  all?: boolean;
}

// --- client to gateway ------------------------------------------------------------------------

/** Creates a channel; `channel.created` says whether it was new. */
export interface CreateFrame {
  type: "channel.create";
  channel: string;
  metadata?: { [key: string]: Json };
  request_id?: number;
}
/** Subscribes this connection to a channel. */
export interface SubscribeFrame extends Start {
  type: "channel.subscribe";
  channel: string;
  request_id?: number;
}
/** Ends a subscription and its position. */
export interface UnsubscribeFrame {
  type: "channel.unsubscribe";
  channel: string;
  request_id?: number;
}
/** Publishes a message. */
export interface PublishFrame {
  type: "channel.publish";
  channel: string;
  data: Json;
  /** Unique per (subject, channel) within five minutes: a repeat is stored once. */
  id?: string;
  /** Whether the publisher wants its own message too. Default false. */
  echo?: boolean;
  request_id?: number;
}
/** Asks for the names of all channels. */
export interface ListFrame {
  type: "channel.list";
  request_id?: number;
}
/** Says that the client lives, and how. */
export interface HeartbeatFrame {
  type: "presence.heartbeat";
  status?: string;
  metadata?: { [key: string]: Json };
  request_id?: number;
}
/** Asks who is present, in one channel or anywhere. */
export interface PresenceQueryFrame {
  type: "presence.query";
  channel?: string | null;
  request_id?: number;
}
/** Acknowledges one message by its event id. */
export interface MessageAckFrame {
  type: "message_ack";
  event_id: string;
  request_id?: number;
}
/** Refuses one message: it is delivered again, at once or after `delay` seconds. */
export interface MessageNackFrame {
  type: "message_nack";
  event_id: string;
  delay?: number;
  request_id?: number;
}
/** Asks for a `pong`. */
export interface PingFrame {
  type: "ping";
  request_id?: number;
}
/** Opens the conversation of `@push/client`; must be the first frame. */
export interface ConnectFrame {
  type: "connect";
  /** {@linkcode PROTOCOL_VERSION}. */
  version: number;
  token?: string;
  /** Name of the client: given by the application, or minted by the gateway earlier. */
  client_id?: string;
  /** Secret of a minted client id. */
  secret?: string;
  /** Random id of the client object, 1 to 64 characters. */
  instance: string;
  /** Number of this attempt to connect, growing within one instance. */
  attempt: number;
  /** Seconds that the session may outlive its connection; the gateway's default if larger. */
  session_ttl?: number;
  /** The first subscriptions, so that no round trip is added. */
  subscriptions?: (Start & { channel: string })[];
}
/** Acknowledges by position, for several channels at once. */
export interface AckFrame {
  type: "ack";
  acks: Ack[];
}
/** What is settled of one channel. */
export interface Ack {
  channel: string;
  /** Epoch that the numbers belong to; an acknowledgement of another epoch is ignored. */
  epoch: string;
  /** Everything delivered in order up to this number. */
  upto?: number;
  /** These, by name. */
  ranges?: Ranges;
}
/** Refuses one message by its place. */
export interface NackFrame {
  type: "nack";
  channel: string;
  epoch: string;
  seq: number;
  /** Seconds to wait before the message is sent again. Default 0. */
  delay?: number;
}
/** Says that received messages wait for their handler and must not time out. */
export interface RenewFrame {
  type: "renew";
  renew: { channel: string; epoch: string; ranges: Ranges }[];
}
/** Leaves on purpose. The gateway closes the connection with 1000. */
export interface DisconnectFrame {
  type: "disconnect";
  /** End the session too, even a named one. */
  forget?: boolean;
}

/** Every frame that a client may send. */
export type ClientFrame =
  | CreateFrame
  | SubscribeFrame
  | UnsubscribeFrame
  | PublishFrame
  | ListFrame
  | HeartbeatFrame
  | PresenceQueryFrame
  | MessageAckFrame
  | MessageNackFrame
  | PingFrame
  | ConnectFrame
  | AckFrame
  | NackFrame
  | RenewFrame
  | DisconnectFrame;

// --- gateway to client ------------------------------------------------------------------------

/** Answer to `channel.create`. `ok` is false if the channel existed. */
export interface CreatedFrame {
  type: "channel.created";
  channel: string;
  ok: boolean;
  request_id?: number;
}
/** Answer to `channel.subscribe`. `ok` is false if this connection was subscribed already. */
export interface SubscribedFrame {
  type: "channel.subscribed";
  channel: string;
  ok: boolean;
  /** Only to `@push/client`: the epoch of the log. */
  epoch?: string;
  /** Only to `@push/client`: the first delivery comes after this number. */
  seq?: number;
  request_id?: number;
}
/** Answer to `channel.unsubscribe`. */
export interface UnsubscribedFrame {
  type: "channel.unsubscribed";
  channel: string;
  ok: boolean;
  request_id?: number;
}
/** Answer to `channel.publish`: the message is stored. */
export interface PublishedFrame {
  type: "channel.published";
  channel: string;
  /** Other subscribers connected now. */
  delivered: number;
  /** Only to `@push/client`. */
  event_id?: string;
  epoch?: string;
  seq?: number;
  /** Only to `@push/client`: the id had been published before; this is the first result. */
  duplicate?: true;
  request_id?: number;
}
/** Answer to `channel.list`. */
export interface ChannelListFrame {
  type: "channel.list";
  channels: string[];
  request_id?: number;
}
/** Answer to `presence.heartbeat`. */
export interface HeartbeatAckFrame {
  type: "presence.heartbeat_ack";
  ok: boolean;
  request_id?: number;
}
/** One present client. */
export interface PresenceEntry {
  client_id: string;
  status: string;
  /** Unix seconds. */
  last_seen: number;
  metadata: { [key: string]: Json };
  channels: string[];
}
/** Answer to `presence.query`; the same list under both keys. */
export interface PresenceListFrame {
  type: "presence.list";
  channel: string | null;
  presence: PresenceEntry[];
  clients: PresenceEntry[];
  request_id?: number;
}
/** Answer to `message_ack`. `ok` is false if the message was not outstanding. */
export interface AckReceivedFrame {
  type: "ack_received";
  event_id: string;
  ok: boolean;
  request_id?: number;
}
/** Answer to `message_nack`. */
export interface NackReceivedFrame {
  type: "nack_received";
  event_id: string;
  ok: boolean;
  request_id?: number;
}
/** Answer to `ping`. */
export interface PongFrame {
  type: "pong";
  request_id?: number;
}
/** A message. */
export interface MessageFrame {
  type: "channel_message";
  channel: string;
  data: Json;
  event_id: string;
  /** Unix seconds. */
  timestamp: number;
  /** Client id of the publisher; null if it came over HTTP or from the gateway's own program. */
  source: string | null;
  target: null;
  /** Present and true on every delivery but the first. */
  _redelivered?: true;
  /** Attempts that failed so far. */
  _retry_count?: number;
  /** Present and true if it came back from the dead letters. */
  _redriven?: true;
  /** Only to `@push/client`: its number, the log's epoch, and the id it was published with. */
  seq?: number;
  epoch?: string;
  id?: string;
}
/** A change of presence, to clients of the fixed wire. */
export interface PresenceEventFrame {
  type: "presence_join" | "presence_leave" | "presence_update";
  channel: string;
  data: { client_id: string; status: string };
  event_id: string;
  timestamp: number;
  source: string;
}
/** Something went wrong; the connection stays open. */
export interface ErrorFrame {
  type: "error";
  code: Code;
  message: string;
  /** Where one channel is meant. */
  channel?: string;
  request_id?: number;
}
/** Answer to `connect`. */
export interface ConnectedFrame {
  type: "connected";
  version: number;
  client_id: string;
  /** Secret of a minted client id, told once, when it is minted. */
  secret?: string;
  /** Whether a stored session goes on. */
  resumed: boolean;
  /** Seconds that the session outlives its connection. */
  session_ttl: number;
  /** Whether messages are to be acknowledged. */
  delivery: boolean;
  /** Seconds after which an unacknowledged message is sent again. */
  ack_timeout: number;
  /** Base of the growing wait between redeliveries. */
  retry_backoff: number;
  /** Most messages outstanding per subscription. */
  window: number;
  /** Seconds between heartbeats; 0 if presence is off. */
  heartbeat_interval: number;
  /** Largest payload of a message, in bytes. */
  max_message_bytes: number;
  /** Answers to the first subscriptions, in their order; an error for each that was refused. */
  subscriptions: (SubscribedFrame | ErrorFrame)[];
}
/** Messages are gone: delivery goes on after `seq` of `epoch`. */
export interface GapFrame {
  type: "channel.gap";
  channel: string;
  epoch: string;
  seq: number;
  /** Why: they expired or were trimmed by a limit; or the log itself is another one. */
  reason: "retention" | "epoch";
}
/** Changes of presence in a channel, at most one a second, to `@push/client`. */
export interface PresenceDiffFrame {
  type: "presence_diff";
  channel: string;
  joins: PresenceState[];
  updates: PresenceState[];
  leaves: PresenceState[];
  timestamp: number;
}
/** State of one client in a {@linkcode PresenceDiffFrame}. */
export interface PresenceState {
  client_id: string;
  status: string;
  metadata?: { [key: string]: Json };
}

/** Every frame that a gateway may send. */
export type GatewayFrame =
  | CreatedFrame
  | SubscribedFrame
  | UnsubscribedFrame
  | PublishedFrame
  | ChannelListFrame
  | HeartbeatAckFrame
  | PresenceListFrame
  | AckReceivedFrame
  | NackReceivedFrame
  | PongFrame
  | MessageFrame
  | PresenceEventFrame
  | ErrorFrame
  | ConnectedFrame
  | GapFrame
  | PresenceDiffFrame;

// --- long-polling -----------------------------------------------------------------------------

/** Body of `POST /api/push/poll/register`. */
export interface RegisterBody {
  client_id?: string;
  auth_token?: string;
  /** Only `@push/client`: the frame that it opens a WebSocket with. */
  connect?: ConnectFrame;
}
/** Answer to `register`. */
export interface RegisterAnswer {
  client_id: string;
  poll_token: string;
  /** Only to `@push/client`. */
  connected?: ConnectedFrame;
}
/** Body of `POST /api/push/poll/messages`. */
export interface PollBody {
  poll_token: string;
  /** Seconds to wait for a message; the gateway's `longPollTimeout` at most. */
  timeout?: number;
  /** Only `@push/client`: what it has of each channel; delivery goes on from there. */
  positions?: (Position & { channel: string })[];
}
/** Answer to a poll. */
export interface PollAnswer {
  messages: GatewayFrame[];
  /** Seconds to wait before the next poll. */
  poll_interval_hint: number;
}
/** Body of `POST /api/push/poll/send`: frames of `@push/client`, as over a WebSocket. */
export interface SendBody {
  poll_token: string;
  frames: ClientFrame[];
}
/** Answer to `send`: the replies. */
export interface SendAnswer {
  frames: GatewayFrame[];
}
