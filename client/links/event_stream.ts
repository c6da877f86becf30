import { MAX_LINE } from "../bounds.ts";

/**
 * Reads the stream of events of a gateway, however it is cut into chunks. Each event has its data in
 * one line (`PROTOCOL.md`, "Server-sent events"); no other line is looked at.
 *
 * @param event called with the JSON text of each event
 * @returns what takes the next chunk, and says whether what it has is still small enough
 */
export function eventReader(event: (data: string) => void): (chunk: Uint8Array) => boolean {
  const decoder = new TextDecoder();
  let rest = "";
  return (chunk) => {
    // A CR at the end of a line is a space to JSON.
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    lines[0] = rest + lines[0];
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith("data:")) event(line.slice(5));
    return rest.length <= MAX_LINE;
  };
}
