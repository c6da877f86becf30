import {
  type Decoded,
  decodeFrame,
  elementTexts,
  formatEventId,
  parseJson,
  PushError,
} from "@push/client/protocol";
import type { Identity } from "../access/identity.ts";
import { demand } from "../access/permits.ts";
import { channelField, isObject, publishIdField } from "../dialog/fields.ts";
import { payloadOf } from "../dialog/publishes.ts";
import type { Hub } from "../hub.ts";
import { unexpected } from "../logging/unexpected.ts";
import { type FailureBody, failureBody, json, jsonText, readText } from "./respond.ts";

/** Who publishes over HTTP. */
export interface HttpPublisher {
  readonly hub: Hub;
  readonly identity: Identity;
  /** Address that the request came from, if it is known. */
  readonly address: string | undefined;
}

/** A message as it was asked for. */
interface Asked {
  readonly channel: string;
  readonly payload: string;
  readonly id: string | undefined;
}

/** What a stored message is answered with. */
interface Receipt {
  readonly event_id: string;
  readonly channel: string;
  readonly epoch: string;
  readonly seq: number;
  readonly delivered: number;
  readonly duplicate: boolean;
}

/** Most messages of one request. */
const MAX_PUBLISHES = 1000;
const NDJSON = "application/x-ndjson";
/** How the route is named where somebody is refused. */
const ACTION = "POST /api/push/publish";

/**
 * `POST /api/push/publish`: one message, or several, each with an answer of its own.
 *
 * @param admit refuses a client whose right to ask has ended while its body was read
 * @throws {PushError} what is wrong with the body as a whole, or with its only message
 */
