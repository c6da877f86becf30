import {
  type Code,
  CODES,
  decodeBatch,
  type Decoded,
  decodeFrame,
  type GatewayFrame,
  PushError,
} from "@push/client/protocol";
import { errorFrame, maySettle, requestId, settles } from "./answers.ts";
import { Backlog, type BacklogOwner } from "./backlog.ts";
import { booleanField, byteLength } from "./fields.ts";
import { handleFrame, type Reply } from "./frames.ts";
import { open, type Opening, readOpening, sessionTtl } from "./handshake.ts";
import { Publishes, type PublishesOwner } from "./publishes.ts";
import { refresh } from "./refresh.ts";
import { SPAN, workOf } from "../slices.ts";
import { tellFailure } from "./refusal.ts";
import type { HubContext } from "../context.ts";
import type { Hub } from "../hub.ts";
import type { Authenticator, AuthRequest } from "../access/authenticator.ts";
import type { Bucket } from "../limits/bucket.ts";
import type { Identity } from "../access/identity.ts";
import type { Session } from "../session/session.ts";
import type { Connection } from "../transports/connection.ts";

/** What is known of a connection when it is accepted. */
export interface DialogTerms {
  /** Who speaks, if the connection said so; otherwise its first frame must. */
  readonly identity?: Identity;
  /** What is known of the connection, for a program that decides who speaks. */
  readonly request?: AuthRequest;
  /** Address of the other end, if it is known. */
  readonly address?: string;
  /** Name of the client, if the connection gave one. */
  readonly clientId?: string;
  /** Called once the client has said that it understands batches. */
  onExtended(): void;
  /** Called when so many frames wait that no more should be read, and when so few that it should again. */
  onBacklog?(isFull: boolean): void;
  /** Called when some of the frames that waited, or all, have been handled. */
  onHandled?(): void;
}

/** Units of work that a frame is whose answer leaves by itself: most of it is to write that. */
const LONE_ANSWER = 8;

const NO_ID: { readonly request_id?: number } = {};

type State = "new" | "opening" | "attached" | "ended";

/** Most characters that wait for a session… */
const MAX_OPENING_CHARACTERS = 1_048_576;
/** …and for a turn. */
const MAX_BACKLOG_CHARACTERS = 16 * 1_048_576;

/**
 * The conversation over one WebSocket: reads what arrives, attaches the session with the first
 * frame, answers in order of arrival where it can, and never throws.
 */
