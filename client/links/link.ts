import { FRAME_PART, MAX_FRAMES } from "../bounds.ts";
/**
 * What every transport looks like to the client: frames go in as text and come out as values, and
 * the first of them are the `connect` frame and its answer.
 *
 * @module
 */
import type { Ending } from "../lifecycle.ts";
import type { ClientSettings } from "../options.ts";
import { type Code, codeOfClose, mayRetry, mayReturn, textOf } from "../protocol/codes.ts";
import type { ConnectFrame, PollBody } from "../protocol/frames.ts";
import type { Terms } from "../terms.ts";

/** What a link needs to know. */
export interface LinkSettings extends Omit<ClientSettings, "clientId"> {
  /** What the gateway said last, on this link or on one before it. */
  readonly terms: Pick<Terms, "maxFrameBytes">;
}

/** One way to the gateway, from its opening to its end. */
export interface Link {
  /** Sends one frame, together with all others of this turn of the event loop, in order. */
  send(frame: string): void;
  /** Sends at once what waits for the end of the turn: the page is about to go. */
  flush(): void;
  /** Says a last frame. Nothing comes from the link any more. @param done called when all is said */
  leave(goodbye: string, done: () => void): void;
  /** Ends the link without a word. Nothing comes from it any more. Idempotent. */
  drop(): void;
  /** Receives anew from here on, where what waits for messages may be dead without a sign. */
  renew?(): void;
  /** Tries to receive over a stream of events. @param tried told once, with what is wrong with it */
  stream?(tried: (failure?: Ending) => void): void;
}

/** What a link tells. After `ended` it tells nothing. */
export interface LinkEvents {
  /** The transport is open: gives the `connect` frame. Asked once. */
  hello(): ConnectFrame;
  /** What the client has by now of each channel, for a transport that states it again and again. */
  positions(): PollBody["positions"];
  /** Values that should be frames, none of them looked at; an empty list is a mere sign of life. */
  frames(values: readonly unknown[]): void;
  /** Something arrived that makes no sense. @param what it is */
  garbage(what: string): void;
  /** The link has ended. */
  ended(ending: Ending): void;
}

/** Frames that wait to be sent together. */
export interface Batch {
  /** Adds a frame, to be sent at the end of this turn. */
  add(frame: string): void;
  /** Takes as many frames as may be sent together, behind those; at least one if there is one. */
  take(before?: readonly string[]): string[];
}

/** Gathers the frames of one turn of the event loop. @param send sends all that waits */
export function batchOf({ terms }: LinkSettings, send: () => void): Batch {
  const frames: string[] = [];
  return {
    add(frame) {
      if (frames.push(frame) === 1) queueMicrotask(send);
    },
    take(before = []) {
      let size = before.join().length;
      let count = before.length;
      const end = frames.findIndex(({ length }) =>
        ++count > MAX_FRAMES || (size += length + 1) > terms.maxFrameBytes / FRAME_PART && count > 1
      );
      return [...before, ...frames.splice(0, end < 0 ? count : end)];
    },
  };
}

/** Parses what arrived; `undefined` (and `garbage`) if it is not JSON. */
export function parse(text: unknown, events: LinkEvents): unknown {
  try {
    // Whatever is not text does not look like JSON when it is made text.
    return JSON.parse(text as string);
  } catch {
    return events.garbage("no JSON");
  }
}

/** The ending that a code means; without one the gateway was not reached. */
export function endingOf(reason: string, code: Code = "connection_failed"): Ending {
  return { code, reason: reason || textOf(code), final: !mayRetry(code) };
}

/** The ending that a close code means. */
export function endingOfClose(close: number, reason: string): Ending {
  const code = codeOfClose(close);
  const text = code ? reason : `Closed with ${close}: ${reason}`;
  return { ...endingOf(text, code), final: !mayReturn(close) };
}
