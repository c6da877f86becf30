/**
 * As much of the Redis protocol as the harness needs: one command, one answer.
 *
 * @module
 */

/** What Redis answers. */
export type Reply = string | number | null | Reply[];

/** An error that Redis answered. */
export class ReplyError extends Error {
  /** See {@linkcode Error.name}. */
  override readonly name = "ReplyError";
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const CR = 13;

/** A command as it travels. */
export function encodeCommand(words: readonly (string | number)[]): Uint8Array<ArrayBuffer> {
  const parts = words.map((word) => `$${encoder.encode(`${word}`).length}\r\n${word}\r\n`);
  return encoder.encode(`*${words.length}\r\n${parts.join("")}`);
}

/** The end of the reply that begins at `start`; `undefined` while it is not whole. */
export function replyEnd(bytes: Uint8Array, start: number): number | undefined {
  const line = bytes.indexOf(CR, start);
  if (line < 0 || line + 1 >= bytes.length) return undefined;
  const type = String.fromCharCode(bytes[start]);
  let end = line + 2;
  const size = Number(decoder.decode(bytes.subarray(start + 1, line)));
  // Texts with a length; then what consists of other replies: lists, sets, pushes, and pairs.
  if ("$=!".includes(type)) {
    if (size >= 0) end += size + 2;
    return end <= bytes.length ? end : undefined;
  }
  const members = "*~>".includes(type) ? size : "%|".includes(type) ? 2 * size : 0;
  // Attributes come before the reply that they belong to.
  for (let n = 0; n < members + (type === "|" ? 1 : 0); n++) {
    const next = replyEnd(bytes, end);
    if (next === undefined) return undefined;
    end = next;
  }
  return end;
}

/** The value of a whole reply of RESP2. @throws {ReplyError} if it is an error */
export function decodeReply(bytes: Uint8Array): Reply {
  const line = bytes.indexOf(CR);
  const type = String.fromCharCode(bytes[0]);
  const head = decoder.decode(bytes.subarray(1, line));
  if (type === "-") throw new ReplyError(head);
  if (type === ":") return Number(head);
  if (type === "+") return head;
  if (head === "-1") return null;
  if (type === "$") return decoder.decode(bytes.subarray(line + 2, -2));
  const list: Reply[] = [];
  let start = line + 2;
  for (let n = 0; n < Number(head); n++) {
    const end = replyEnd(bytes, start)!;
    list.push(decodeReply(bytes.subarray(start, end)));
    start = end;
  }
  return list;
}

/**
 * Asks a Redis on 127.0.0.1 over a connection of its own.
 *
 * @throws {ReplyError} if it answers with an error
 * @throws {Error} if it does not answer within `patience` milliseconds
 */
export async function askRedis(
  port: number,
  words: readonly (string | number)[],
  patience = 5_000,
): Promise<Reply> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  let late = false;
  let open = true;
  const close = () => {
    if (open) conn.close();
    open = false;
  };
  const timer = setTimeout(() => {
    late = true;
    close();
  }, patience);
  try {
    const command = encodeCommand(words);
    for (let at = 0; at < command.length;) at += await conn.write(command.subarray(at));
    let bytes = new Uint8Array();
    const chunk = new Uint8Array(16_384);
    while (true) {
      const end = replyEnd(bytes, 0);
      if (end !== undefined) return decodeReply(bytes.subarray(0, end));
      const count = await conn.read(chunk);
      if (count === null) throw new Error("it hung up");
      const more = new Uint8Array(bytes.length + count);
      more.set(bytes);
      more.set(chunk.subarray(0, count), bytes.length);
      bytes = more;
    }
  } catch (error) {
    if (error instanceof ReplyError) throw error;
    const why = late ? `it did not within ${patience} ms` : String(error);
    throw new Error(`Cannot get an answer of Redis on port ${port}: ${why}`);
  } finally {
    clearTimeout(timer);
    close();
  }
}

/** One member of what `INFO` or `CLUSTER INFO` answers. */
export function infoMember(info: Reply, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(String(info))?.[1];
}
