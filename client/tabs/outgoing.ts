/** Gathers what goes to tabs in one turn: what goes to the same ones goes together. */
export class Outgoing {
  readonly #post: (to: readonly string[], text: string) => void;
  #waiting: { readonly to: readonly string[]; readonly texts: string[] }[] = [];

  /** @param post sends the text of a frame, or of an array of them */
  constructor(post: (to: readonly string[], text: string) => void) {
    this.#post = post;
  }

  /** Adds a frame. */
  add(to: readonly string[], text: string): void {
    const last = this.#waiting.at(-1);
    if (last && last.to.join() === to.join()) last.texts.push(text);
    else this.#waiting.push({ to, texts: [text] });
  }

  /** Sends all. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { to, texts } of waiting) {
      this.#post(to, texts.length === 1 ? texts[0] : `[${texts.join()}]`);
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#waiting = [];
  }
}
