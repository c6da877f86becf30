/** What is said to each kind of server: to open a connection, to publish, to acknowledge. */

/** The languages of servers. */
export type WireName = "bare" | "socketio" | "fixed" | "extended";

/** One language. */
export interface Wire {
  /** Path of a connection, of one that listens to this channel if there is one. */
  path(channel: string | undefined): string;
  /** What is sent first. */
  hello(client: Client): readonly string[];
  /** Whether this text says that the connection is ready. */
  isReady(text: string): boolean;
  /** A text that publishes this JSON. */
  publish(channel: string, data: string): string;
  /** Whether publishes are answered. */
  readonly answers: boolean;
  /** How many publishes this text answers. */
  answered(text: string): number;
  /** A sign of life from the client, and what is in the answer; absent where the server asks for it. */
  readonly beat?: { readonly text: string; readonly answer: string };
}

/** Who opens a connection. */
export interface Client {
  /** Unique in a run. */
  readonly name: string;
  /** What it listens to. */
  readonly channel: string | undefined;
  /** Its life, if it has several: unique in a run, too. */
  readonly instance?: string;
  /** Which of the connections of this life it is, from 1. */
  readonly attempt: number;
  /** How far it has got, if it has been there before. */
  readonly position?: { readonly epoch: string; readonly seq: number };
  /** Whether its session is to outlive the connection. */
  readonly isNamed?: boolean;
}

/** A server of a few lines: the query names the channel, `CHANNEL DATA` publishes. */
const bare: Wire = {
  path: (channel) => channel === undefined ? "/" : `/?channel=${channel}`,
  hello: () => [],
  isReady: (text) => text.includes('"ready"'),
  publish: (channel, data) => `${channel} ${data}`,
  answers: false,
  answered: () => 0,
  beat: { text: "ping", answer: "pong" },
};

/** Socket.IO 4 over WebSocket: a packet of Engine.IO is a digit and a text. */
const socketio: Wire = {
  path: (channel) =>
    `/socket.io/?EIO=4&transport=websocket${channel === undefined ? "" : `&channel=${channel}`}`,
  hello: () => ["40"],
  isReady: (text) => text.startsWith("40{"),
  publish: (channel, data) => `42["publish","${channel}",${data}]`,
  answers: false,
  answered: () => 0,
};

const gateway = {
  path: () => "/ws",
  publish: (channel: string, data: string) =>
    `{"type":"channel.publish","channel":"${channel}","data":${data}}`,
  answers: true,
  answered: (text: string) => text.split('"channel.published"').length - 1,
  beat: { text: '{"type":"presence.heartbeat"}', answer: '"presence.heartbeat_ack"' },
};

const fixed: Wire = {
  ...gateway,
  hello: ({ channel }) =>
    channel === undefined
      ? ['{"type":"ping"}']
      : [`{"type":"channel.subscribe","channel":"${channel}"}`],
  isReady: (text) => text.includes('"pong"') || text.includes('"channel.subscribed"'),
};

const extended: Wire = {
  ...gateway,
  hello: ({ name, instance = name, channel, attempt, position, isNamed }) => [
    JSON.stringify({
      type: "connect",
      version: 1,
      ...isNamed && { client_id: name },
      instance,
      attempt,
      subscriptions: channel === undefined ? [] : [{ channel, position }],
    }),
  ],
  isReady: (text) => text.includes('"connected"'),
};

/** All of them, by their names. */
export const WIRES: Readonly<Record<WireName, Wire>> = { bare, socketio, fixed, extended };
