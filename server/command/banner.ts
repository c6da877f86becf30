/**
 * What the command says once the gateway runs: where, how protected, how durable, how to connect.
 *
 * @module
 */
import type { CommandGateway } from "./world.ts";
import { asksForToken, isLoopback } from "../options/options.ts";

/** Everywhere that a machine can be reached, and what to call it from within. */
const WILDCARDS: ReadonlyMap<string, string> = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "[::1]"],
]);

/** What to print about a gateway that runs, without the token. */
export function banner(gateway: CommandGateway, version: string): string {
  const { settings } = gateway;
  const { hostname, port } = gateway.address;
  const here = `${WILDCARDS.get(hostname) ?? hostInUrl(hostname)}:${port}`;
  const s = settings.tls.cert === undefined ? "" : "s";
  const webSocket = `ws${s}://${here}${settings.path}`;
  const lines = [`Push gateway ${version} listens on ${hostInUrl(hostname)}:${port}`, ""];
  if (!settings.push.enabled) {
    return [...lines, `  push        off: only http${s}://${here}/health answers`].join(
      "\n",
    );
  }
  lines.push(`  WebSocket   ${webSocket}`);
  lines.push(`  HTTP        http${s}://${here}/api/push (and /health, /metrics)`);
  lines.push(`  protection  ${protection(gateway)}`);
  if (gateway.store !== undefined) {
    const { name, survives } = gateway.store;
    lines.push(`  store       ${name}: what is published is kept through ${survives}`);
  }
  const token = !asksForToken(settings) ? "" : `, { authToken: "…" }`;
  lines.push(
    "",
    "Connect from Deno, Node, Bun or a browser:",
    "",
    `  import { PushClient } from "jsr:@push/client";`,
    `  const client = new PushClient("${webSocket}"${token});`,
    "  await client.connect();",
    `  await client.subscribe("alerts", (message) => console.log(message.data));`,
  );
  return lines.join("\n");
}

/** An address as it stands in a URL. */
export function hostInUrl(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

function protection({ settings, address }: CommandGateway): string {
  const reach = isLoopback(address.hostname)
    ? "only programs on this machine can connect"
    : "other machines can connect";
  return asksForToken(settings) ? `token required; ${reach}` : `no token; ${reach}`;
}
