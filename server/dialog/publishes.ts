import { type Decoded, formatEventId, isSeq, memberText, PushError } from "@push/client/protocol";
import { booleanField, byteLength, channelField, publishIdField, refuse } from "./fields.ts";
import type { Published } from "../channel/channel.ts";
import type { HubContext } from "../context.ts";
import type { Publish, PublishResult } from "../session/publisher.ts";
import type { Session } from "../session/session.ts";

/** A publish that a client asks for, with its request id if there is one to echo. */
export interface Asked extends Publish {
  readonly channel: string;
  readonly requestId: number | undefined;
}

/** Whose publishes are gathered. */
export interface PublishesOwner {
  readonly context: HubContext;
  /** Sends the text of an answer. */
  send(text: string): void;
  /** Tells that a frame has failed. */
  fail(error: unknown, decoded: Decoded, requestId: number | undefined): void;
}

/** Publishes and characters of payloads from which on a group takes no more. */
const MAX_COUNT = 256;
const MAX_CHARACTERS = 65_536;

/**
 * Publishes of one connection: those to one channel that come one after the other are stored together,
 * and each is answered by itself.
 */
export class Publishes {
  readonly #owner: PublishesOwner;
  readonly #session: Session;
  /** To one channel, in the order in which they came. */
  #group: Asked[] = [];
  #characters = 0;

  /** @param session who publishes */
  constructor(owner: PublishesOwner, session: Session) {
    this.#owner = owner;
    this.#session = session;
  }

  /** Takes a publish, and stores it with those that follow. Never throws. */
  add(decoded: Decoded): void {
    const before = this.#group.length > 0 ? this.#group[0].channel : undefined;
    let asked: Asked;
    try {
      asked = readPublish(this.#owner.context, this.#session, decoded, before);
    } catch (error) {
      this.#owner.fail(error, decoded, requestIdOf(this.#session, decoded));
      return;
    }
    const isFull = this.#group.length >= MAX_COUNT || this.#characters >= MAX_CHARACTERS;
    if (isFull || asked.channel !== before) this.store();
    this.#group.push(asked);
    this.#characters += asked.payload.length;
  }

  /** Stores what was taken: nothing comes that could be stored with it. */
  store(): void {
    const group = this.#group;
    if (group.length === 0) return;
    this.#group = [];
    this.#characters = 0;
    const fail = (error: unknown) => {
      for (const asked of group) this.#fail(error, asked);
    };
    this.#session.publish(group[0].channel, group)
      .then((result) => this.#answer(group, result), fail);
  }

  #answer(group: readonly Asked[], { outcomes, delivered }: PublishResult): void {
    const { wire } = this.#session;
    // A channel's name and an epoch need no escaping.
    const head = `{"type":"channel.published","channel":"${group[0].channel}"` +
      `,"delivered":${delivered}`;
    for (let i = 0; i < group.length; i++) {
      const outcome = outcomes[i];
      if (outcome instanceof PushError) this.#fail(outcome, group[i]);
      else if (wire === "fixed") this.#owner.send(head + "}");
      else this.#owner.send(head + placeText(group[i], outcome));
    }
  }

  #fail(error: unknown, { channel, requestId }: Asked): void {
    this.#owner.fail(error, { frame: { type: "channel.publish", channel }, text: "" }, requestId);
  }
}

/** What an answer on the extended wire says beside what all say. */
function placeText({ channel, requestId }: Asked, { epoch, seq, duplicate }: Published): string {
  const place = `,"event_id":"${
    formatEventId(channel, epoch, seq)
  }","epoch":"${epoch}","seq":${seq}`;
  const repeated = duplicate ? ',"duplicate":true' : "";
  const id = requestId === undefined ? "" : `,"request_id":${requestId}`;
  return `${place}${repeated}${id}}`;
}

/**
 * Reads a publish, which pays for itself.
 *
 * @param before channel of the one before, if that has not been stored yet: a channel is made once
 * @throws {PushError} `bad_request`, `invalid_channel`, `message_too_large`, `too_many_publishes`
 */
export function readPublish(
  { limits, settings }: Pick<HubContext, "limits" | "settings">,
  session: Session,
  decoded: Decoded,
  before?: string,
): Asked {
  const { frame } = decoded;
  const channel = channelField(frame);
  const payload = payloadOf(decoded, settings.limits.maxMessageBytes);
  const id = publishIdField(frame);
  const echo = booleanField(frame, "echo");
  const requestId = requestIdOf(session, decoded);
  const made = channel === before ? undefined : channel;
  limits.checkPublish(session.publishes, requestId, made, payload.length);
  return { channel, payload, id, echo, requestId };
}

/**
 * Payload of a publish as the JSON text that it was written with.
 *
 * @throws {PushError} `bad_request` if there is none, `message_too_large`
 */
export function payloadOf(decoded: Decoded, maxBytes: number): string {
  const payload = memberText(decoded, "data");
  if (payload === undefined) refuse("data", "a JSON value", undefined);
  // A UTF-16 unit is one to three bytes: most payloads need no counting.
  if (payload.length > maxBytes / 3 && byteLength(payload) > maxBytes) {
    throw new PushError(
      "message_too_large",
      `The payload has ${
        byteLength(payload)
      } bytes, and at most ${maxBytes} are accepted (maxMessageBytes).`,
    );
  }
  return payload;
}

function requestIdOf({ wire }: Session, { frame }: Decoded): number | undefined {
  return wire === "extended" && isSeq(frame.request_id) ? frame.request_id : undefined;
}
