/** Most characters of an event, and of a line of one. */
const MAX_EVENT = 2 ** 25;

/**
 * Reads a stream of events (HTML, "Interpreting an event stream"), however it is cut into chunks.
 * Only the data of an event is looked at.
 *
 * @param event called with the data of each event
 * @returns what takes the next chunk, and says whether what it has is still small enough
 */
export function eventReader(event: (data: string) => void): (chunk: Uint8Array) => boolean {
  const decoder = new TextDecoder();
  let line = "";
  let data: string | undefined;
  let isCut = false;
  return (chunk) => {
    let text = decoder.decode(chunk, { stream: true });
    if (text === "") return true;
    // The end of a line may have been cut in two.
    if (isCut && text[0] === "\n") text = text.slice(1);
    isCut = text.endsWith("\r");
    const lines = text.split(/\r\n?|\n/);
    lines[0] = line + lines[0];
    line = lines.pop()!;
    for (const each of lines) {
      if (each === "") {
        if (data !== undefined) event(data);
        data = undefined;
      } else if (/^data(:|$)/.test(each)) {
        data = (data === undefined ? "" : `${data}\n`) + each.replace(/^data:? ?/, "");
      }
    }
    return line.length + (data?.length ?? 0) <= MAX_EVENT;
  };
}
