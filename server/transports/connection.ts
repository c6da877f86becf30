import type { Code } from "@push/client/protocol";

/**
 * One way out to one client, as the hub sees it: a WebSocket, a long-poller, a pipe in a test.
 *
 * The other direction needs no contract: whoever accepts a connection hands what arrives to a
 * dialog and says when the connection is gone.
 */
export interface Connection {
  /** Name of the transport. */
  readonly transport: string;
  /**
   * How many messages the connection takes now: `Infinity` for a socket that drains, 0 for one whose
   * buffer is full or a poller that has no request waiting. The hub asks again when it is told that
   * the connection drained, and from time to time.
   */
  readonly capacity: number;
  /**
   * Sends one or several frames.
   *
   * @param text one JSON object; or, only where `count` is above 1, a JSON array of them
   * @param count number of messages in it; 0 for a frame that is no message (a reply, a notice),
   *   which is sent whatever the capacity
   */
  send(text: string, count: number): void;
  /** Ends the connection with a code of the table. Idempotent; nothing is sent after it. */
  close(code: Code | "normal", detail?: string): void;
  /** Hears that its session has lost a channel for want of a right, once the client was told. */
  barred?(): void;
}
