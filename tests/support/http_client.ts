import type { Frame } from "./wire_client.ts";

/** An answer over HTTP. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The text as JSON; an empty object if it is none. */
  readonly body: Frame;
}

/** What a request may carry beside its address. */
export interface Asking {
  readonly method?: string;
  /** A value is sent as JSON, a text or bytes as they are. */
  readonly body?: unknown;
  /** Bearer token. */
  readonly token?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** Asks over HTTP: `POST` if there is a body, else `GET`. */
export async function ask(url: string, asking: Asking = {}): Promise<Answer> {
  const { body, token, signal } = asking;
  const raw = body === undefined || typeof body === "string" || body instanceof Uint8Array;
  const response = await fetch(url, {
    method: asking.method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...asking.headers,
    },
    body: (raw ? body : JSON.stringify(body)) as BodyInit | undefined,
    signal,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parse(text) };
}

function parse(text: string): Frame {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** A long-poller of the fixed wire, spoken raw. */
export class PollClient {
  /** Client id that the gateway answered. */
  readonly clientId: string;
  /** Its token. */
  readonly pollToken: string;
  readonly #http: string;

  private constructor(http: string, { client_id, poll_token }: Frame) {
    this.#http = http;
    this.clientId = client_id;
    this.pollToken = poll_token;
  }

  /** Registers; throws if that is refused. */
  static async register(
    http: string,
    body: unknown = {},
    asking: Asking = {},
  ): Promise<PollClient> {
    return (await PollClient.open(http, body, asking))[0];
  }

  /** Registers; resolves to the answer, too. */
  static async open(
    http: string,
    body: unknown = {},
    asking: Asking = {},
  ): Promise<[client: PollClient, answer: Frame]> {
    const answer = await ask(`${http}/api/push/poll/register`, { body, ...asking });
    if (answer.status !== 200) throw new Error(`Cannot register: ${answer.text}`);
    return [new PollClient(http, answer.body), answer.body];
  }

  /** Posts to one of its routes, with its token. */
  post(route: string, body: Frame = {}, signal?: AbortSignal): Promise<Answer> {
    const poll_token = this.pollToken;
    return ask(`${this.#http}/api/push/poll/${route}`, { body: { poll_token, ...body }, signal });
  }

  /** Polls; resolves to the messages. */
  async poll(timeout?: number): Promise<Frame[]> {
    const answer = await this.post("messages", timeout === undefined ? {} : { timeout });
    if (answer.status !== 200) throw new Error(`Cannot poll: ${answer.text}`);
    return answer.body.messages;
  }
}
