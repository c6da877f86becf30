import { hostInUrl } from "../options/formats.ts";
import type { RequestHead } from "./head.ts";
import { isOfThisMachine } from "./origins.ts";

/** What is known of where a gateway listens. */
export interface HostTerms {
  /** Host that it listens on; `undefined` if another server does that for it. */
  readonly listensAt: string | undefined;
  /** Whether requests are checked although nobody said which hosts are allowed. */
  readonly isChecked: boolean;
}

const ANY = "*";
/** A host and perhaps a port, and nothing that would be another part of a URL. */
const AUTHORITY = /^[\w.:[\]-]{1,300}$/;

/**
 * Which hosts requests may be for. A page that somebody visits can give its own name the address of
 * this machine, and is then of the same origin as a gateway there: browsers let it do everything. What
 * gives it away is its name, in `Host`. A token gives the same protection, as such a page has none.
 */
export class Hosts {
  readonly #allowed: ReadonlySet<string> | undefined;
  /** What was allowed last: most requests name the same. */
  #field: string | undefined;
  #hostname: string | undefined;

  /** @param allowed hosts without ports, beside this machine's names; `*` is any */
  constructor(allowed: readonly string[] | undefined, { listensAt, isChecked }: HostTerms) {
    if (allowed?.includes(ANY) || (allowed === undefined && !isChecked)) return;
    const all = listensAt === undefined ? allowed ?? [] : [listensAt, ...allowed ?? []];
    this.#allowed = new Set(all.map((host) => hostInUrl(host) ?? host));
  }

  /**
   * Whether a request may be answered. The first line of a request may name another host than the
   * field `Host` does (RFC 9112 section 3.2.2): both count.
   */
  allows({ headers }: RequestHead, url: URL): boolean {
    if (this.#allowed === undefined) return true;
    const field = headers.get("host");
    const { hostname } = url;
    if (field === this.#field && hostname === this.#hostname) return true;
    // A request that names no host comes from no page.
    if (field === null || field === "") return this.#isAllowed(url);
    if (!this.#isAllowed(url) || !this.#isNamed(field)) return false;
    this.#field = field;
    this.#hostname = hostname;
    return true;
  }

  #isNamed(field: string): boolean {
    return AUTHORITY.test(field) && this.#isAllowed(URL.parse(`http://${field}`));
  }

  #isAllowed(url: URL | null): boolean {
    if (url === null) return false;
    // A name may end with the dot of the root, and is the same.
    const hostname = url.hostname.replace(/\.$/, "");
    return isOfThisMachine(hostname) || this.#allowed!.has(hostname);
  }
}
