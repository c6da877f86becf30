/**
 * What the gateway runs with: the public options after checking and defaults, every duration in
 * milliseconds. Made by `options.ts`, in one place; nothing else converts.
 *
 * @module
 */

/** Settings of presence. */
export interface PresenceSettings {
  readonly enabled: boolean;
  readonly heartbeatInterval: number;
  readonly offlineTimeout: number;
  readonly broadcastChanges: boolean;
  /** Members of a channel above which clients of the fixed wire get no presence events. */
  readonly broadcastLimit: number;
  /** Members of a channel above which nobody gets presence events. */
  readonly diffLimit: number;
}

/** Settings of delivery. */
export interface DeliverySettings {
  readonly enabled: boolean;
  readonly ackTimeout: number;
  readonly maxRetries: number;
  readonly retryBackoff: number;
  readonly messageTtl: number;
  readonly storeBackend: "memory" | "kv" | "redis";
  /** File of the Deno KV store. */
  readonly kvPath: string;
  /** Most messages outstanding per subscription… */
  readonly window: number;
  /** …and most bytes. */
  readonly windowBytes: number;
  readonly historySize: number;
  readonly historyBytes: number;
  readonly maxChannelBytes: number;
  readonly maxStoreBytes: number;
  readonly sessionGrace: number;
  readonly deadLetterTtl: number;
  readonly maxDeadLetters: number;
}

/** Settings of long-polling. */
export interface PollingSettings {
  readonly enabled: boolean;
  readonly longPollTimeout: number;
  readonly maxBatchSize: number;
}

/** Settings of Redis. */
export interface RedisSettings {
  readonly url: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly password: string | undefined;
  readonly prefix: string;
  readonly maxConnections: number;
}

/** What one client, and all together, may do. */
export interface LimitSettings {
  readonly maxFrameBytes: number;
  readonly maxMessageBytes: number;
  readonly maxNesting: number;
  readonly maxMetadataBytes: number;
  /** Channels that one session may be subscribed to. */
  readonly maxChannels: number;
  readonly maxConnections: number;
  readonly maxSessions: number;
  /** Bytes waiting in one socket's buffer above which its client is a slow consumer. */
  readonly maxBufferedBytes: number;
  /** Milliseconds without a sign of life after which a socket is closed; 0 for never. */
  readonly idleTimeout: number;
}

/** Settings of everything that pushes. */
export interface PushSettings {
  readonly enabled: boolean;
  readonly redis: RedisSettings | undefined;
  readonly presence: PresenceSettings;
  readonly delivery: DeliverySettings;
  readonly polling: PollingSettings;
  readonly limits: LimitSettings;
}

/** All settings. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly authToken: string | undefined;
  readonly push: PushSettings;
}
