import { isLoopback } from "./options.ts";
import type { Settings } from "./settings.ts";

/**
 * What is allowed and may not be what was meant, as sentences for whoever runs the gateway.
 *
 * @param isProtected whether everybody must show who they are
 */
export function doubtsOf(settings: Settings, isProtected: boolean): string[] {
  const { host, tls, trustProxy, websocket, push: { allowedOrigins = [] } } = settings;
  const doubts: string[] = [];
  // A proxy in front that is not named makes everybody one address.
  if (!isLoopback(host) && trustProxy === undefined) {
    if (tls.cert === undefined) {
      doubts.push(
        "Others can connect to 'host' without TLS and read tokens and messages on the way: set " +
          "'tls.cert' and 'tls.key', or 'trustProxy' to the proxy that speaks TLS.",
      );
    }
    if (websocket === "deno") {
      doubts.push(
        "Others can connect to the built-in WebSocket, which lacks limits (SECURITY.md): set " +
          "'websocket' to 'ws', or 'trustProxy' to the proxy in front.",
      );
    }
  }
  if (allowedOrigins.includes("*") && !isProtected) {
    doubts.push(
      "Any page that somebody with access to the gateway visits may use it: 'push.allowedOrigins' " +
        "has '*', and no token is asked for.",
    );
  }
  return doubts;
}
