import { within } from "./within.ts";

/** One event of a stream, or what came between two. */
export interface ReadEvent {
  /** Text of its data; `undefined` if it has none. */
  readonly data: string | undefined;
  /** Last id that the stream has given, up to this one. */
  readonly id: string;
  /** Milliseconds that it told to wait before coming back; `undefined` if it said nothing. */
  readonly retry: number | undefined;
  /** Whether it is nothing but a comment. */
  readonly isComment: boolean;
}

/** What a request for a stream may carry beside its address. */
export interface EventAsking {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** Reads server-sent events, as the HTML standard says in section 9.2.6. */
export class EventReader implements AsyncDisposable {
  readonly response: Response;
  readonly #aborted: AbortController;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";
  #id = "";

  /** @param response a stream that was opened @param aborted hangs up */
  constructor(response: Response, aborted: AbortController) {
    this.response = response;
    this.#aborted = aborted;
    this.#reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Opens a stream; throws if the answer is something else. */
  static async open(url: string, asking: EventAsking = {}): Promise<EventReader> {
    const aborted = new AbortController();
    const { method, body, headers } = asking;
    const response = await fetch(url, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: aborted.signal,
    });
    if (response.headers.get("content-type") !== "text/event-stream") {
      throw new Error(`${response.status} ${await response.text()}`);
    }
    return new EventReader(response, aborted);
  }

  /** Whether this side has hung up. */
  get isClosed(): boolean {
    return this.#aborted.signal.aborted;
  }

  /** The last id. */
  get lastId(): string {
    return this.#id;
  }

  /** What comes next; `undefined` once the stream has ended, or has broken. */
  async read(): Promise<ReadEvent | undefined> {
    let end: number;
    while ((end = this.#text.indexOf("\n\n")) < 0) {
      const { value } = await this.#reader.read().catch(() => ({ value: undefined }));
      if (value === undefined) return undefined;
      this.#text += value;
    }
    const block = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 2);
    return this.#parse(block.split("\n"));
  }

  /** What comes, up to the end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReadEvent> {
    while (true) {
      const event = await this.read();
      if (event === undefined) return;
      yield event;
    }
  }

  /** The next event with data, as JSON; throws if the stream ends. */
  // deno-lint-ignore no-explicit-any
  async next(): Promise<any> {
    while (true) {
      const event = await within(this.read(), "an event");
      if (event === undefined) throw new Error("The stream has ended");
      if (event.data !== undefined) return JSON.parse(event.data);
    }
  }

  /** Waits for the end; resolves to the data of the events before it. */
  async rest(): Promise<unknown[]> {
    const data: unknown[] = [];
    while (true) {
      const event = await within(this.read(), "the end of the stream");
      if (event === undefined) return data;
      if (event.data !== undefined) data.push(JSON.parse(event.data));
    }
  }

  /** Hangs up. */
  async close(): Promise<void> {
    this.#aborted.abort();
    await this.#reader.cancel().catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #parse(lines: readonly string[]): ReadEvent {
    const data: string[] = [];
    let retry: number | undefined;
    let isComment = true;
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line)!;
      if (field !== "") isComment = false;
      if (field === "data") data.push(value);
      if (field === "id") this.#id = value;
      if (field === "retry") retry = Number(value);
    }
    const text = data.length === 0 ? undefined : data.join("\n");
    return { data: text, id: this.#id, retry, isComment };
  }
}
