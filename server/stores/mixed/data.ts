import type { Json } from "@push/client/protocol";
import { MemoryData } from "../memory/data.ts";
import { MemoryLog } from "../memory/log.ts";
import type { Position } from "../memory/position.ts";
import { MemoryShelf } from "../memory/shelf.ts";
import type { Tally } from "../memory/tally.ts";
import { Needs } from "./needs.ts";

/** Sessions, positions and dead letters of a node whose logs are elsewhere. */
export class MixedData extends MemoryData {
  /** What the sessions need of which log. */
  readonly needs: Needs = new Needs();

  /** Makes the place of a channel's positions; it never has a message. */
  override makeLog(
    name: string,
    epoch: string,
    metadata: { readonly [key: string]: Json },
    now: number,
  ): MemoryLog {
    return new Anchor(name, epoch, metadata, now, this.tally, this.needs);
  }
}

/** Where the positions of one channel hang. */
class Anchor extends MemoryLog {
  readonly #needs: Needs;

  constructor(
    name: string,
    epoch: string,
    metadata: { readonly [key: string]: Json },
    now: number,
    tally: Tally,
    needs: Needs,
  ) {
    super(name, epoch, metadata, now, tally, new MemoryShelf());
    this.#needs = needs;
  }

  override place(position: Position): void {
    super.place(position);
    this.#needs.place(this.name, position);
  }

  override remove(position: Position): void {
    super.remove(position);
    this.#needs.remove(this.name, position);
  }
}
