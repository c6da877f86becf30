/**
 * Notifications in a page: one program that is the gateway and serves the page.
 *
 *     deno run -A examples/notifications/main.ts [port]
 *
 * @module
 */
import { Gateway } from "@push/gateway";
import { servePage } from "../../dev/pages.ts";

/** Notifications that are served. */
export interface Notifications extends AsyncDisposable {
  /** Where the page is. */
  readonly url: string;
}

/** Serves the notifications on this machine. @param port 0 for a free one */
export function startNotifications(port: number): Notifications {
  const gateway = new Gateway({ push: { enabled: true } });
  const folder = new URL("./", import.meta.url);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port, onListen: () => {} },
    async (request) => await servePage(request, folder) ?? await gateway.fetch(request),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      await server.shutdown();
    },
  };
}

if (import.meta.main) {
  const { url } = startNotifications(Number(Deno.args[0] ?? 8001));
  console.log(`The notifications are at ${url}`);
}
