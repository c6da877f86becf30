import type { GatewayOptions } from "../../mod.ts";
import { failoverStore } from "../core/failover_store.ts";
import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/http_client.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { WireClient } from "../support/wire_client.ts";
import { differs, fill, type Kept } from "./match.ts";

/**
 * One step of a conversation; exactly one of `open`, `client`, `post`, `get`, `close`, `advance`,
 * `failOver`.
 */
export interface Step {
  /** Opens a WebSocket under this name, with what stands behind `?` and header fields. */
  open?: string;
  query?: string;
  headers?: Record<string, string>;
  /** A client that was opened: sends a frame (a text as it is), then gets exactly these frames. */
  client?: string;
  send?: unknown;
  expect?: unknown[];
  /** Posts to a route under `/api/push/`; the answer is exactly this. */
  post?: string;
  /** Gets a route under `/api/push/`. */
  get?: string;
  body?: unknown;
  status?: number;
  answer?: unknown;
  /** Closes a client's socket with a code, or waits until the gateway has closed it with one. */
  close?: string;
  closed?: string;
  code?: number;
  /** Lets that many seconds pass. */
  advance?: number;
  /** Another engine takes over the logs, without so many messages of each channel. */
  failOver?: { [channel: string]: number };
}

/** A conversation between clients and a gateway of its own. */
export interface Conversation {
  name: string;
  gateway?: GatewayOptions;
  steps: Step[];
}

/** A file of vectors: the conversations that show one frame or route. */
export interface VectorFile {
  /** What the contract says of it. */
  about: string;
  conversations: Conversation[];
}

/** Reads every file of vectors, by its name. */
export async function readVectors(): Promise<[name: string, file: VectorFile][]> {
  const folder = new URL("./vectors/", import.meta.url);
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  return await Promise.all(names.map(async (name): Promise<[string, VectorFile]> => {
    const text = await Deno.readTextFile(new URL(name, folder));
    return [name.replace(/\.json$/, ""), JSON.parse(text)];
  }));
}

/**
 * Plays a conversation with a gateway of its own over real sockets. Throws at the first difference,
 * and if a client was sent anything that no step expects.
 */
export async function play({ gateway: options, steps }: Conversation): Promise<void> {
  const clock = new SocketClock();
  const { engine, store } = failoverStore(options ?? {}, clock);
  const failsOver = steps.some(({ failOver }) => failOver !== undefined);
  await using served = await startGateway(options, { clock, ...(failsOver ? { store } : {}) });
  await using clients = new AsyncDisposableStack();
  const sockets = new Map<string, WireClient>();
  const kept: Kept = new Map();
  const socket = (name: string) => {
    const found = sockets.get(name);
    if (found === undefined) throw new Error(`No step has opened '${name}'`);
    return found;
  };
  const compare = (value: unknown, pattern: unknown) => {
    const difference = differs(value, pattern, kept);
    if (difference === undefined) return;
    throw new Error(`${difference}\n  came:     ${JSON.stringify(value)}`);
  };

  async function run(step: Step): Promise<void> {
    if (step.open !== undefined) {
      const query = step.query === undefined ? "" : `?${step.query}`;
      const client = await WireClient.open(served.ws + query, step.headers);
      sockets.set(step.open, clients.use(client));
    } else if (step.client !== undefined) {
      const client = socket(step.client);
      if (step.send !== undefined) client.send(fill(step.send, kept) as string);
      for (const pattern of step.expect ?? []) compare(await client.next(), pattern);
    } else if (step.post !== undefined || step.get !== undefined) {
      const url = `${served.http}/api/push/${step.post ?? step.get}`;
      const body = step.post === undefined ? undefined : fill(step.body ?? {}, kept);
      const answer = await ask(url, { body, headers: step.headers });
      compare(answer.body, step.answer);
      compare(answer.status, step.status ?? 200);
    } else if (step.close !== undefined) {
      await socket(step.close).close(step.code ?? 1000);
    } else if (step.closed !== undefined) {
      compare((await socket(step.closed).closed).code, step.code);
    } else if (step.failOver !== undefined) {
      await engine.failOver(step.failOver);
    } else if (step.advance !== undefined) {
      await clock.advance(step.advance * 1000);
    } else {
      throw new Error("The step does nothing");
    }
  }

  for (const [index, step] of steps.entries()) {
    try {
      await run(step);
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`Step ${index + 1}, ${JSON.stringify(step)}: ${message}`);
    }
  }
  for (const [name, client] of sockets) {
    const unread = client.isOpen ? await client.settled() : client.unread;
    if (unread.length > 0) {
      throw new Error(`'${name}' was sent what nothing asks for: ${JSON.stringify(unread)}`);
    }
  }
}
