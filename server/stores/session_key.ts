/**
 * How the key of a session is made, and what a store reads in it.
 *
 * @module
 */

/** Whose session a key is of. */
export interface SessionKeyParts {
  /** Whether the application named the client; else the gateway minted its id. */
  readonly named: boolean;
  /** Id of the client, without percent signs. */
  readonly clientId: string;
  /** Subject of its token. */
  readonly subject: string;
}

/** The key of a session. Different sessions have different ones, whatever the three are. */
export function sessionKey({ named, clientId, subject }: SessionKeyParts): string {
  // A client id may have colons, and no percent sign: else it could reach into the subject.
  const id = clientId.includes(":") ? clientId.replaceAll(":", "%") : clientId;
  return `${named ? "n" : "m"}:${id}:${subject}`;
}

/**
 * The subject that a session belongs to: what is behind the second colon of its key. Keys with fewer
 * belong to one subject together, whose name is empty.
 */
export function subjectOfKey(key: string): string {
  const second = key.indexOf(":", key.indexOf(":") + 1);
  return second < 0 ? "" : key.slice(second + 1);
}
