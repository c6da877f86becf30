/** One valid frame of each type of the fixed wire, and of those that ask for more. */
export const FIXED = [
  { type: "channel.create", channel: "plan", metadata: { owner: "ann", tags: ["a", "b"] } },
  { type: "channel.subscribe", channel: "news" },
  { type: "channel.unsubscribe", channel: "news" },
  { type: "channel.publish", channel: "news", data: { n: [1, "two", null] }, id: "p1", echo: true },
  { type: "channel.list" },
  { type: "presence.heartbeat", status: "busy", metadata: { role: "agent" } },
  { type: "presence.query", channel: "news" },
  { type: "message_ack", event_id: "abcdefghij:1:news" },
  { type: "message_nack", event_id: "abcdefghij:1:news", delay: 2.5 },
  { type: "ping" },
  { type: "auth.refresh", token: "s3cret" },
] as const;

const POSITION = { epoch: "abcdefghij", seq: 7, open: [1, 3, 5, 5] };

/** Valid frames of the extended wire, behind its `connect`. */
export const EXTENDED = [
  ...FIXED.map((frame, i) => ({ ...frame, request_id: i })),
  { type: "channel.subscribe", channel: "news", position: POSITION, request_id: 1 },
  { type: "channel.subscribe", channel: "old", since: { epoch: "abcdefghij", seq: 2 } },
  { type: "channel.subscribe", channel: "last", last: 5 },
  { type: "channel.subscribe", channel: "all", all: true },
  { type: "ack", acks: [{ channel: "news", epoch: "abcdefghij", upto: 3, ranges: [5, 6, 9, 9] }] },
  { type: "nack", channel: "news", epoch: "abcdefghij", seq: 2, delay: 1 },
  { type: "renew", renew: [{ channel: "news", epoch: "abcdefghij", ranges: [1, 2] }] },
  { type: "disconnect", forget: false },
] as const;

/** Valid `connect` frames. */
export const CONNECT = [
  { type: "connect", version: 1, instance: "i1", attempt: 1 },
  {
    type: "connect",
    version: 1,
    token: "s3cret",
    client_id: "mallory",
    instance: "i2",
    attempt: 3,
    session_ttl: 60,
    subscriptions: [{ channel: "news" }, { channel: "old", position: POSITION }],
  },
  { type: "connect", version: 1, instance: "i3", attempt: 1, client_id: "m2", secret: "abc" },
] as const;

/** Valid bodies of every route that takes one; the token is put in where there is one. */
export const BODIES: readonly (readonly [path: string, body: object])[] = [
  ["publish", { channel: "news", data: { n: 1 }, id: "p1" }],
  ["dead-letters/redrive", { channel: "news", session: "n:ann:anonymous", seq: 1, limit: 10 }],
  ["revoke", { subject: "nobody", client_id: "nobody", for: 60 }],
  ["revoke", { token: "nobody's" }],
  ["poll/register", { client_id: "mallory", auth_token: "s3cret" }],
  ["poll/register", { connect: CONNECT[1] }],
  ["poll/messages", { poll_token: "", timeout: 0, positions: [{ channel: "news", ...POSITION }] }],
  ["poll/send", { poll_token: "", frames: EXTENDED.filter(({ type }) => type !== "disconnect") }],
  ["poll/subscribe", { poll_token: "", channel: "news" }],
  ["poll/unsubscribe", { poll_token: "", channel: "news" }],
  ["poll/publish", { poll_token: "", channel: "news", data: [1], id: "p1" }],
  ["poll/create", { poll_token: "", channel: "plan", metadata: { a: 1 } }],
  ["poll/ack", { poll_token: "", event_id: "abcdefghij:1:news" }],
  ["poll/nack", { poll_token: "", event_id: "abcdefghij:1:news", delay: 1 }],
  ["poll/refresh", { poll_token: "", token: "s3cret" }],
  ["poll/heartbeat", { poll_token: "", status: "busy", metadata: { a: 1 } }],
  ["poll/unregister", { poll_token: "0".repeat(32), forget: true }],
];
