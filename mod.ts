/**
 * Push delivers messages in real time from a gateway to clients, and does not lose them.
 *
 * Run directly, this module is the command: `deno run -A jsr:@push/gateway --help`. Imported, it has
 * the {@linkcode Gateway} to embed:
 *
 * ```ts
 * import { Gateway } from "@push/gateway";
 * import { PushClient } from "@push/client";
 *
 * await using gateway = new Gateway({ port: 0, push: { enabled: true } });
 * await gateway.start();
 *
 * const { port } = gateway.address;
 * await using client = new PushClient(`ws://127.0.0.1:${port}/ws`);
 * await client.connect();
 * const alerts = await client.subscribe("alerts");
 *
 * await gateway.publish("alerts", { level: "info", text: "Disk is fine." });
 *
 * for await (const message of alerts) {
 *   console.log(message.data); // { level: "info", text: "Disk is fine." }
 *   break;
 * }
 * ```
 *
 * @module
 */
export type { Authenticate, AuthRequest } from "./server/access/authenticator.ts";
export type { RevocationInfo, RevokeQuery } from "./server/access/revoking.ts";
export type { Authorize } from "./server/access/authorization.ts";
export type { Rule } from "./server/access/grants.ts";
export type { Action, Grant, Identity } from "./server/access/identity.ts";
export { Gateway, type GatewayParts, type PublishReceipt } from "./server/gateway.ts";
export type { LogEvent } from "./server/logging/events.ts";
export type { LogFields, LogLevel, LogRecord, LogSink } from "./server/logging/record.ts";
export type { GatewayEvent, GatewayEvents } from "./server/events.ts";
export type { RequestInfo } from "./server/listeners/listener.ts";
export type {
  AuthOptions,
  DeliveryOptions,
  GatewayOptions,
  JwtOptions,
  LimitOptions,
  LogOptions,
  NamedToken,
  PollingOptions,
  PresenceOptions,
  PushOptions,
  RedisOptions,
  SseOptions,
  TlsOptions,
} from "./server/options/options.ts";
export type {
  AuthSettings,
  DeliverySettings,
  JwtSettings,
  LimitSettings,
  LogSettings,
  PollingSettings,
  PresenceSettings,
  PushSettings,
  RedisSettings,
  Settings,
  SseSettings,
  TlsSettings,
} from "./server/options/settings.ts";
export type { ChannelInfo, DeadLetterInfo, DeadLetterQuery, PresenceInfo } from "./server/views.ts";
export { type Code, PushError } from "@push/client/protocol";
export type { Store } from "./server/stores/store.ts";

if (import.meta.main) {
  const { main } = await import("./server/command/command.ts");
  Deno.exit(await main(Deno.args));
}
