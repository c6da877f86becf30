import type { Frame } from "../support/wire_client.ts";

/** What a line has of a channel. */
interface Place {
  epoch: string;
  seq: number;
  open: Set<number>;
}

/** What a line that polls has received and settled. */
export class Positions {
  readonly #places = new Map<string, Place>();

  /** As they travel. */
  list(): Frame[] {
    return [...this.#places].map(([channel, { epoch, seq, open }]) => ({
      channel,
      epoch,
      seq,
      open: [...open].sort((a, b) => a - b).flatMap((n) => [n, n]),
    }));
  }

  /** A frame came. */
  received({ type, channel, epoch, seq }: Frame): void {
    if (type !== "channel_message" && type !== "channel.gap") return;
    const place = this.#places.get(channel);
    if (place === undefined || place.epoch !== epoch) {
      const open = new Set(type === "channel_message" ? [seq] : []);
      this.#places.set(channel, { epoch, seq, open });
    } else {
      place.seq = Math.max(place.seq, seq);
      if (type === "channel_message") place.open.add(seq);
    }
  }

  /** Frames are on their way up. */
  sent(frames: readonly Frame[]): void {
    for (const frame of frames) if (frame.type === "ack") frame.acks.forEach(this.#settle);
  }

  readonly #settle = ({ channel, upto = 0, ranges = [] }: Frame): void => {
    const open = this.#places.get(channel)?.open;
    for (const seq of open ?? []) {
      const named = (ranges as number[]).some((from, i) =>
        i % 2 === 0 && seq >= from && seq <= ranges[i + 1]
      );
      if (seq <= upto || named) open!.delete(seq);
    }
  };
}
