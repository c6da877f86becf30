import {
  accepts as media,
  acceptsEncodings as encodings,
  acceptsLanguages as languages,
} from "deno-std/http/negotiation.js";

/** The types a request has headers to negotiate with. */
type WithHeaders = Pick<Request, "headers">;

interface Negotiate {
  (request: WithHeaders): string[];
  (request: WithHeaders, ...offers: string[]): string | undefined;
}

/** The media types a request accepts, best first; or the best of those offered. */
export const accepts: Negotiate = media;

/** The encodings a request accepts, best first; or the best of those offered. */
export const acceptsEncodings: Negotiate = encodings;

/** The languages a request accepts, best first; or the best of those offered. */
export const acceptsLanguages: Negotiate = languages;
