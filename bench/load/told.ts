/** A load generator's way to the process that started it. */

/** Waits until it is told to go on; from then on this process ends with the one that started it. */
export async function told(): Promise<void> {
  const bytes = new Uint8Array(1);
  const read = () => Deno.stdin.read(bytes).catch(() => null);
  if (await read() === null) Deno.exit();
  void (async () => {
    while (await read() !== null);
    Deno.exit();
  })();
}
