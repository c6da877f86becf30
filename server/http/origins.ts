import { isLoopback } from "../options/options.ts";
import type { RequestHead } from "./head.ts";

/** What follows from the origin of a request. */
export interface OriginVerdict {
  /** Whether the request may be answered. */
  readonly allowed: boolean;
  /** Header fields of the answer that let the page read it. */
  readonly headers: Readonly<Record<string, string>>;
}

const ANY = "*";
/** Seconds for which a browser need not ask again. */
const MAX_AGE = "600";
/** What a request without a header `Origin` gets: no page has sent it. */
const NO_PAGE: OriginVerdict = { allowed: true, headers: { vary: "Origin" } };
/** What a page gets that cannot read the answer anyway. */
const EMBEDDED: OriginVerdict = { allowed: false, headers: { vary: "Origin" } };

/**
 * Which pages may use the gateway (Fetch standard, section 3.3). Any program can send any `Origin`,
 * so this protects people who visit a page, not the gateway: that is what tokens are for. No page
 * is ever allowed to send credentials that its browser keeps.
 */
export class Origins {
  readonly #allowed: ReadonlySet<string>;
  readonly #listensAt: string | undefined;
  /** The origin and host that were found to be the gateway's own last: most requests have the same. */
  #ownOrigin: string | undefined;
  #ownHost: string | undefined;
  #ownSecure = false;

  /**
   * @param allowed origins as browsers write them; `*` is any
   * @param listensAt host that the gateway listens on; `undefined` if another server does that for it
   */
  constructor(allowed: readonly string[] | undefined, listensAt: string | undefined) {
    this.#allowed = new Set(allowed);
    this.#listensAt = listensAt;
  }

  /**
   * Judges a request by the page that sent it.
   *
   * @param secure whether it came over TLS: a page that did not is then none of the gateway's own
   */
  judge(request: RequestHead, url: URL, secure = false): OriginVerdict {
    const origin = request.headers.get("origin");
    const isAny = this.#allowed.has(ANY);
    if (origin === null) return isEmbedded(request) && !isAny ? EMBEDDED : NO_PAGE;
    const allowed = isAny || this.#allowed.has(origin) || this.#isOwn(origin, url, secure);
    return {
      allowed,
      headers: {
        vary: "Origin",
        // Who is refused may read why.
        "access-control-allow-origin": isAny ? ANY : origin,
        "access-control-expose-headers": "retry-after",
      },
    };
  }

  /** Whether a page is of the gateway's own host, or both are this machine's. */
  #isOwn(origin: string, url: URL, secure: boolean): boolean {
    const { host } = url;
    if (origin === this.#ownOrigin && host === this.#ownHost && secure === this.#ownSecure) {
      return true;
    }
    if (!this.#isSame(origin, url, secure)) return false;
    this.#ownOrigin = origin;
    this.#ownHost = host;
    this.#ownSecure = secure;
    return true;
  }

  #isSame(origin: string, url: URL, secure: boolean): boolean {
    const page = URL.parse(origin);
    if (page === null || page.host === "") return false;
    // Behind a proxy that speaks TLS the page has another scheme, and so another port by default.
    const isSame = URL.parse(`${page.protocol}//${url.host}`)?.host === page.host;
    if (isSame && !(secure && page.protocol === "http:")) return true;
    return isOfThisMachine(page.hostname) && isOfThisMachine(this.#listensAt ?? url.hostname);
  }
}

/** Whether a browser asks what it may send. */
export function isPreflight({ method, headers }: RequestHead): boolean {
  return method === "OPTIONS" && headers.has("access-control-request-method");
}

/** The answer to such a question. */
export function preflight(): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": "GET, POST",
      "access-control-allow-headers": "authorization, content-type, last-event-id",
      "access-control-max-age": MAX_AGE,
    },
  });
}

/**
 * Whether a page of another origin has asked for it as for a picture or a frame (Fetch Metadata
 * Request Headers, W3C): browsers send no `Origin` then.
 */
function isEmbedded({ headers }: RequestHead): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== "cross-site" && site !== "same-site") return false;
  return headers.get("sec-fetch-dest") !== "document";
}

/** Whether a host in a URL names this machine. */
export function isOfThisMachine(hostname: string): boolean {
  return isLoopback(hostname.replace(/^\[|\]$/g, "")) || hostname.endsWith(".localhost");
}
