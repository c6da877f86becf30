/**
 * Between `node:http` and the standard `Request` and `Response`.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { PushError } from "@push/client/protocol";
import type { HeaderFields, Heading } from "../http/head.ts";
import type { Listener } from "./listener.ts";

/** Bytes of a body that nobody reads, up to which the answer is awaited before the cut. */
const MOST_UNREAD = 16 * 1024 * 1024;
const EVENT_STREAM = "text/event-stream";

/** A request that is no `Request`: its address, a header field or its method cannot be one. */
export class BadRequest extends PushError {
  /** @param detail what is wrong with it */
  constructor(detail: string, options?: ErrorOptions) {
    super("bad_request", detail, options);
  }
}

/** Header fields as they stood in the request. */
class NodeFields implements HeaderFields {
  /** Names and values in turn. */
  readonly #raw: readonly string[];

  constructor(raw: readonly string[]) {
    this.#raw = raw;
  }

  get(name: string): string | null {
    const raw = this.#raw;
    let found: string | null = null;
    for (let i = 0; i < raw.length; i += 2) {
      if (!isNamed(raw[i], name)) continue;
      found = found === null ? raw[i + 1] : `${found}, ${raw[i + 1]}`;
    }
    return found;
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    for (let i = 0; i < this.#raw.length; i += 2) yield [this.#raw[i], this.#raw[i + 1]];
  }
}

/** The head of a request that arrived, of which a `Request` is made where that is needed. */
export class NodeHeading implements Heading {
  /** See {@linkcode RequestHead.method}. */
  readonly method: string;
  /** See {@linkcode RequestHead.url}: a URL, if the address and the header `Host` make one. */
  readonly url: string;
  /** See {@linkcode RequestHead.headers}. */
  readonly headers: HeaderFields;
  readonly #incoming: IncomingMessage;
  readonly #response: ServerResponse | undefined;

  /**
   * @param scheme `http` or `https`
   * @param here the host of one that names none, as HTTP/1.0 allows
   * @param response aborts the signal of the request if it is closed before it has been sent; without
   *   one nothing does
   * @throws {BadRequest} if it does not name one host
   */
  constructor(
    incoming: IncomingMessage,
    scheme: string,
    here: Listener["address"],
    response: ServerResponse | undefined,
  ) {
    const target = incoming.url ?? "/";
    const host = hostOf(incoming) || authorityOf(here);
    const isPath = target.startsWith("/");
    this.method = incoming.method ?? "GET";
    this.url = isPath || target === "*"
      ? `${scheme}://${host}${isPath ? "" : "/"}${target}`
      : target;
    this.headers = new NodeFields(incoming.rawHeaders);
    this.#incoming = incoming;
    this.#response = response;
  }

  /** See {@linkcode Heading.whole}. */
  whole(): Request {
    const { method, url } = this;
    const hasBody = method !== "GET" && method !== "HEAD";
    try {
      return new Request(url, {
        method,
        headers: [...this.headers],
        signal: this.#response === undefined ? null : signalOf(this.#response),
        body: hasBody ? bodyOf(this.#incoming) : null,
      });
    } catch (cause) {
      throw new BadRequest("The address and the header Host make no URL.", { cause });
    }
  }
}

/** The host that a request is for, if it names one. */
function hostOf({ rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  let host: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!isNamed(rawHeaders[i], "host")) continue;
    // Of two hosts a proxy may have meant the other one (RFC 9112 section 3.2).
    if (host !== undefined) throw new BadRequest("The header Host is there twice.");
    host = rawHeaders[i + 1];
  }
  if (host === undefined && httpVersion !== "1.0") {
    throw new BadRequest("The header Host is missing.");
  }
  return host;
}

function authorityOf({ hostname, port }: Listener["address"]): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** @param lower name of a field in lower case */
function isNamed(name: string, lower: string): boolean {
  return name.length === lower.length && (name === lower || name.toLowerCase() === lower);
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
