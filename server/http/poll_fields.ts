import type { JsonObject, Ranges } from "@push/client/protocol";
import {
  channelField,
  epochField,
  objectsField,
  rangesField,
  requiredString,
  seqField,
} from "../dialog/fields.ts";
import type { Poller } from "./poll_entry.ts";

const MAX_POLL_TOKEN = 64;

/**
 * The token of a poller.
 *
 * @throws {PushError} `bad_request`
 */
export function pollToken(frame: JsonObject): string {
  return requiredString(frame, "poll_token", MAX_POLL_TOKEN);
}

/** Where a poller says that it is in one channel. */
export interface PollPosition {
  readonly channel: string;
  readonly epoch: string;
  readonly seq: number;
  readonly open: Ranges;
}

/**
 * Reads the positions of a poll.
 *
 * @throws {PushError} `bad_request`, `invalid_channel`
 */
export function readPositions(frame: JsonObject, maxChannels: number): PollPosition[] {
  return objectsField(frame, "positions", maxChannels).map((each) => ({
    channel: channelField(each),
    epoch: epochField(each),
    seq: seqField(each),
    open: rangesField(each, "open"),
  }));
}

/** Goes on from where the client says that it is; the fixed wire has no positions. */
export function adoptPositions(
  { session, connection }: Poller,
  positions: readonly PollPosition[],
): void {
  if (session.wire !== "extended") return;
  for (const { channel, epoch, seq, open } of positions) {
    session.adopt(channel, epoch, seq, open, connection);
  }
}
