import {
  type Code,
  CODES,
  decodeBatch,
  type Decoded,
  decodeFrame,
  type GatewayFrame,
  isSeq,
  PushError,
} from "@push/client/protocol";
import { booleanField, byteLength } from "./fields.ts";
import { handleFrame } from "./frames.ts";
import { open, readOpening, sessionTtl } from "./handshake.ts";
import type { Hub } from "../hub.ts";
import type { Authenticator } from "../access/authenticator.ts";
import type { Identity } from "../access/identity.ts";
import type { Session } from "../session/session.ts";
import type { Connection } from "../transports/connection.ts";

/** What is known of a connection when it is accepted. */
export interface DialogTerms {
  /** Who speaks, if the connection said so; otherwise its first frame must. */
  readonly identity?: Identity;
  /** Name of the client, if the connection gave one. */
  readonly clientId?: string;
  /** Called once the client has said that it understands batches. */
  onExtended(): void;
}

type State = "new" | "opening" | "attached" | "ended";

const MAX_WAITING_CHARACTERS = 1_048_576;
/** Milliseconds in which a connection without an identity must show one. */
const HANDSHAKE_TIMEOUT = 10_000;

/**
 * The conversation over one WebSocket: reads what arrives, attaches the session with the first
 * frame, answers in order of arrival where it can, and never throws.
 */
export class Dialog {
  readonly #hub: Hub;
  readonly #authenticator: Authenticator;
  readonly #connection: Connection;
  readonly #terms: DialogTerms;
  #state: State = "new";
  /** A `connect` frame was refused: what was sent behind it belongs to no other wire. */
  #mustConnect = false;
  #session: Session | undefined;
  /** Frames that came before the session was there. */
  #waiting: string[] = [];
  #waitingCharacters = 0;
  #cancelTimeout: (() => void) | undefined;

