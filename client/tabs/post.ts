/**
 * What tabs and their relay say to each other over a `BroadcastChannel`. Any script of the origin can
 * write there, so what arrives is looked at.
 *
 * @module
 */
import { isRecord } from "../check.ts";

/** From a tab to the relay. A socket is a tab's, numbered from 1. */
export type Up =
  /** A socket opens. `own` are the last publishes that the tab does not want back: channel, space, id. */
  | { readonly up: "open"; readonly tab: string; readonly socket: number; readonly own: string[] }
  | {
    readonly up: "text";
    readonly tab: string;
    readonly socket: number;
    readonly relay: string;
    readonly text: string;
  }
  | {
    readonly up: "close";
    readonly tab: string;
    readonly socket: number;
    readonly relay: string;
  };

/** From the relay to tabs; `to` names sockets, see {@linkcode addressOf}. */
export type Down =
  /** There is a new relay. */
  | { readonly down: "lead"; readonly relay: string }
  | { readonly down: "open"; readonly relay: string; readonly to: readonly string[] }
  | {
    readonly down: "text";
    readonly relay: string;
    readonly to: readonly string[];
    readonly text: string;
  }
  | {
    readonly down: "close";
    readonly relay: string;
    readonly to: readonly string[];
    readonly code: number;
    readonly reason: string;
  };

/** How `to` names a socket. */
export function addressOf({ tab, socket }: { tab: string; socket: number }): string {
  return `${tab}:${socket}`;
}

/** Reads what a tab says. */
export function readUp(value: unknown): Up | undefined {
  if (!isRecord(value)) return undefined;
  const { up, tab, socket, own, relay, text } = value;
  if (typeof tab !== "string" || typeof socket !== "number") return undefined;
  const fits = up === "open"
    ? Array.isArray(own) && own.every((item) => typeof item === "string")
    : typeof relay === "string" && (up === "close" || (up === "text" && typeof text === "string"));
  return fits ? value as Up : undefined;
}

/** Reads what a relay says. */
export function readDown(value: unknown): Down | undefined {
  if (!isRecord(value) || typeof value.relay !== "string") return undefined;
  const { down, to, text, code, reason } = value;
  if (down === "lead") return value as Down;
  if (!Array.isArray(to)) return undefined;
  const fits = down === "open" || (down === "text" && typeof text === "string") ||
    (down === "close" && typeof code === "number" && typeof reason === "string");
  return fits ? value as Down : undefined;
}
