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

/** Creates a channel; {@linkcode CreatedFrame} says whether it was new. */
export interface CreateFrame {
  /** Discriminator. */
  type: "channel.create";
  /** Channel name. */
  channel: string;
  /** What is kept with the channel; an existing one keeps its own. Default empty. */
  metadata?: { [key: string]: Json };
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Subscribes this connection to a channel, and creates the channel if need be. */
export interface SubscribeFrame extends Start {
  /** Discriminator. */
  type: "channel.subscribe";
  /** Channel name. */
  channel: string;
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Ends a subscription and its position. */
export interface UnsubscribeFrame {
  /** Discriminator. */
  type: "channel.unsubscribe";
  /** Channel name. */
  channel: string;
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Publishes a message, and creates the channel if need be. */
export interface PublishFrame {
  /** Discriminator. */
  type: "channel.publish";
  /** Channel name. */
  channel: string;
  /** Payload: subscribers get it exactly as it is written here. */
  data: Json;
  /** Unique per (subject, channel) within five minutes: a repeat is stored once. */
  id?: string;
  /** Whether the publisher wants its own message too. Default false. */
  echo?: boolean;
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Asks for the names of all channels. */
export interface ListFrame {
  /** Discriminator. */
  type: "channel.list";
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Says that the client lives, and how. */
export interface HeartbeatFrame {
  /** Discriminator. */
  type: "presence.heartbeat";
  /** Any word of the application, 1 to 64 characters. Default `online`. */
  status?: string;
  /** Shown to others; the last one stays if absent. */
  metadata?: { [key: string]: Json };
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Asks who is present. */
export interface PresenceQueryFrame {
  /** Discriminator. */
  type: "presence.query";
  /** Channel name; anywhere if absent or null. */
  channel?: string | null;
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Acknowledges one message by its event id. */
export interface MessageAckFrame {
  /** Discriminator. */
  type: "message_ack";
  /** Event id of the message. */
  event_id: string;
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Refuses one message by its event id: it is sent again. */
export interface MessageNackFrame {
  /** Discriminator. */
  type: "message_nack";
  /** Event id of the message. */
  event_id: string;
  /** Seconds to wait before it is sent again, 0 to 86 400. Default 0. */
  delay?: number;
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Asks for a {@linkcode PongFrame}. */
export interface PingFrame {
  /** Discriminator. */
  type: "ping";
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
}
/** Opens the extended wire; must be the first frame of a connection. */
export interface ConnectFrame {
  /** Discriminator. */
  type: "connect";
  /** {@linkcode PROTOCOL_VERSION}. */
  version: number;
  /** Token; the one that the upgrade or the request carried if absent. */
  token?: string;
  /** Name given by the application; or, with its secret, an id that the gateway minted. */
  client_id?: string;
  /** Secret of a minted client id. */
  secret?: string;
  /** Random id of the client object, 1 to 64 characters. */
  instance: string;
  /** Number of this attempt to connect, from 0, higher with each attempt of one instance. */
  attempt: number;
  /** Seconds that the session may outlive its connection; the gateway's default at most. */
  session_ttl?: number;
  /** The first subscriptions, so that no round trip is added. */
  subscriptions?: (Start & { channel: string })[];
}
/** Acknowledges by number, for several channels at once. Has no answer. Extended wire. */
export interface AckFrame {
  /** Discriminator. */
  type: "ack";
  /** What is settled, by channel. */
  acks: Ack[];
}
/** What is settled of one channel. */
export interface Ack {
  /** Channel name. */
  channel: string;
  /** Epoch that the numbers belong to: the log's, or an earlier one up to its base. */
  epoch: string;
  /** Everything sent in order up to this number; what was sent again is settled by name only. */
  upto?: number;
  /** By name: these numbers, whether sent in order or again. */
  ranges?: Ranges;
}
/** Refuses one message by its number: it is sent again. Has no answer. Extended wire. */
export interface NackFrame {
  /** Discriminator. */
  type: "nack";
  /** Channel name. */
  channel: string;
  /** Epoch that the number belongs to. */
  epoch: string;
  /** Number of the message. */
  seq: number;
  /** Seconds to wait before it is sent again, 0 to 86 400. Default 0. */
  delay?: number;
}
/** Says that received messages wait for their handler and must not time out. Extended wire. */
export interface RenewFrame {
  /** Discriminator. */
  type: "renew";
  /** Numbers of the messages that wait, by channel; each frame replaces the one before. */
  renew: { channel: string; epoch: string; ranges: Ranges }[];
}
/** Leaves on purpose; the gateway closes the WebSocket with 1000. Extended wire. */
export interface DisconnectFrame {
  /** Discriminator. */
  type: "disconnect";
  /** Whether the session ends even if it is a named one. Default false. */
  forget?: boolean;
}
/** Shows another token of the same subject; answered by {@linkcode RefreshedFrame}. */
export interface RefreshFrame {
  /** Discriminator. */
  type: "auth.refresh";
  /** The new token. */
  token: string;
  /** Extended wire: an integer from 0; the answer carries it too. */
  request_id?: number;
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
  | DisconnectFrame
  | RefreshFrame;

// --- gateway to client ------------------------------------------------------------------------

/** Answer to `channel.create`. */
export interface CreatedFrame {
  /** Discriminator. */
  type: "channel.created";
  /** Channel name. */
  channel: string;
  /** Whether the channel is new. */
  ok: boolean;
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `channel.subscribe`: from now on messages flow. */
export interface SubscribedFrame {
  /** Discriminator. */
  type: "channel.subscribed";
  /** Channel name. */
  channel: string;
  /** Whether this connection was not subscribed before. */
  ok: boolean;
  /** Extended wire: epoch that `seq` belongs to. */
  epoch?: string;
  /** Extended wire: what is sent in order comes after this number. */
  seq?: number;
  /** Extended wire: present and true if a stored position goes on. */
  stored?: true;
  /** Extended wire: as in {@linkcode EpochFrame}; absent if there are none. */
  earlier?: Era[];
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `channel.unsubscribe`: the position is gone. */
export interface UnsubscribedFrame {
  /** Discriminator. */
  type: "channel.unsubscribed";
  /** Channel name. */
  channel: string;
  /** Whether this connection was subscribed. */
  ok: boolean;
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `channel.publish`: the message is stored. */
export interface PublishedFrame {
  /** Discriminator. */
  type: "channel.published";
  /** Channel name. */
  channel: string;
  /** Other subscribers connected now, to whichever node. */
  delivered: number;
  /** Extended wire: event id of the message. */
  event_id?: string;
  /** Extended wire: epoch of the channel's log. */
  epoch?: string;
  /** Extended wire: number of the message. */
  seq?: number;
  /** Extended wire: the id had been published before; this is the first result. */
  duplicate?: true;
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `channel.list`. */
export interface ChannelListFrame {
  /** Discriminator. */
  type: "channel.list";
  /** Names of all channels. */
  channels: string[];
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `presence.heartbeat`. */
export interface HeartbeatAckFrame {
  /** Discriminator. */
  type: "presence.heartbeat_ack";
  /** Whether presence is on. */
  ok: boolean;
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** One present client. */
export interface PresenceEntry {
  /** Its client id. */
  client_id: string;
  /** Its last status. */
  status: string;
  /** Unix seconds of its last sign of life. */
  last_seen: number;
  /** Its last metadata. */
  metadata: { [key: string]: Json };
  /** Names of the channels it has joined, sorted. */
  channels: string[];
}
/** Answer to `presence.query`; the same list under both keys. */
export interface PresenceListFrame {
  /** Discriminator. */
  type: "presence.list";
  /** The channel asked for; null if all were meant. */
  channel: string | null;
  /** Who is present. */
  presence: PresenceEntry[];
  /** Who is present. */
  clients: PresenceEntry[];
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `message_ack`. */
export interface AckReceivedFrame {
  /** Discriminator. */
  type: "ack_received";
  /** The event id as it came. */
  event_id: string;
  /** Whether the message was outstanding; false is no error. */
  ok: boolean;
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `message_nack`. */
export interface NackReceivedFrame {
  /** Discriminator. */
  type: "nack_received";
  /** The event id as it came. */
  event_id: string;
  /** Whether the message was outstanding; false is no error. */
  ok: boolean;
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `ping`. */
export interface PongFrame {
  /** Discriminator. */
  type: "pong";
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** A message. */
export interface MessageFrame {
  /** Discriminator. */
  type: "channel_message";
  /** Channel name. */
  channel: string;
  /** Payload, exactly as the publisher wrote it. */
  data: Json;
  /** Names the message: its channel, epoch and number. Unique. */
  event_id: string;
  /** Unix seconds at which it was stored. */
  timestamp: number;
  /** Client id of the publisher; null if it came over HTTP or from the gateway's own program. */
  source: string | null;
  /** Always null. */
  target: null;
  /** Present if it may have been sent to this subscription before. */
  _redelivered?: true;
  /** Present with `_redelivered`: attempts that failed so far. */
  _retry_count?: number;
  /** Present if it came back from the dead letters. */
  _redriven?: true;
  /** Extended wire: its number. */
  seq?: number;
  /** Extended wire: epoch of the channel's log. */
  epoch?: string;
  /** Extended wire: id that it was published with, if it had one. */
  id?: string;
}
/** A change of presence in a channel, to clients of the fixed wire. At most once. */
export interface PresenceEventFrame {
  /** Discriminator. */
  type: "presence_join" | "presence_leave" | "presence_update";
  /** Channel name. */
  channel: string;
  /** Who, and the status after the change; `offline` for one who left. */
  data: { client_id: string; status: string };
  /** Names the event. Cannot be acknowledged. */
  event_id: string;
  /** Unix seconds at which it was told. */
  timestamp: number;
  /** Client id of who it is about. */
  source: string;
}
/** Something went wrong. The connection stays open, unless a close follows. */
export interface ErrorFrame {
  /** Discriminator. */
  type: "error";
  /** What, as a code of the table. */
  code: Code;
  /** What exactly, as a sentence for people. */
  message: string;
  /** Channel name, for a gap, a refused first subscription, and what is forbidden in it. */
  channel?: string;
  /** Seconds to wait before trying again, where that is known. */
  retry_after?: number;
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
}
/** Answer to `connect`. */
export interface ConnectedFrame {
  /** Discriminator. */
  type: "connected";
  /** {@linkcode PROTOCOL_VERSION}. */
  version: number;
  /** Client id of the session: the one asked for, or a minted one. */
  client_id: string;
  /** What others see it as, `subject#client_id`; absent if that is the client id. */
  known_as?: string;
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
  /** Factor by which the wait grows with each redelivery. */
  retry_backoff: number;
  /** Most messages outstanding per subscription. */
  window: number;
  /** Most bytes outstanding per subscription. */
  window_bytes: number;
  /** Seconds between heartbeats; 0 if presence is off. */
  heartbeat_interval: number;
  /** Largest payload of a message, in bytes of JSON. */
  max_message_bytes: number;
  /** Largest frame or request body, in bytes; absent if that is {@linkcode MAX_FRAME_BYTES}. */
  max_frame_bytes?: number;
  /** Deepest nesting of a frame; absent if that is {@linkcode MAX_NESTING}. */
  max_nesting?: number;
  /** Seconds after which the token has expired and the connection ends; absent if it does not. */
  token_expires_in?: number;
  /** Answers to the first subscriptions, in their order; an error for each that was refused. */
  subscriptions: (SubscribedFrame | ErrorFrame)[];
}
/**
 * The channel's log goes on in another epoch, and so does what is sent. Comes before all that names
 * the epoch. Extended wire.
 */
export interface EpochFrame {
  /** Discriminator. */
  type: "channel.epoch";
  /** Channel name. */
  channel: string;
  /** Epoch of the channel's log now. */
  epoch: string;
  /** Epochs whose numbers go on in it, newest first, 16 at most. */
  earlier: Era[];
}
/** An earlier epoch of a channel's log, and how far it is kept. */
export interface Era {
  /** The epoch. */
  epoch: string;
  /** Numbers up to this one mean the same messages now; what was above it is lost. */
  base: number;
}
/** Messages are gone: delivery goes on after `seq` of `epoch`. Extended wire. */
export interface GapFrame {
  /** Discriminator. */
  type: "channel.gap";
  /** Channel name. */
  channel: string;
  /** Epoch of the channel's log now. */
  epoch: string;
  /** Highest number that is gone. */
  seq: number;
  /** `retention`: they expired or were trimmed by a limit; `epoch`: the log is another one. */
  reason: "retention" | "epoch";
}
/** Changes of presence in a channel, at most one frame a second. At most once. Extended wire. */
export interface PresenceDiffFrame {
  /** Discriminator. */
  type: "presence_diff";
  /** Channel name. */
  channel: string;
  /** Who came. */
  joins: PresenceState[];
  /** Who has another status or metadata. */
  updates: PresenceState[];
  /** Who left; their status is `offline`. */
  leaves: PresenceState[];
  /** Unix seconds at which it was told. */
  timestamp: number;
}
/** State of one client in a {@linkcode PresenceDiffFrame}. */
export interface PresenceState {
  /** Its client id. */
  client_id: string;
  /** Its status. */
  status: string;
  /** Its metadata; absent if it left. */
  metadata?: { [key: string]: Json };
}
/** Answer to `auth.refresh`: the connection has the rights and the time of the new token. */
export interface RefreshedFrame {
  /** Discriminator. */
  type: "auth.refreshed";
  /** Seconds after which the token has expired; absent if it does not. */
  expires_in?: number;
  /** Extended wire: the number of the request, if it had one. */
  request_id?: number;
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
  | EpochFrame
  | GapFrame
  | PresenceDiffFrame
  | RefreshedFrame;

// --- long-polling -----------------------------------------------------------------------------

/** Body of `POST /api/push/poll/register`. */
export interface RegisterBody {
  /** Name of the client; one is minted if absent. */
  client_id?: string;
  /** Token; that of the `Authorization` header if absent. */
  auth_token?: string;
  /** Ticket that stands for a token, instead of one. */
  ticket?: string;
  /** Extended wire: the frame that would open a WebSocket. It alone names the client then. */
  connect?: ConnectFrame;
}
/** Answer to `register`. */
export interface RegisterAnswer {
  /** Client id of the session. */
  client_id: string;
  /** Secret that every other request carries. */
  poll_token: string;
  /** Extended wire: the answer to `connect`. */
  connected?: ConnectedFrame;
}
/** Body of `POST /api/push/poll/messages`. */
export interface PollBody {
  /** Token that `register` gave. */
  poll_token: string;
  /** Seconds to wait for a message; the gateway's `longPollTimeout` at most, and by default. */
  timeout?: number;
  /** Extended wire: what the client has of each channel; delivery goes on from there. */
  positions?: (Position & { channel: string })[];
}
/** Answer to a poll. */
export interface PollAnswer {
  /** Messages and notices in order; never an answer to a request. */
  messages: GatewayFrame[];
  /** Seconds to wait before the next poll. */
  poll_interval_hint: number;
}
/** Body of `POST /api/push/poll/send`. Extended wire. */
export interface SendBody {
  /** Token that `register` gave. */
  poll_token: string;
  /** Frames as over a WebSocket, in order, 1024 at most. */
  frames: ClientFrame[];
}
/** Answer to `send`. */
export interface SendAnswer {
  /** Answers to the frames that have one, in the order of the frames. */
  frames: GatewayFrame[];
}
/** Body of `POST /api/push/poll/refresh`: a new token, of the same subject. */
export interface RefreshBody {
  /** Token that `register` gave. */
  poll_token: string;
  /** The new token. */
  token: string;
}
/** Answer to `refresh`. */
export interface RefreshAnswer {
  /** Always true. */
  ok: true;
  /** Seconds after which the token has expired; absent if it does not. */
  expires_in?: number;
}
/** Answer to `POST /api/push/ticket`. */
export interface TicketAnswer {
  /** Stands for the token of the request, once. */
  ticket: string;
  /** Seconds after which it is worth nothing. */
  expires_in: number;
}
