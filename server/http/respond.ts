import {
  type Code,
  CODES,
  isCode,
  type JsonObject,
  parseJson,
  PushError,
} from "@push/client/protocol";
import { isObject } from "../dialog/fields.ts";
import { retryAfter } from "../limits/throttled.ts";

const JSON_HEADERS = { "content-type": "application/json; charset=utf-8" } as const;
const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** A JSON answer. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return jsonText(JSON.stringify(body), status, headers);
}

/** A JSON answer whose text is there already. */
export function jsonText(
  text: string,
  status = 200,
  headers: Record<string, string> = {},
): Response {
  return new Response(text, {
    status,
    headers: { ...JSON_HEADERS, "cache-control": "no-store", ...headers },
  });
}

/** See {@linkcode failureBody}. */
export interface FailureBody {
  readonly ok: false;
  readonly error: string;
  readonly code: Code;
  /** Seconds to wait. */
  readonly retry_after?: number;
}

/** The answer to a request that went wrong: `{ ok: false, error, code }`. */
export function failure(error: unknown, headers: Record<string, string> = {}): Response {
  const known = error instanceof PushError ? error : new PushError("internal");
  const { status } = CODES[known.code];
  const more: Record<string, string> = { ...headers };
  if (status === 401) more["www-authenticate"] = 'Bearer realm="push"';
  const wait = retryAfter(known);
  if (wait !== undefined) more["retry-after"] = `${Math.max(Math.ceil(wait), 1)}`;
  else if (status === 503 || status === 429) more["retry-after"] = "1";
  return json(failureBody(known), status || 500, more);
}

/** What the answer to something that went wrong says. */
export function failureBody(error: PushError): FailureBody {
  const wait = retryAfter(error);
  const body: FailureBody = { ok: false, error: error.message, code: error.code };
  return wait === undefined ? body : { ...body, retry_after: wait };
}

/** A failure with the text of its code. */
export function fail(code: Code, detail?: string, headers?: Record<string, string>): Response {
  return failure(new PushError(code, detail), headers);
}

/** Code that a failed answer carries, for the metrics. */
export function codeOf(error: unknown): Code {
  return error instanceof PushError && isCode(error.code) ? error.code : "internal";
}

/** A decoded request body, and its exact text. */
export interface Body {
  readonly frame: JsonObject;
  readonly text: string;
}

/**
 * Reads a JSON object from a request, never more than `maxBytes` of it.
 *
 * @throws {PushError} `frame_too_large`, `bad_frame`, `nesting_too_deep`, `bad_request`
 */
export async function readBody(
  request: Request,
  maxBytes: number,
  maxNesting: number,
): Promise<Body> {
  const text = await readText(request, maxBytes);
  if (text === "") return { frame: {}, text: "{}" };
  const frame = parseJson(text, maxNesting);
  if (!isObject(frame)) throw new PushError("bad_frame", "The body must be a JSON object.");
  return { frame, text };
}

/**
 * Reads text from a request, never more than `maxBytes` of it.
 *
 * @throws {PushError} `frame_too_large`; `bad_frame` if it is not UTF-8
 */
export async function readText(request: Request, maxBytes: number): Promise<string> {
  const tooLarge = () =>
    new PushError(
      "frame_too_large",
      `A request body may have at most ${maxBytes} bytes (maxFrameBytes).`,
    );
  const { headers } = request;
  const length = headers.get("content-length");
  if (Number(length ?? 0) > maxBytes) throw tooLarge();
  if (request.body === null) return "";
  try {
    // Who says how much comes can send no more: it need not be counted piece by piece.
    if (length !== null && !headers.has("transfer-encoding")) {
      const body = await request.bytes();
      if (body.byteLength > maxBytes) throw tooLarge();
      return UTF8.decode(body);
    }
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "";
    let bytes = 0;
    for await (const chunk of request.body) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw tooLarge();
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  } catch (cause) {
    if (cause instanceof PushError) throw cause;
    throw new PushError("bad_frame", "The body must be JSON in UTF-8.", { cause });
  }
}
