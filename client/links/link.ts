/**
 * What every transport looks like to the client: frames go in as text and come out as values, and
 * the first of them are the `connect` frame and its answer.
 *
 * @module
 */
import type { Ending, Transport } from "../lifecycle.ts";
import { type Code, codeOfClose, CODES, mayReturn } from "../protocol/codes.ts";
import type { ConnectFrame, PollBody } from "../protocol/frames.ts";

/** One way to the gateway, from its opening to its end. */
export interface Link {
  readonly transport: Transport;
  /** Sends one frame, together with all others of this turn of the event loop, in order. */
  send(frame: string): void;
  /** Sends at once what waits for the end of the turn: the page is about to go. */
  flush(): void;
  /**
   * Says a last frame and closes.
   *
   * @returns a promise that fulfills when all is said; it never rejects
   */
  leave(goodbye: string): Promise<void>;
  /** Ends the link without a word. Nothing comes from it any more. Idempotent. */
  drop(): void;
}

/** What a link tells. After `ended` it tells nothing. */
export interface LinkEvents {
  /** The transport is open: gives the `connect` frame. Asked once. */
  hello(): ConnectFrame;
  /** What the client has by now of each channel, for a transport that states it again and again. */
  positions(): PollBody["positions"];
  /** Values that should be frames, none of them looked at; an empty list is a mere sign of life. */
  frames(values: readonly unknown[]): void;
  /** Something arrived that is not even JSON. */
  garbage(reason: string): void;
  /** The link has ended. */
  ended(ending: Ending): void;
}

/** Most characters of frames that are sent together, so that UTF-8 stays below the gateway's limit. */
const MAX_CHARACTERS = 262_144;
/** Most frames that are sent together (`SendBody`). */
const MAX_FRAMES = 1024;

/** Gathers the frames of one turn of the event loop. */
export class Batch {
  readonly #send: () => void;
  #frames: string[] = [];
  #planned = false;

  /** @param send called at the end of a turn in which frames were added */
  constructor(send: () => void) {
    this.#send = send;
  }

  /** Whether nothing waits. */
  get empty(): boolean {
    return this.#frames.length === 0;
  }

  /** Adds a frame, to be sent at the end of this turn. */
  add(frame: string): void {
    this.#frames.push(frame);
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      if (!this.empty) this.#send();
    });
  }

  /** Takes as many frames as may be sent together, at least one if there is one. */
  take(): string[] {
    let count = 0;
    let size = 0;
    for (const { length } of this.#frames) {
      size += length + 1;
      if (count === MAX_FRAMES || (count > 0 && size > MAX_CHARACTERS)) break;
      count++;
    }
    return this.#frames.splice(0, count);
  }
}

/** Parses what arrived; `undefined` (and `garbage`) if it is not JSON. */
export function parse(text: unknown, events: Pick<LinkEvents, "garbage">): unknown {
  if (typeof text !== "string") {
    events.garbage("Something that is not text arrived.");
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    events.garbage("Something that is not JSON arrived.");
    return undefined;
  }
}

/** The ending that a close code means. */
export function endingOfClose(close: number, reason: string): Ending {
  const code = codeOfClose(close);
  const final = !mayReturn(close);
  if (code !== undefined) return { code, reason: reason || CODES[code].text, final };
  const detail = reason ? `: ${reason}` : "";
  return {
    code: "connection_failed",
    reason: `The connection was closed with code ${close}${detail}.`,
    final,
  };
}

/** The ending that an error of the gateway means. */
export function endingOfError(code: Code, reason: string): Ending {
  return { code, reason: reason || CODES[code].text, final: !CODES[code].retry };
}

/** The ending of a link that did not reach the gateway. */
export function unreachable(reason: string): Ending {
  return { code: "connection_failed", reason, final: false };
}
