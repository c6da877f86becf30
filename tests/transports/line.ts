import type { Frame } from "../support/wire_client.ts";
import type { GatewayOptions } from "../../mod.ts";
import type { Served } from "../support/gateway.ts";

/** One client of the extended wire over some transport, raw: no retry, no reconnect. */
export interface Line extends AsyncDisposable {
  /** The gateway's answer to `connect`. */
  readonly connected: Frame;
  /** How the gateway ended the line: a code of the table; `unreachable` if it was not there. */
  readonly ended: Promise<string>;
  /**
   * Sends frames together; resolves to the answers, in the order of the frames that have one, when
   * the gateway has them all.
   */
  send(...frames: Frame[]): Promise<Frame[]>;
  /** The next frame that answers nothing. */
  next(): Promise<Frame>;
  /** What came and was not asked for yet. */
  readonly unread: readonly Frame[];
  /** Breaks the line without a word; resolves once the gateway has noticed, or need not. */
  sever(): Promise<void>;
}

/** A transport: opens lines to a gateway. */
export interface Transport {
  /** What the tests of it are called. */
  readonly name: string;
  /** What the gateway calls it. */
  readonly transport: string;
  /** What the gateway listens with; by default what it does by itself. */
  readonly options?: GatewayOptions;
  /** Opens a line with a `connect` frame. */
  open(gateway: Served, connect: Frame): Promise<Line>;
}

/** Frames that wait until somebody asks. */
export class Inbox {
  /** What nobody has asked for. */
  readonly unread: Frame[] = [];
  #wake: (() => void) | undefined;

  /** Takes a frame in. */
  add(frame: Frame): void {
    this.unread.push(frame);
    this.#wake?.();
  }

  /** The next frame. */
  async next(): Promise<Frame> {
    while (this.unread.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.unread.shift()!;
  }
}

/** Frames without an answer. */
export const SILENT = new Set(["ack", "nack", "renew", "disconnect"]);
