/**
 * What the gateway runs with: the public options after checking and defaults, every duration in
 * milliseconds. Made by `options.ts`, in one place; nothing else converts.
 *
 * @module
 */

import type { Rule } from "../access/grants.ts";
import type { NamedToken } from "./types.ts";

/** Settings of presence. */
export interface PresenceSettings {
  /** Whether the gateway tracks who is there. */
  readonly enabled: boolean;
  /** Time between two heartbeats that clients are asked to keep, in milliseconds. */
  readonly heartbeatInterval: number;
  /** Time without a heartbeat after which a client counts as offline, in milliseconds. */
  readonly offlineTimeout: number;
  /** Whether subscribers of a channel hear who comes, changes and goes. */
  readonly broadcastChanges: boolean;
  /** Members of a channel above which clients of the fixed wire get no presence events. */
  readonly broadcastLimit: number;
  /** Members of a channel above which nobody gets presence events. */
  readonly diffLimit: number;
}

/** Settings of delivery. */
export interface DeliverySettings {
  /** Whether messages are tracked until acknowledged; off, delivery is at most once. */
  readonly enabled: boolean;
  /** Time to wait for an acknowledgement before a message is sent again, in milliseconds. */
  readonly ackTimeout: number;
  /** Times that a message is sent again before it goes to the dead letters. */
  readonly maxRetries: number;
  /** Factor by which the wait grows with each retry. */
  readonly retryBackoff: number;
  /** Time that a message is kept for those who have not acknowledged it, in milliseconds. */
  readonly messageTtl: number;
  /** Where messages and positions are kept. */
  readonly storeBackend: "memory" | "kv" | "redis";
  /** File of the Deno KV store. */
  readonly kvPath: string;
  /** Most messages outstanding per subscription… */
  readonly window: number;
  /** …and most bytes. */
  readonly windowBytes: number;
  /** Messages that a channel keeps beyond those still awaited by a subscriber. */
  readonly historySize: number;
  /** Bytes that a channel keeps beyond those still awaited by a subscriber. */
  readonly historyBytes: number;
  /** Hard end of one channel: beyond it the oldest messages go. */
  readonly maxChannelBytes: number;
  /** Hard end of the whole store: beyond it the oldest messages go. */
  readonly maxStoreBytes: number;
  /** Time that a client which did not name itself may be away and still resume, in milliseconds. */
  readonly sessionGrace: number;
  /** Time that a dead letter is kept, in milliseconds. */
  readonly deadLetterTtl: number;
  /** Most dead letters of one subscription; beyond it the oldest go. */
  readonly maxDeadLetters: number;
}

/** Settings of server-sent events. */
export interface SseSettings {
  /** Whether clients may listen by server-sent events. */
  readonly enabled: boolean;
}

/** Settings of long-polling. */
export interface PollingSettings {
  /** Whether clients may fall back to long-polling. */
  readonly enabled: boolean;
  /** Time that a poll without news is held open, in milliseconds. */
  readonly longPollTimeout: number;
  /** Most messages in the answer to one poll. */
  readonly maxBatchSize: number;
}

/** Settings of Redis. */
export interface RedisSettings {
  /** Address of Redis; wins over `host`, `port`, `db` and `password`. */
  readonly url: string | undefined;
  /** Host of Redis. */
  readonly host: string;
  /** Port of Redis. */
  readonly port: number;
  /** Number of the database in Redis. */
  readonly db: number;
  /** User of Redis. */
  readonly username: string | undefined;
  /** Password of Redis. */
  readonly password: string | undefined;
  /** Addresses of Sentinels that know the primary, separated by commas. */
  readonly sentinels: string | undefined;
  /** Name of the primary among the Sentinels. */
  readonly sentinelName: string;
  /** Password of the Sentinels. */
  readonly sentinelPassword: string | undefined;
  /** Addresses of nodes of a Redis Cluster, separated by commas. */
  readonly cluster: string | undefined;
  /** Time to wait for an answer of Redis, in milliseconds. */
  readonly commandTimeout: number;
  /** Time that a node counts as alive without a sign of life, in milliseconds. */
  readonly lease: number;
  /** Beginning of every key in Redis. */
  readonly prefix: string;
  /** Most connections that one gateway opens to Redis. */
  readonly maxConnections: number;
}

