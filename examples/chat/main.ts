/**
 * A chat with presence: one program that is the gateway and serves the page.
 *
 *     deno run -A examples/chat/main.ts [port]
 *
 * @module
 */
import { Gateway, type GatewayOptions } from "@push/gateway";
import { servePage } from "../../dev/pages.ts";

/** A chat that is served. */
export interface Chat extends AsyncDisposable {
  /** Where the page is. */
  readonly url: string;
}

/** Serves the chat on this machine. @param port 0 for a free one @param push how the gateway is */
export function startChat(port: number, push?: GatewayOptions["push"]): Chat {
  const gateway = new Gateway({ push: { enabled: true, ...push } });
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
  const { url } = startChat(Number(Deno.args[0] ?? 8000));
  console.log(`The chat is at ${url}: open it in two windows.`);
}
