import type { Socket } from "node:net";
import { Lane, type Toxics } from "./lane.ts";

/** What a link asks its proxy. */
export interface LinkHost {
  /** What is done to the bytes on the way to the server, and back. */
  readonly toxics: { readonly up: Toxics; readonly down: Toxics };
  /** Whether it carries the Redis protocol. */
  readonly redis: boolean;
  /** A number from 0 up to, and without, 1. */
  readonly random: () => number;
  /** Looks at a command; what it returns is called when the answer was dropped. */
  swallows(command: string): (() => void) | undefined;
  /** A message of a Redis channel was dropped. */
  unheard(): void;
}

/** Beginnings of what a Redis server pushes: messages of channels, patterns and shards. */
const MESSAGE = /^[*>]\d+\r\n\$\d+\r\n[sp]?message\r\n/;

const PUSH = ">".charCodeAt(0);
const decoder = new TextDecoder();

/** One connection through the proxy. */
export class Link {
  /** Resolves once both sockets are closed. */
  readonly closed: Promise<void>;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #host: LinkHost;
  readonly #lanes: readonly Lane[];
  #asked = 0;
  #answered = 0;
  /** The answer to drop, counted from the first, and whom to tell. */
  #swallowed: { readonly nth: number; readonly done: () => void } | undefined;

  constructor(client: Socket, server: Socket, host: LinkHost) {
    this.#client = client;
    this.#server = server;
    this.#host = host;
    const { random, redis } = host;
    this.#lanes = [
      new Lane(client, server, {
        toxics: () => host.toxics.up,
        sieve: (piece) => this.#goesUp(piece),
        reset: () => this.reset(),
        random,
        redis,
      }),
      new Lane(server, client, {
        toxics: () => host.toxics.down,
        sieve: (piece) => this.#comesDown(piece),
        reset: () => this.reset(),
        random,
        redis,
      }),
    ];
    this.closed = Promise.all([client, server].map(closing)).then(() => {
      for (const lane of this.#lanes) lane.close();
    });
  }

  /** The toxics are others. */
  wake(): void {
    for (const lane of this.#lanes) lane.wake();
  }

  /** Ends both sides with a TCP reset. */
  reset(): void {
    for (const lane of this.#lanes) lane.close();
    for (const socket of [this.#client, this.#server]) socket.resetAndDestroy();
  }

  #goesUp(piece: Uint8Array): "pass" {
    this.#asked++;
    if (this.#swallowed !== undefined) return "pass";
    const done = this.#host.swallows(decoder.decode(piece));
    if (done !== undefined) {
      // Without frames nobody can count: the next bytes are the answer.
      this.#swallowed = { nth: this.#host.redis ? this.#asked : this.#answered + 1, done };
    }
    return "pass";
  }

  #comesDown(piece: Uint8Array): "pass" | "drop" | "cut" {
    if (this.#host.redis) {
      const isMessage = MESSAGE.test(decoder.decode(piece.subarray(0, 32)));
      if (isMessage && this.#host.toxics.down.deaf) {
        this.#host.unheard();
        return "drop";
      }
      // What is pushed answers nothing.
      if (isMessage || piece[0] === PUSH) return "pass";
    }
    this.#answered++;
    if (this.#swallowed === undefined || this.#answered < this.#swallowed.nth) return "pass";
    this.#swallowed.done();
    return "cut";
  }
}

function closing(socket: Socket): Promise<void> {
  // Its end is told by `close`, whatever the reason.
  socket.on("error", () => {});
  socket.setNoDelay(true);
  return new Promise((resolve) => socket.once("close", () => resolve()));
}
