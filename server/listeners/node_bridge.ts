/**
 * Between `node:http` and the standard `Request` and `Response`.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Bytes of a body that nobody reads, up to which the answer is awaited before the cut. */
const MOST_UNREAD = 16 * 1024 * 1024;
const EVENT_STREAM = "text/event-stream";

/** A request that is no `Request`: its address, a header field or its method cannot be one. */
export class BadRequest extends Error {}

/**
 * The request that arrived.
 *
 * @param scheme `http` or `https`
 * @param here host and port for one that names none, as HTTP/1.0 allows
 * @param response aborts the signal of the request if it is closed before it has been sent; without
 *   one nothing does
 * @throws {BadRequest} if there is no such `Request`
 */
export function requestOf(
  incoming: IncomingMessage,
  scheme: string,
  here: string,
  response?: ServerResponse,
): Request {
  const { method = "GET", rawHeaders } = incoming;
  const headers: [name: string, value: string][] = [];
  let host: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i], rawHeaders[i + 1]];
    headers.push([name, value]);
    if (name.toLowerCase() !== "host") continue;
    // Of two hosts a proxy may have meant the other one (RFC 9112 section 3.2).
    if (host !== undefined) throw new BadRequest("The header Host is there twice.");
    host = value;
  }
  if (host === undefined && incoming.httpVersion !== "1.0") {
    throw new BadRequest("The header Host is missing.");
  }
  const target = incoming.url ?? "/";
  const isPath = target.startsWith("/");
  const url = isPath || target === "*"
    ? `${scheme}://${host || here}${isPath ? "" : "/"}${target}`
    : target;
  const hasBody = method !== "GET" && method !== "HEAD";
  try {
    return new Request(url, {
      method,
      headers,
      signal: response === undefined ? null : signalOf(response),
      body: hasBody ? bodyOf(incoming) : null,
    });
  } catch (cause) {
    throw new BadRequest("The address and the header Host make no URL.", { cause });
  }
}

function signalOf(response: ServerResponse): AbortSignal {
  const abort = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) abort.abort();
  });
  return abort.signal;
}

/** Sends an answer; resolves once it has left, or nobody waits for it any more. */
export async function send(
  answer: Response,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Reached only where the peer has gone; the end of that is told by 'close'.
  response.on("error", () => {});
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  response.once("close", resolve);
  response.once("finish", () => {
    dropRest(incoming);
    resolve();
  });
  if (response.destroyed) {
    await answer.body?.cancel();
    return;
  }
  for (const [name, value] of answer.headers) response.setHeader(name, value);
  response.statusCode = answer.status;
  if (answer.headers.get("content-type") === EVENT_STREAM) {
    await stream(answer.body!, response, closed);
  } else {
    // What is no stream of events is a short text, and told with its length.
    const body = new Uint8Array(await answer.arrayBuffer());
    if (answer.status !== 204) response.setHeader("content-length", body.length);
    response.end(body);
  }
  await closed;
}

/** Passes a body on as fast as the peer reads, and cancels it once the peer has gone. */
async function stream(
  body: ReadableStream<Uint8Array>,
  response: ServerResponse,
  closed: Promise<void>,
): Promise<void> {
  const reader = body.getReader();
  let isOpen = true;
  closed.then(() => {
    isOpen = false;
    return reader.cancel();
  }).catch(() => {});
  response.flushHeaders();
  try {
    while (isOpen) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!response.write(value)) await Promise.race([drained(response), closed]);
    }
    response.end();
  } catch (error) {
    response.destroy();
    throw error;
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once("drain", () => resolve()));
}

/** The body of a request, read from the connection as fast as it is asked for. */
function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array<ArrayBuffer>> {
  let isOpen = true;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      incoming.pause();
      incoming.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
        if (!isOpen) return;
        controller.enqueue(chunk);
        incoming.pause();
      });
      incoming.once("end", () => {
        if (isOpen) controller.close();
        isOpen = false;
      });
      const broke = () => {
        if (isOpen) controller.error(new TypeError("The request broke off."));
        isOpen = false;
      };
      incoming.once("error", broke);
      incoming.once("close", broke);
    },
    pull: () => void incoming.resume(),
    cancel: () => void (isOpen = false),
  }, { highWaterMark: 0 });
}

/**
 * Reads what is left of a request that is answered: a connection that is closed with unread bytes is
 * reset, and the answer may be lost with it. Whoever sends on without end is cut.
 */
function dropRest(incoming: IncomingMessage): void {
  if (incoming.readableEnded || incoming.destroyed) return;
  // Whoever read the body would stop it again.
  incoming.removeAllListeners("data");
  let bytes = 0;
  incoming.on("data", (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > MOST_UNREAD) incoming.socket.destroy();
  });
  incoming.resume();
}
