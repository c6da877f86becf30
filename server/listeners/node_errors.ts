/**
 * Errors of `node:http` as the built-in server has them, so that whoever starts a gateway sees the same.
 *
 * @module
 */

/** An error of the kind that the built-in server throws. */
export function denoError(error: unknown): unknown {
  const { code, message } = error as Error & { readonly code?: string };
  switch (code) {
    case "EADDRINUSE":
      return new Deno.errors.AddrInUse(message);
    case "EADDRNOTAVAIL":
      return new Deno.errors.AddrNotAvailable(message);
    case "EACCES":
      return new Deno.errors.PermissionDenied(message);
    default:
      return error;
  }
}

/**
 * Asks for the permission to listen: node:net throws where nobody can catch it if that is missing.
 *
 * @throws {Deno.errors.NotCapable} if it is
 */
export async function mayListen(hostname: string, port: number): Promise<void> {
  const host = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  const { state } = await Deno.permissions.request({ name: "net", host });
  if (state === "granted") return;
  throw new Deno.errors.NotCapable(
    `Requires net access to "${host}", run again with the --allow-net flag`,
  );
}