  /** @param connection way back to the client */
  constructor(
    hub: Hub,
    authenticator: Authenticator,
    connection: Connection,
    terms: DialogTerms,
  ) {
    this.#hub = hub;
    this.#authenticator = authenticator;
    this.#connection = connection;
    this.#terms = terms;
    if (terms.identity === undefined) {
      this.#cancelTimeout = hub.context.clock.schedule(HANDSHAKE_TIMEOUT, () => {
        this.#end(
          "handshake_timeout",
          `No token came within ${HANDSHAKE_TIMEOUT / 1000} seconds.`,
        );
      });
    }
  }

  /** A text frame arrived. */
  receive(text: string): void {
    if (this.#state === "ended") return;
    const { maxFrameBytes } = this.#hub.context.settings.limits;
    // A UTF-16 unit is one to three bytes: most frames need no counting.
    if (text.length > maxFrameBytes / 3 && byteLength(text) > maxFrameBytes) {
      this.#end("frame_too_large", `A frame may have at most ${maxFrameBytes} bytes.`);
      return;
    }
    if (this.#state === "attached") this.#handleText(text);
    else if (this.#state === "opening") this.#wait(text);
    else this.#open(text);
  }

  /** The connection takes messages again. */
  drained(): void {
    if (this.#session !== undefined) this.#hub.drained(this.#session);
  }

  /** Something else than a text frame arrived. */
  receiveBinary(): void {
    this.#end("binary_frame");
  }

  /**
   * The connection is gone.
   *
   * @param code close code; 1000 is a client that went on purpose, and so is, on the fixed wire, a
   *   close without a code (1005): `@push/client` drops a connection in that way to take another
   */
  closed(code: number): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#cancelTimeout?.();
    const session = this.#session;
    if (session === undefined) return;
    const left = code === 1000 || (code === 1005 && session.wire === "fixed");
    this.#detach(session, left ? "left" : "lost");
  }

  #wait(text: string): void {
    this.#waitingCharacters += text.length;
    if (this.#waitingCharacters > MAX_WAITING_CHARACTERS) this.#end("rate_limited");
    else this.#waiting.push(text);
  }

  #open(text: string): void {
    let decoded: Decoded;
    try {
      decoded = decodeFrame(text, this.#hub.context.settings.limits.maxNesting);
    } catch (error) {
      this.#reply(errorFrame(error));
      if (this.#terms.identity === undefined) this.#end("token_required");
      return;
    }
    const connects = decoded.frame.type === "connect";
    if (this.#mustConnect && !connects) {
      this.#reply(
        errorFrame(new PushError("bad_request", "The 'connect' frame was refused: send it again.")),
      );
      return;
    }
    this.#state = "opening";
    const opened = connects ? this.#openExtended(decoded) : this.#openFixed(text);
    opened.catch((error) => {
      const frame = errorFrame(error);
      this.#reply(frame);
      this.#end(CODES[frame.code].close === undefined ? "internal" : frame.code, frame.message);
    });
  }

  async #openExtended({ frame }: Decoded): Promise<void> {
    let opening;
    try {
      opening = readOpening(frame);
    } catch (error) {
      if (error instanceof PushError && CODES[error.code].close !== undefined) throw error;
      // A mistake in the frame: the client may correct it over the same connection.
      this.#reply(errorFrame(error));
      this.#mustConnect = true;
      this.#state = "new";
      this.#drainWaiting();
      return;
    }
    const identity = opening.token === undefined && this.#terms.identity !== undefined
      ? this.#terms.identity
      : await this.#authenticator.identify(opening.token);
    const named = opening.clientId === undefined && this.#terms.clientId !== undefined
      ? { ...opening, clientId: this.#terms.clientId, secret: undefined }
      : opening;
    const opened = await open(this.#hub, identity, named, this.#connection);
    if (this.#isEnded) return this.#detach(opened.session, "lost");
    this.#terms.onExtended();
    this.#attached(opened.session);
    this.#reply(opened.frame);
    opened.start();
    this.#drainWaiting();
  }

  async #openFixed(text: string): Promise<void> {
    const identity = this.#terms.identity ?? await this.#authenticator.identify(undefined);
    const { clientId: name } = this.#terms;
    const { session } = await this.#hub.attach({
      identity,
      name,
      ttl: name === undefined ? 0 : sessionTtl(this.#hub, true),
      wire: "fixed",
    }, this.#connection);
    if (this.#isEnded) return this.#detach(session, "lost");
    this.#attached(session);
    this.#handleText(text);
    this.#drainWaiting();
  }

  get #isEnded(): boolean {
    return this.#state === "ended";
  }

  #attached(session: Session): void {
    this.#cancelTimeout?.();
    this.#session = session;
    this.#state = "attached";
  }

  #drainWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingCharacters = 0;
    for (const text of waiting) this.receive(text);
  }

  #handleText(text: string): void {
    const session = this.#session!;
    const { maxNesting } = this.#hub.context.settings.limits;
    this.#hub.presence.seen(session);
    try {
      const batch = session.wire === "extended"
        ? decodeBatch(text, maxNesting)
        : [decodeFrame(text, maxNesting)];
      for (const decoded of batch) {
        // Nothing counts behind a disconnect.
        if (this.#isEnded) return;
        this.#handle(session, decoded);
      }
    } catch (error) {
      this.#reply(errorFrame(error));
    }
  }

  #handle(session: Session, decoded: Decoded): void {
    const id = session.wire === "extended" ? requestId(decoded) : {};
    if (decoded.frame.type === "disconnect" && session.wire === "extended") {
      return this.#leave(session, decoded);
    }
    const fail = (error: unknown) => this.#reply({ ...errorFrame(error), ...id });
    try {
      const speaker = { hub: this.#hub, session, connection: this.#connection };
      const reply = handleFrame(speaker, decoded);
      if (reply instanceof Promise) {
        reply.then(({ frame, after }) => {
          if (frame !== undefined) this.#reply({ ...frame, ...id });
          after?.();
        }).catch(fail);
      } else if (reply.frame !== undefined) {
        this.#reply({ ...reply.frame, ...id });
      }
    } catch (error) {
      fail(error);
    }
  }

  #leave(session: Session, decoded: Decoded): void {
    const forget = booleanField(decoded.frame, "forget");
    this.#state = "ended";
    this.#detach(session, forget ? "forget" : "left");
    this.#connection.close("normal");
  }

  #reply(frame: GatewayFrame): void {
    if (frame.type === "error") {
      const { metrics } = this.#hub.context;
      metrics.count(metrics.errors, frame.code);
    }
    // An answer may come when its connection has gone.
    if (this.#state !== "ended") this.#connection.send(JSON.stringify(frame), 0);
  }

  #end(code: Code, detail?: string): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#cancelTimeout?.();
    this.#waiting = [];
    if (this.#session !== undefined) this.#detach(this.#session, "lost");
    this.#connection.close(code, detail);
  }

  #detach(session: Session, how: "lost" | "left" | "forget"): void {
    this.#hub.detach(session, this.#connection, how);
  }
}

/** The frame that tells a client what went wrong. */
export function errorFrame(error: unknown): GatewayFrame & { type: "error"; code: Code } {
  const known = error instanceof PushError ? error : new PushError("internal");
  return { type: "error", code: known.code, message: known.message };
}

/** The request id to echo, if the frame has a usable one. */
export function requestId({ frame }: Decoded): { request_id?: number } {
  return isSeq(frame.request_id) ? { request_id: frame.request_id } : {};
}
