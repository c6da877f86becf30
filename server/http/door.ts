import { PushError } from "@push/client/protocol";
import type { Authenticator, AuthRequest } from "../access/authenticator.ts";
import { EVERYBODY, type Identity } from "../access/identity.ts";
import { bearerToken } from "../access/secrets.ts";
import type { Tickets } from "../access/tickets.ts";
import type { RequestHead } from "./head.ts";
import type { Peer } from "./peer.ts";

/** A request, or only its head, as far as it says who sent it. */
export interface Visitor<Of extends RequestHead = Request> {
  readonly request: Of;
  readonly url: URL;
  readonly peer: Peer;
}

/** Where a request may show who sent it, beside the `Authorization` header. */
export interface Shown {
  /** A token that stands in the request's body or in a frame. It counts before all else. */
  readonly token?: string;
  /** A ticket, if there is no token. */
  readonly ticket?: string;
}

/** What an address says of something; `undefined` if it says nothing. */
export function parameterOf(url: URL, name: string): string | undefined {
  // Most addresses say nothing at all.
  return url.search === "" ? undefined : url.searchParams.get(name) ?? undefined;
}

/** Lets requests in: finds what they show, and who that is. */
export class Door {
  readonly #authenticator: Authenticator;
  readonly #tickets: Tickets;
  readonly #takesQuery: boolean;

  /** @param takesQuery whether a token may stand in an address */
  constructor(authenticator: Authenticator, tickets: Tickets, takesQuery: boolean) {
    this.#authenticator = authenticator;
    this.#tickets = tickets;
    this.#takesQuery = takesQuery;
  }

  /** Who tells identities apart. */
  get authenticator(): Authenticator {
    return this.#authenticator;
  }

  /**
   * Identity of who sent a request with an `Authorization` header, or showed something in its body.
   *
   * @throws {PushError} as {@linkcode Authenticator.identify}
   */
  identify(visitor: Visitor<RequestHead>, { token, ticket }: Shown = {}): Promise<Identity> {
    const shown = token ?? bearerToken(visitor.request.headers.get("authorization"));
    if (shown === undefined && ticket !== undefined) return this.#redeem(ticket);
    return this.#authenticator.identify(shown, this.about(visitor));
  }

  /**
   * Identity of who sent a request that may say so in its address, too: by a header, or else by
   * `?ticket=`, or else by `?token=`.
   *
   * @throws {PushError} as {@linkcode Authenticator.identify}; `bad_request` for a token in the address
   *   where that is switched off
   */
  async identifyAddress(visitor: Visitor<RequestHead>): Promise<Identity> {
    return await this.identifyShown(visitor) ??
      await this.#authenticator.identify(undefined, this.about(visitor));
  }

  /**
   * The same; `undefined` if the request shows nothing and something is asked for. At once, and throws
   * at once, where that can be told at once.
   */
  identifyShown(visitor: Visitor<RequestHead>): Identity | undefined | Promise<Identity> {
    const { request, url } = visitor;
    const query = parameterOf(url, "token");
    if (query !== undefined && !this.#takesQuery) {
      throw new PushError(
        "bad_request",
        "A token in the address is not accepted here (push.auth.queryToken): show it in the " +
          "Authorization header or in the first frame, or get a ticket.",
      );
    }
    const header = bearerToken(request.headers.get("authorization"));
    const ticket = parameterOf(url, "ticket") || undefined;
    if (header === undefined && ticket !== undefined) return this.#redeem(ticket);
    const token = header ?? query;
    if (token === undefined) {
      if (this.#authenticator.isProtected) return undefined;
      this.#authenticator.admit(EVERYBODY);
      return EVERYBODY;
    }
    return this.#authenticator.identify(token, this.about(visitor));
  }

  /** A ticket for an identity, and the seconds in which it can be used. */
  async ticketFor(identity: Identity): Promise<{ ticket: string; expires_in: number }> {
    return { ticket: await this.#tickets.issue(identity), expires_in: this.#tickets.ttl };
  }

  /** What a program that decides may know of a request; nothing where none does. */
  about({ request, url, peer }: Visitor<RequestHead>): AuthRequest | undefined {
    if (!this.#authenticator.wantsRequest) return undefined;
    const headers = new Headers([...request.headers]);
    headers.delete("cookie");
    const bare = new URL(url);
    for (const name of ["token", "ticket"]) bare.searchParams.delete(name);
    return { headers, url: bare.href, address: peer.address };
  }

  async #redeem(ticket: string): Promise<Identity> {
    const identity = await this.#tickets.redeem(ticket);
    this.#authenticator.admit(identity);
    return identity;
  }
}