export class Dialog implements BacklogOwner, PublishesOwner {
  readonly #hub: Hub;
  readonly #authenticator: Authenticator;
  readonly #connection: Connection;
  readonly #terms: DialogTerms;
  #state: State = "new";
  /** A `connect` frame was refused: what was sent behind it belongs to no other wire. */
  #mustConnect = false;
  #session: Session | undefined;
  /** Ends the wait of a connection that has not said who it is. */
  #cancelTimeout: (() => void) | undefined;
  /** What it may send. */
  readonly #frames: Bucket;
  /** Units of work that were done since a moment, without waiting for a turn. */
  #worked = 0;
  #workedSince = 0;
  /** What waits for the session, or for a turn. */
  #backlog: Backlog | undefined;
  /** What it publishes; absent as long as it never has. */
  #publishes: Publishes | undefined;

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
    const { limits, clock, settings: { limits: { handshakeTimeout } } } = hub.context;
    this.#frames = limits.frames();
    if (terms.identity === undefined) {
      limits.beginHandshake();
      this.#cancelTimeout = clock.schedule(handshakeTimeout, () => {
        this.#end(
          "handshake_timeout",
          `No token came within ${handshakeTimeout / 1000} seconds (handshakeTimeout).`,
        );
      });
    }
  }

  /** See {@linkcode PublishesOwner.context}. */
  get context(): HubContext {
    return this.#hub.context;
  }

  /** Texts that wait for a turn. */
  get behind(): number {
    return this.#backlog?.count ?? 0;
  }

  /** A text frame arrived. */
  receive(text: string): void {
    // What comes behind the end is neither counted nor looked at.
    if (this.#state === "ended") return;
    if (this.#backlog !== undefined && maySettle(text) || this.#pays(text)) this.#hear(text);
    else this.#endFlood();
  }

  #pays(text: string): boolean {
    return this.#frames.pay(this.#hub.context.clock.now(), text.length);
  }

  #hear(text: string): void {
    const { maxFrameBytes } = this.#hub.context.settings.limits;
    // A UTF-16 unit is one to three bytes: most frames need no counting.
    if (text.length > maxFrameBytes / 3 && byteLength(text) > maxFrameBytes) {
      this.#end(
        "frame_too_large",
        `A frame may have at most ${maxFrameBytes} bytes (maxFrameBytes).`,
      );
      return;
    }
    if (this.#backlog !== undefined) this.#defer(this.#backlog, text);
    else if (this.#state === "opening") this.#waitFirst(text);
    else if (!this.#mayWork()) this.#waitFirst(text).wait();
    else if (!this.#hub.context.slices.admits()) this.#waitFirst(text).standInLine();
    else if (this.#state === "attached") this.#handleBatch(this.#decode(text));
    else this.#open(text);
  }

  /** Nothing else waits yet. */
  #waitFirst(text: string): Backlog {
    // It pays when it is handled.
    if (maySettle(text)) this.#frames.refund();
    const backlog = this.#beginBacklog();
    this.#defer(backlog, text);
    return backlog;
  }

  /** The connection takes messages again. */
  drained(): void {
    if (this.#session !== undefined) this.#hub.goesOn(this.#session);
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
   * @param byPeer whether the client has ended it: then what it sent before counts
   */
  closed(code: number, byPeer = true): void {
    if (this.#state === "ended") return;
    // Its very first words may stand in line, or wait for their session.
    if (byPeer && (this.#backlog !== undefined || this.#state === "opening")) {
      const backlog = this.#backlog ?? this.#beginBacklog();
      backlog.closed ??= code;
      // No more comes from it.
      return this.#endHandshake();
    }
    this.#state = "ended";
    this.#endBacklog();
    this.#endHandshake();
    const session = this.#session;
    if (session === undefined) return;
    const left = code === 1000 || (code === 1005 && session.wire === "fixed");
    this.#detach(session, left ? "left" : "lost");
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
    if (connects) this.#connect(decoded);
    else this.#openFixed(decoded);
  }

  /** The connection cannot have a session. */
  #refuse(error: unknown, decoded: Decoded): void {
    this.#failed(error);
    this.#tell(error, decoded);
    const frame = errorFrame(error);
    this.#reply(frame);
    const code = CODES[frame.code].close === undefined ? "internal" : frame.code;
    this.#end(code, frame.message, true);
  }

  #connect(decoded: Decoded): void {
    let opening: Opening;
    try {
      opening = readOpening(decoded.frame);
    } catch (error) {
      const { close } = CODES[errorFrame(error).code];
      if (error instanceof PushError && close !== undefined) return this.#refuse(error, decoded);
      // A mistake in the frame: the client may correct it over the same connection.
      this.#reply(errorFrame(error));
      this.#mustConnect = true;
      this.#state = "new";
      return;
    }
    this.#openExtended(opening, decoded);
  }

  async #openExtended(opening: Opening, decoded: Decoded): Promise<void> {
    try {
      const { token } = opening;
      if (token !== undefined) this.#checkFailures();
      const identity = token === undefined && this.#terms.identity !== undefined
        ? this.#terms.identity
        : await this.#authenticator.identify(token, this.#terms.request);
      const named = opening.clientId === undefined && this.#terms.clientId !== undefined
        ? { ...opening, clientId: this.#terms.clientId, secret: undefined }
        : opening;
      const opened = await open(this.#hub, identity, named, this.#connection);
      if (this.#isEnded) return this.#detach(opened.session, "lost");
      this.#terms.onExtended();
      this.#attached(opened.session);
      this.#reply(opened.frame);
      opened.start();
      this.#backlog?.goOn();
    } catch (error) {
      this.#refuse(error, decoded);
    }
  }

  async #openFixed(decoded: Decoded): Promise<void> {
    try {
      const identity = this.#terms.identity ??
        await this.#authenticator.identify(undefined, this.#terms.request);
      const { clientId: name } = this.#terms;
      const { session } = await this.#hub.attach({
        identity,
        name,
        ttl: name === undefined ? 0 : sessionTtl(this.#hub, true),
        wire: "fixed",
      }, this.#connection);
      if (this.#isEnded) return this.#detach(session, "lost");
      this.#attached(session);
      this.#worked += workOf(decoded.text);
      if (this.#backlog === undefined) return this.#handleBatch([decoded]);
      this.#backlog.begin([decoded]);
      this.#backlog?.goOn();
    } catch (error) {
      this.#refuse(error, decoded);
    }
  }

  get #isEnded(): boolean {
    return this.#state === "ended";
  }

  #attached(session: Session): void {
    this.#endHandshake();
    this.#session = session;
    this.#state = "attached";
  }

  /** A client that sends on behind a close frame may be cut off before it reads it. */
  #endFlood(): void {
    const detail = this.#hub.context.limits.framesDetail;
    this.#reply({ type: "error", code: "too_many_frames", message: detail });
    this.#end("too_many_frames", detail);
  }

  #endHandshake(): void {
    if (this.#cancelTimeout === undefined) return;
    this.#cancelTimeout();
    this.#cancelTimeout = undefined;
    this.#hub.context.limits.endHandshake();
  }

  #handleBatch(batch: readonly Decoded[]): void {
    try {
      for (let done = 0; done < batch.length; done++) {
        // Nothing counts behind a disconnect.
        if (this.#isEnded) return;
        if (done > 0 && !this.#mayWork()) {
          const backlog = this.#beginBacklog();
          backlog.begin(batch, done);
          return backlog.wait();
        }
        this.#handle(this.#session!, batch[done]);
      }
    } finally {
      this.#publishes?.store();
    }
  }

  /** Whether more may be done in this turn. */
  #mayWork(): boolean {
    const { clock, slices } = this.#hub.context;
    const now = clock.now();
    if (Math.abs(now - this.#workedSince) >= SPAN) {
      this.#workedSince = now;
      this.#worked = 0;
    }
    return ++this.#worked <= slices.first;
  }

  #beginBacklog(): Backlog {
    return this.#backlog = new Backlog(this, this.#hub.context);
  }

  #endBacklog(): void {
    const backlog = this.#backlog;
    if (backlog === undefined) return;
    this.#backlog = undefined;
    backlog.drop();
  }

  #defer(backlog: Backlog, text: string): void {
    backlog.add(text);
    const isOpening = this.#state === "opening";
    const most = isOpening ? MAX_OPENING_CHARACTERS : MAX_BACKLOG_CHARACTERS;
    if (backlog.waiting <= most) return;
    if (isOpening) this.#end("rate_limited");
    else this.overflowed("Frames come faster than they can be handled.");
  }

  /** See {@linkcode BacklogOwner.weight}. */
  get weight(): number {
    return this.#session?.wire === "extended" ? 1 : LONE_ANSWER;
  }

  /** See {@linkcode BacklogOwner.goesOn}. */
  goesOn(backlog: Backlog): boolean {
    return this.#backlog === backlog && this.#state !== "opening";
  }

  /** See {@linkcode BacklogOwner.take}. */
  take(text: string): readonly Decoded[] {
    if (maySettle(text) && !this.#pays(text)) this.#endFlood();
    else if (this.#state === "attached") return this.#decode(text);
    else this.#open(text);
    return [];
  }

  /** See {@linkcode BacklogOwner.handle}. */
  handle(frame: Decoded): void {
    this.#handle(this.#session!, frame);
  }

  /** See {@linkcode BacklogOwner.paused}. */
  paused(): void {
    this.#publishes?.store();
    this.#terms.onHandled?.();
  }

  /** See {@linkcode BacklogOwner.emptied}. */
  emptied({ closed }: Backlog, done: number): void {
    this.#publishes?.store();
    this.#worked = done;
    this.#workedSince = this.#hub.context.clock.now();
    this.#endBacklog();
    if (closed !== undefined) this.closed(closed);
  }

  /** See {@linkcode BacklogOwner.filled}. */
  filled(isFull: boolean): void {
    this.#terms.onBacklog?.(isFull);
  }

  /** See {@linkcode BacklogOwner.overflowed}. */
  overflowed(detail: string): void {
    this.#end("too_many_frames", detail);
  }

  /** See {@linkcode BacklogOwner.failed}. */
  failed(error: unknown): void {
    this.#tell(error);
    this.#end("internal", undefined, true);
  }

  /** Frames of a text that a client with a session has sent; none if they are refused. */
  #decode(text: string): readonly Decoded[] {
    const session = this.#session!;
    const { maxNesting } = this.#hub.context.settings.limits;
    this.#hub.presence.seen(session);
    this.#worked += workOf(text);
    try {
      const batch = session.wire === "extended"
        ? decodeBatch(text, maxNesting)
        : [decodeFrame(text, maxNesting)];
      const { clock, limits } = this.#hub.context;
      // One of them is paid for.
      if (batch.length <= 1 || this.#frames.take(clock.now(), batch.length - 1)) return batch;
      this.#end("too_many_frames", limits.framesDetail);
    } catch (error) {
      this.#tell(error);
      this.#reply(errorFrame(error));
    }
    return [];
  }

  #handle(session: Session, decoded: Decoded): void {
    if (decoded.frame.type === "channel.publish") {
      return (this.#publishes ??= new Publishes(this, session)).add(decoded);
    }
    this.#publishes?.store();
    const id = session.wire === "extended" ? requestId(decoded) : NO_ID;
    const fail = (error: unknown) => this.fail(error, decoded, id.request_id);
    try {
      if (decoded.frame.type === "disconnect" && session.wire === "extended") {
        return this.#leave(session, decoded);
      }
      const speaker = { hub: this.#hub, session, connection: this.#connection };
      const reply = decoded.frame.type === "auth.refresh"
        ? this.#refresh(session, decoded)
        : handleFrame(speaker, decoded);
      if (reply instanceof Promise) {
        reply.then((reply) => this.#answer(reply, id)).catch(fail);
      } else if (reply.frame !== undefined) {
        // To settle what was sent is no more than what was sent.
        if (settles(reply.frame)) this.#frames.refund();
        this.#answer(reply, id);
      }
    } catch (error) {
      fail(error);
    }
  }

  #answer({ frame, after }: Reply, id: { readonly request_id?: number }): void {
    if (frame !== undefined) this.#reply(id.request_id === undefined ? frame : { ...frame, ...id });
    after?.();
  }

  /** See {@linkcode PublishesOwner.fail}. */
  fail(error: unknown, decoded: Decoded, requestId: number | undefined): void {
    this.#tell(error, decoded);
    const id = requestId === undefined ? {} : { request_id: requestId };
    this.#reply({ ...errorFrame(error), ...id });
  }

  async #refresh(session: Session, { frame }: Decoded): Promise<Reply> {
    this.#checkFailures();
    const refreshed = await refresh({
      hub: this.#hub,
      authenticator: this.#authenticator,
      session,
      connection: this.#connection,
      request: this.#terms.request,
    }, frame).catch((error: unknown) => {
      this.#failed(error);
      throw error;
    });
    return { frame: refreshed };
  }

  #checkFailures(): void {
    this.#hub.context.limits.checkFailures(this.#terms.address);
  }

  /** Logs why a frame has failed, or the whole connection. */
  #tell(error: unknown, decoded?: Decoded): void {
    const { identity, address: peer, clientId: name } = this.#terms;
    const { subject, clientId } = this.#session?.owner ??
      { subject: identity?.subject, clientId: name };
    tellFailure(this.#hub.context, error, { peer, subject, clientId }, decoded);
  }

  #failed(error: unknown): void {
    this.#hub.context.limits.failed(this.#terms.address, error);
  }

  #leave(session: Session, decoded: Decoded): void {
    const forget = booleanField(decoded.frame, "forget");
    this.#state = "ended";
    this.#endBacklog();
    this.#detach(session, forget ? "forget" : "left");
    this.#connection.close("normal");
  }

  #reply(frame: GatewayFrame): void {
    if (frame.type === "error") {
      const { metrics } = this.#hub.context;
      metrics.count(metrics.errors, frame.code);
    }
    this.send(JSON.stringify(frame));
  }

  /** See {@linkcode PublishesOwner.send}. */
  send(text: string): void {
    // An answer may come when its connection has gone.
    if (this.#state !== "ended") this.#connection.send(text, 0);
  }

  #end(code: Code, detail?: string, isTold = false): void {
    if (this.#state === "ended") return;
    if (!isTold) this.#tell(new PushError(code, detail));
    // What came before its end counts.
    this.#publishes?.store();
    this.#state = "ended";
    this.#endHandshake();
    // The peer's close is read, too.
    this.#endBacklog();
    if (this.#session !== undefined) this.#detach(this.#session, "lost");
    this.#connection.close(code, detail);
  }

  #detach(session: Session, how: "lost" | "left" | "forget"): void {
    this.#hub.detach(session, this.#connection, how);
  }
}