export async function publish(
  publisher: HttpPublisher,
  request: Request,
  admit: () => void,
): Promise<Response> {
  const { maxFrameBytes, maxNesting } = publisher.hub.context.settings.limits;
  const text = await readText(request, maxFrameBytes);
  admit();
  if (isNdjson(request)) {
    const lines = text.split("\n").filter((line) => /\S/.test(line));
    const answers = await publishEach(publisher, bounded(lines));
    const body = answers.map((answer) => JSON.stringify(answer) + "\n").join("");
    return jsonText(body, 200, { "content-type": NDJSON });
  }
  const isArray = /^\s*\[/.test(text);
  const value = parseJson(text === "" ? "{}" : text, isArray ? maxNesting + 1 : maxNesting);
  if (Array.isArray(value)) {
    bounded(value);
    return json(await publishEach(publisher, elementTexts(text)));
  }
  if (!isObject(value)) {
    throw new PushError("bad_frame", "The body must be a JSON object, or an array of them.");
  }
  const asked = read(publisher, { frame: value, text }, false);
  await demand(publisher.hub.context.authorization, publisher.identity, "publish", asked.channel);
  const [receipt] = await store(publisher, asked.channel, [asked]);
  if (receipt instanceof PushError) throw receipt;
  return json(receipt);
}

/** A body with several messages is no transaction: each is stored, or refused, by itself. */
async function publishEach(
  publisher: HttpPublisher,
  texts: readonly string[],
): Promise<(Receipt | FailureBody)[]> {
  const results = new Array<Receipt | PushError>(texts.length);
  const groups = new Map<string, { readonly asked: Asked; readonly at: number }[]>();
  let refusal: PushError | undefined;
  texts.forEach((text, at) => {
    try {
      // What comes behind one that has to wait must not overtake it.
      if (refusal !== undefined) throw refusal;
      const decoded = decode(publisher, text);
      const asked = read(publisher, decoded, groups.has(channelField(decoded.frame)));
      const group = groups.get(asked.channel);
      if (group === undefined) groups.set(asked.channel, [{ asked, at }]);
      else group.push({ asked, at });
    } catch (error) {
      const known = knownOf(publisher, error);
      if (known.code === "too_many_publishes") refusal = known;
      results[at] = known;
    }
  });
  await Promise.all(Array.from(groups, async ([channel, group]) => {
    const receipts = await storeGroup(publisher, channel, group.map(({ asked }) => asked));
    group.forEach(({ at }, i) => results[at] = receipts[i]);
  }));
  return results.map((result) => answerOf(publisher, result));
}

/** Stores messages of one channel. Never rejects. */
async function storeGroup(
  publisher: HttpPublisher,
  channel: string,
  group: readonly Asked[],
): Promise<(Receipt | PushError)[]> {
  try {
    await demand(publisher.hub.context.authorization, publisher.identity, "publish", channel);
    return await store(publisher, channel, group);
  } catch (error) {
    const known = knownOf(publisher, error);
    return group.map(() => known);
  }
}

async function store(
  { hub, identity }: HttpPublisher,
  channel: string,
  group: readonly Asked[],
): Promise<(Receipt | PushError)[]> {
  const { outcomes, delivered } = await hub.publishAll(channel, group, identity.subject);
  return outcomes.map((outcome) => {
    if (outcome instanceof PushError) return outcome;
    const { epoch, seq, duplicate } = outcome;
    const event_id = formatEventId(channel, epoch, seq);
    return { event_id, channel, epoch, seq, delivered, duplicate };
  });
}

/**
 * Takes one of several messages apart. One that names no channel pays for its refusal: a short body
 * has very many of them.
 *
 * @throws {PushError} `bad_frame`, `nesting_too_deep`, `bad_request`, `invalid_channel`,
 *   `too_many_publishes`
 */
function decode({ hub: { context }, identity, address }: HttpPublisher, text: string): Decoded {
  const { limits, settings } = context;
  try {
    const decoded = decodeFrame(text, settings.limits.maxNesting);
    channelField(decoded.frame);
    return decoded;
  } catch (error) {
    limits.checkHttpPublish(identity.subject, address, undefined, text.length);
    throw error;
  }
}

/**
 * Reads a message, which pays for itself.
 *
 * @param isKnown whether one before it goes to the same channel, which is made once
 * @throws {PushError} `bad_request`, `invalid_channel`, `message_too_large`, `too_many_publishes`
 */
function read(
  { hub: { context }, identity, address }: HttpPublisher,
  decoded: Decoded,
  isKnown: boolean,
): Asked {
  const { limits, settings } = context;
  const channel = channelField(decoded.frame);
  const { length } = decoded.text;
  limits.checkHttpPublish(identity.subject, address, isKnown ? undefined : channel, length);
  const payload = payloadOf(decoded, settings.limits.maxMessageBytes);
  return { channel, payload, id: publishIdField(decoded.frame) };
}

function answerOf(
  { hub: { context: { audit, metrics } }, identity: { subject }, address: peer }: HttpPublisher,
  result: Receipt | PushError,
): Receipt | FailureBody {
  if (!(result instanceof PushError)) return result;
  audit.refused(result, { peer, subject }, ACTION);
  metrics.count(metrics.errors, result.code);
  return failureBody(result);
}

/** What went wrong, as a code; what nobody expects is logged. */
function knownOf({ hub: { context }, address: peer }: HttpPublisher, error: unknown): PushError {
  const surprise = unexpected(error);
  if (surprise !== undefined) context.log.failure("request.failed", surprise, { peer });
  return error instanceof PushError ? error : new PushError("internal");
}

/** @throws {PushError} `bad_frame` if there is none, `frame_too_large` if there are too many */
function bounded<T>(publishes: readonly T[]): readonly T[] {
  if (publishes.length === 0) throw new PushError("bad_frame", "The body has no message.");
  if (publishes.length <= MAX_PUBLISHES) return publishes;
  throw new PushError(
    "frame_too_large",
    `A request may have at most ${MAX_PUBLISHES} messages: found ${publishes.length}.`,
  );
}

function isNdjson({ headers }: Request): boolean {
  const [type] = (headers.get("content-type") ?? "").split(";");
  return type.trim().toLowerCase() === NDJSON;
}
