/** A server's way to the process that started it. */

/**
 * Answers lines on standard input, and ends this process when the one that started it is gone, however
 * that ended.
 *
 * @param answer what is printed on a line
 */
export async function serveParent(answer: (line: string) => string = String): Promise<void> {
  const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const text of input) console.log(answer(text.trim()));
  Deno.exit();
}