/** What one client, and all together, may do. */
export interface LimitSettings {
  /** Largest frame or request body. */
  readonly maxFrameBytes: number;
  /** Largest payload of one message, as JSON. */
  readonly maxMessageBytes: number;
  /** Deepest nesting of JSON in a frame or request body. */
  readonly maxNesting: number;
  /** Largest presence metadata of one client, as JSON. */
  readonly maxMetadataBytes: number;
  /** Channels that one session may be subscribed to. */
  readonly maxChannels: number;
  /** Most clients connected at a time. */
  readonly maxConnections: number;
  /** Most clients remembered; a further one takes the place of one of its own subject. */
  readonly maxSessions: number;
  /** Most clients remembered of one subject; beyond it the one longest away of them is forgotten. */
  readonly maxSessionsPerSubject: number;
  /** Bytes waiting in one socket's buffer above which its client is a slow consumer. */
  readonly maxBufferedBytes: number;
  /** Bytes waiting in all connections together, above which slow consumers are closed. */
  readonly maxTotalBufferedBytes: number;
  /** Milliseconds without a sign of life after which a socket is closed; 0 for never. */
  readonly idleTimeout: number;
  /** Clients connected from one address at a time; 0 for any number. */
  readonly maxConnectionsPerAddress: number;
  /** Connections that have not said who they are. */
  readonly maxHandshakes: number;
  /** Milliseconds in which a connection must say who it is. */
  readonly handshakeTimeout: number;
  /** Frames and requests a second that one connection may send; 0 for any number. */
  readonly frameRate: number;
  /** Frames and requests that one connection may send at once. */
  readonly frameBurst: number;
  /** Messages a second that one client may publish; 0 for any number. */
  readonly publishRate: number;
  /** Messages that one client may publish at once. */
  readonly publishBurst: number;
  /** Polls a second that one client may begin; 0 for any number. */
  readonly pollRate: number;
  /** Polls that one client may begin at once. */
  readonly pollBurst: number;
  /** Longest name of a channel, in characters. */
  readonly maxChannelName: number;
  /** Channels that the store remembers. */
  readonly maxStoredChannels: number;
  /** Times a minute that one client may take a session from another; 0 for any number. */
  readonly maxTakeovers: number;
  /** Wrong tokens a second from one address; 0 for any number. */
  readonly maxFailures: number;
}

/** Settings of JSON Web Tokens; off unless there is one of `secret` and the places of keys. */
export interface JwtSettings {
  /** Secret that tokens are signed with. */
  readonly secret: string | undefined;
  /** File of the public key. */
  readonly keyFile: string | undefined;
  /** Address of the set of public keys. */
  readonly jwksUrl: string | undefined;
  /** File of the set of public keys. */
  readonly jwksFile: string | undefined;
  /** What `iss` must be. */
  readonly issuer: string | undefined;
  /** What `aud` must be or have. */
  readonly audience: string | undefined;
  /** Signatures that are accepted. */
  readonly algorithms: readonly string[] | undefined;
  /** Milliseconds by which clocks may differ. */
  readonly clockTolerance: number;
  /** Claim that names the subject. */
  readonly subjectClaim: string;
  /** Claim that says what the token allows. */
  readonly grantsClaim: string;
}

/** Settings of who may connect. */
export interface AuthSettings {
  /** Tokens with a name each. */
  readonly tokens: readonly NamedToken[] | undefined;
  /** Who may do what in which channels. */
  readonly rules: readonly Rule[] | undefined;
  /** Settings of JSON Web Tokens. */
  readonly jwt: JwtSettings;
  /** Whether `?token=` in an address counts. */
  readonly queryToken: boolean;
  /** Milliseconds in which a ticket can be used. */
  readonly ticketTtl: number;
}

/** Settings of everything that pushes. */
export interface PushSettings {
  /** Whether anything is pushed; off, no push route answers and no store is opened. */
  readonly enabled: boolean;
  /** Least milliseconds between the beginnings of two rounds in which messages leave. */
  readonly flushInterval: number;
  /** Origins of pages that may use the gateway beside those of its own host; `*` is any. */
  readonly allowedOrigins: readonly string[] | undefined;
  /** Settings of who may connect. */
  readonly auth: AuthSettings;
  /** Settings of redis. */
  readonly redis: RedisSettings | undefined;
  /** Settings of presence. */
  readonly presence: PresenceSettings;
  /** Settings of delivery. */
  readonly delivery: DeliverySettings;
  /** Settings of server-sent events. */
  readonly sse: SseSettings;
  /** Settings of polling. */
  readonly polling: PollingSettings;
  /** Settings of limits. */
  readonly limits: LimitSettings;
}

/** Settings of TLS: both are there, or none. */
export interface TlsSettings {
  /** File of the certificate, as PEM. */
  readonly cert: string | undefined;
  /** File of its private key, as PEM. */
  readonly key: string | undefined;
}

/** Settings of the log. */
export interface LogSettings {
  /** Least level of what is logged to the standard error. */
  readonly level: "error" | "warn" | "info" | "debug" | "off";
  /** How a line of the log is written; `undefined`: as text on a terminal, as JSON elsewhere. */
  readonly format: "text" | "json" | undefined;
}

/** All settings. */
export interface Settings {
  /** Address to listen on; another one than this machine's own needs `authToken`. */
  readonly host: string;
  /** Port to listen on; 0 picks a free one. */
  readonly port: number;
  /** Whether other gateways may listen on the same port. */
  readonly reusePort: boolean;
  /** Path of the WebSocket. */
  readonly path: string;
  /** What speaks HTTP and WebSocket. */
  readonly websocket: "deno" | "ws";
  /** Settings of TLS. */
  readonly tls: TlsSettings;
  /** Proxies whose word about a request is believed. */
  readonly trustProxy: readonly string[] | undefined;
  /** Token that every client must show: printable ASCII without spaces. */
  readonly authToken: string | undefined;
  /** Hosts that requests may name; `*` is any. */
  readonly allowedHosts: readonly string[] | undefined;
  /** Settings of the log. */
  readonly log: LogSettings;
  /** Settings of push. */
  readonly push: PushSettings;
}
