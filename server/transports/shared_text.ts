/**
 * Makes of frames the text that is sent. Those that stand at the same place of a channel are sent the
 * same frames, one after the other: the last text is kept, and shared.
 */
export class SharedText {
  readonly #make: (array: string) => string;
  readonly #none: string;
  #frame = "";
  #text = "";

  /** @param make the text that is sent, of a JSON array of frames */
  constructor(make: (array: string) => string) {
    this.#make = make;
    this.#none = make("[]");
  }

  /** The text of frames, each of which is one JSON object, or an array of them. */
  of(frames: readonly string[]): string {
    if (frames.length === 0) return this.#none;
    if (frames.length > 1) return this.#make(`[${frames.map(bare).join(",")}]`);
    const [frame] = frames;
    if (frame !== this.#frame) {
      this.#text = this.#make(isArray(frame) ? frame : `[${frame}]`);
      this.#frame = frame;
    }
    return this.#text;
  }
}

function isArray(frame: string): boolean {
  return frame.charCodeAt(0) === 0x5b;
}

function bare(frame: string): string {
  return isArray(frame) ? frame.slice(1, -1) : frame;
}
