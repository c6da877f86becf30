import type {
  Json,
  PresenceDiffFrame,
  PresenceEventFrame,
  PresenceState,
} from "@push/client/protocol";

let events = 0;

/** One change of one client's presence in one channel. */
export class PresenceChange {
  /**
   * @param kind what changed
   * @param clientId whose presence
   * @param status status after the change
   * @param metadata metadata after the change
   */
  constructor(
    readonly kind: "join" | "update" | "leave",
    readonly clientId: string,
    readonly status: string,
    readonly metadata: { [key: string]: Json },
  ) {}

  /** Text of the frame that tells several changes at once. */
  static diff(
    channel: string,
    timestamp: number,
    changes: readonly PresenceChange[],
  ): string {
    const states = (kind: PresenceChange["kind"]) =>
      changes.filter((change) => change.kind === kind).map((change) => change.#state());
    const frame: PresenceDiffFrame = {
      type: "presence_diff",
      channel,
      joins: states("join"),
      updates: states("update"),
      leaves: states("leave"),
      timestamp,
    };
    return JSON.stringify(frame);
  }

  /** Text of the frame that tells this change alone. */
  event(channel: string, timestamp: number): string {
    const frame: PresenceEventFrame = {
      type: `presence_${this.kind}`,
      channel,
      data: { client_id: this.clientId, status: this.#status },
      event_id: `presence:${++events}`,
      timestamp,
      source: this.clientId,
    };
    return JSON.stringify(frame);
  }

  get #status(): string {
    return this.kind === "leave" ? "offline" : this.status;
  }

  #state(): PresenceState {
    const state: PresenceState = { client_id: this.clientId, status: this.#status };
    if (this.kind !== "leave") state.metadata = this.metadata;
    return state;
  }
}

/** Changes of one channel that were not told yet, by session. */
export type PresenceChanges = Map<string, PresenceChange>;

/**
 * Adds a change to those that wait to be told, so that the sum is right and as small as can be: who
 * joined and left again is not mentioned, who left and came back has at most changed.
 */
export function mergeChange(pending: PresenceChanges, key: string, change: PresenceChange): void {
  const before = pending.get(key);
  const { clientId, status, metadata } = change;
  if (before?.kind === "join" && change.kind === "leave") pending.delete(key);
  else if (before?.kind === "join") {
    pending.set(key, new PresenceChange("join", clientId, status, metadata));
  } else if (before?.kind === "leave" && change.kind !== "leave") {
    pending.set(key, new PresenceChange("update", clientId, status, metadata));
  } else pending.set(key, change);
}
