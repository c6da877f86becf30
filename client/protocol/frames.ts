/**
 * Every frame of the wire, as types. `PROTOCOL.md` says in words what each means and when it may be
 * sent; the fixed frames are section 4 of the contract and never change.
 *
 * A member marked "extended wire" travels only after a {@linkcode ConnectFrame}, which is how
 * `@push/client` opens. Names are as on the wire; durations are in seconds, fractions allowed.
 *
 * @module
 */
import type { Code } from "./codes.ts";

/** Any value that JSON can carry. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A sorted set of message numbers, as flat pairs: `[1, 3, 7, 7]` is 1, 2, 3 and 7. */
export type Ranges = number[];

/** What a client has of a channel: everything up to `seq` is settled, except what is in `open`. */
export interface Position {
  /** Epoch of the channel's log that the numbers belong to. */
  epoch: string;
  /** Highest number received, from 0. */
  seq: number;
  /** Received but not settled, all at or below `seq`; none if absent. */
  open?: Ranges;
}

/**
 * Where a subscription starts, on the extended wire. With none of these it goes on from its stored
 * position, or starts at the head. Of `since`, `last` and `all` only one may be given.
 */
export interface Start {
  /** The client's own position: go on from there. Passed over if one of the others is given. */
  position?: Position;
  /** Start after this place; includes the client's own messages. */
  since?: {
    /** Epoch that the number belongs to. */
    epoch: string;
    /** The first message is the next one after this number, from 0. */
    seq: number;
  };
  /** Start with the last n kept messages, 0 to 1 000 000; includes the client's own. */
  last?: number;
  /** Start with the oldest kept message; includes the client's own. */
  all?: boolean;
}

// --- client to gateway ------------------------------------------------------------------------

/** Creates a channel; `channel.created` says whether it was new. */
export interface CreateFrame {
  /** Discriminator. */
  type: "channel.create";
  channel: string;
  metadata?: { [key: string]: Json };
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Subscribes this connection to a channel. */
export interface SubscribeFrame extends Start {
  /** Discriminator. */
  type: "channel.subscribe";
  channel: string;
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Ends a subscription and its position. */
export interface UnsubscribeFrame {
  /** Discriminator. */
  type: "channel.unsubscribe";
  channel: string;
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Publishes a message. */
export interface PublishFrame {
  /** Discriminator. */
  type: "channel.publish";
  channel: string;
  data: Json;
  /** Unique per (subject, channel) within five minutes: a repeat is stored once. */
  id?: string;
  /** Whether the publisher wants its own message too. Default false. */
  echo?: boolean;
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Asks for the names of all channels. */
export interface ListFrame {
  /** Discriminator. */
  type: "channel.list";
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Says that the client lives, and how. */
export interface HeartbeatFrame {
  /** Discriminator. */
  type: "presence.heartbeat";
  status?: string;
  metadata?: { [key: string]: Json };
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Asks who is present, in one channel or anywhere. */
export interface PresenceQueryFrame {
  /** Discriminator. */
  type: "presence.query";
  channel?: string | null;
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Acknowledges one message by its event id. */
export interface MessageAckFrame {
  /** Discriminator. */
  type: "message_ack";
  event_id: string;
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Refuses one message: it is delivered again, at once or after `delay` seconds. */
export interface MessageNackFrame {
  /** Discriminator. */
  type: "message_nack";
  event_id: string;
  delay?: number;
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Asks for a `pong`. */
export interface PingFrame {
  /** Discriminator. */
  type: "ping";
  /** Extended wire: an integer from 0 that the answer carries too. */
  request_id?: number;
}
/** Opens the conversation of `@push/client`; must be the first frame. */
export interface ConnectFrame {
  /** Discriminator. */
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
  /** Discriminator. */
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
  /** Discriminator. */
  type: "nack";
  channel: string;
  epoch: string;
  seq: number;
  /** Seconds to wait before the message is sent again. Default 0. */
  delay?: number;
}
/** Says that received messages wait for their handler and must not time out. */
export interface RenewFrame {
  /** Discriminator. */
  type: "renew";
  renew: { channel: string; epoch: string; ranges: Ranges }[];
}
/** Leaves on purpose. The gateway closes the connection with 1000. */
export interface DisconnectFrame {
  /** Discriminator. */
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
  /** Discriminator. */
  type: "channel.created";
  channel: string;
  ok: boolean;
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `channel.subscribe`. `ok` is false if this connection was subscribed already. */
export interface SubscribedFrame {
  /** Discriminator. */
  type: "channel.subscribed";
  channel: string;
  ok: boolean;
  /** Only to `@push/client`: the epoch of the log. */
  epoch?: string;
  /** Only to `@push/client`: the first delivery comes after this number. */
  seq?: number;
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `channel.unsubscribe`. */
export interface UnsubscribedFrame {
  /** Discriminator. */
  type: "channel.unsubscribed";
  channel: string;
  ok: boolean;
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `channel.publish`: the message is stored. */
export interface PublishedFrame {
  /** Discriminator. */
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
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `channel.list`. */
export interface ChannelListFrame {
  /** Discriminator. */
  type: "channel.list";
  channels: string[];
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `presence.heartbeat`. */
export interface HeartbeatAckFrame {
  /** Discriminator. */
  type: "presence.heartbeat_ack";
  ok: boolean;
  /** Extended wire: the number of the request. */
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
  /** Discriminator. */
  type: "presence.list";
  channel: string | null;
  presence: PresenceEntry[];
  clients: PresenceEntry[];
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `message_ack`. `ok` is false if the message was not outstanding. */
export interface AckReceivedFrame {
  /** Discriminator. */
  type: "ack_received";
  event_id: string;
  ok: boolean;
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `message_nack`. */
export interface NackReceivedFrame {
  /** Discriminator. */
  type: "nack_received";
  event_id: string;
  ok: boolean;
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `ping`. */
export interface PongFrame {
  /** Discriminator. */
  type: "pong";
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** A message. */
export interface MessageFrame {
  /** Discriminator. */
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
  /** Discriminator. */
  type: "presence_join" | "presence_leave" | "presence_update";
  channel: string;
  data: { client_id: string; status: string };
  event_id: string;
  timestamp: number;
  source: string;
}
/** Something went wrong; the connection stays open. */
export interface ErrorFrame {
  /** Discriminator. */
  type: "error";
  code: Code;
  message: string;
  /** Where one channel is meant. */
  channel?: string;
  /** Extended wire: the number of the request. */
  request_id?: number;
}
/** Answer to `connect`. */
export interface ConnectedFrame {
  /** Discriminator. */
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
  /** Discriminator. */
  type: "channel.gap";
  channel: string;
  epoch: string;
  seq: number;
  /** Why: they expired or were trimmed by a limit; or the log itself is another one. */
  reason: "retention" | "epoch";
}
/** Changes of presence in a channel, at most one a second, to `@push/client`. */
export interface PresenceDiffFrame {
  /** Discriminator. */
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
