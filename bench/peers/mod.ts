/** The servers that are measured, and how each is started in a process of its own. */
import type { GatewayOptions } from "../../server/options/options.ts";
import type { Acks } from "../load/connection.ts";
import type { WireName } from "../load/wires.ts";
import { Measured } from "../process.ts";
import { type Installed, nodeProgram } from "./installed.ts";

/** A server that runs. */
export interface Server extends AsyncDisposable {
  /** Where it listens. */
  readonly ports: readonly number[];
  /** Its processes. */
  readonly pids: readonly number[];
  /** Bytes of its heap that are in use, once garbage is collected; of gateways only. */
  heap(): Promise<number>;
}

/** A server, and how clients speak to it. */
export interface Peer {
  /** What people call it. */
  readonly name: string;
  /** The language of its clients. */
  readonly wire: WireName;
  /** How its clients acknowledge. */
  readonly acks: Acks;
  /** Whether it is a gateway of this project. */
  readonly isGateway: boolean;
  /** Starts it; resolves once it listens. */
  start(): Promise<Server>;
}

const HERE = new URL("./", import.meta.url).pathname;

/** `Deno.serve`, and one `send()` for each message and subscriber. */
export const BARE: Peer = bare("bare loop", "bare.ts");
/** The same; what came in one turn of the event loop leaves in one frame. */
export const TURN: Peer = bare("bare loop, a frame a turn", "bare.ts", "turn");
/** `npm:ws` on Deno, and one `send()` for each message and subscriber. */
export const BARE_WS: Peer = bare("bare loop of npm:ws", "bare_ws.ts");

/** A gateway that is not all default. */
export interface GatewayPeer {
  /** What people call it. */
  readonly name: string;
  /** Which of its two wires clients speak. */
  readonly wire: "fixed" | "extended";
  /** How they acknowledge; without it delivery is switched off. */
  readonly acks?: Acks;
  /** Options beside that. */
  readonly options?: GatewayOptions;
  /** Flags of Deno that it needs. */
  readonly flags?: readonly string[];
  /** Flags of V8 that it is measured with. */
  readonly v8Flags?: readonly string[];
}

/** A gateway. */
export function gateway(
  { name, wire, acks, options = {}, flags = [], v8Flags = [] }: GatewayPeer,
): Peer {
  const { push } = options;
  const delivery = { ...push?.delivery, enabled: acks !== undefined };
  const given = JSON.stringify({ ...options, push: { ...push, delivery } });
  const start = () => deno([...flags, `${HERE}gateway.ts`, given], v8Flags);
  return { name, wire, acks: acks ?? "none", isGateway: true, start };
}

/** The clients' wire with several messages in a frame; nothing is to be acknowledged. */
export const OFF: Peer = gateway({ name: "@push/client's wire, delivery off", wire: "extended" });
/** As `@push/client` uses it. */
export const ON: Peer = gateway({
  name: "@push/client's wire, acknowledged",
  wire: "extended",
  acks: "cumulative",
});
/** One message a frame. */
export const FIXED_OFF: Peer = gateway({ name: "fixed wire, delivery off", wire: "fixed" });
/** The same where more is asked of it than it can send: what waits is kept as history only. */
export const ROOMY_OFF: Peer = gateway({
  name: FIXED_OFF.name,
  wire: "fixed",
  options: { push: { delivery: { historySize: 10_000 } } },
});
/** One message a frame, one acknowledgement a message. */
export const FIXED_ON: Peer = gateway({
  name: "fixed wire, acknowledged",
  wire: "fixed",
  acks: "each",
});
/** The same over the second transport. */
export const WS_FIXED_OFF: Peer = gateway({
  name: "fixed wire over ws, delivery off",
  wire: "fixed",
  options: { websocket: "ws" },
});
/** As `@push/client` uses it, over the second transport. */
export const WS_ON: Peer = gateway({
  name: "@push/client's wire over ws, acknowledged",
  wire: "extended",
  acks: "cumulative",
  options: { websocket: "ws" },
});

/** The servers of others that are installed. */
export function others(installed: Installed): readonly Peer[] {
  const peers: Peer[] = [];
  const add = (name: string, wire: WireName, command: readonly string[]) =>
    peers.push({
      name,
      wire,
      acks: "none",
      isGateway: false,
      start: () => listening(Measured.command(command)),
    });
  const { folder, node, bun } = installed;
  if (node !== undefined && installed.ws) {
    add("ws on Node", "bare", nodeProgram(node, `${HERE}ws.mjs`, folder));
  }
  if (node !== undefined && installed.socketio) {
    add("Socket.IO on Node", "socketio", nodeProgram(node, `${HERE}socketio.mjs`, folder));
  }
  if (bun !== undefined) add("Bun's publish", "bare", [bun, `${HERE}bun.mjs`]);
  return peers;
}

/**
 * Servers that share a port, each in a process of its own.
 *
 * @param start starts one on this port; on a free one if it is 0
 */
export async function sharing(
  count: number,
  start: (port: number) => Promise<Server>,
): Promise<Server> {
  const servers: Server[] = [];
  const end = async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
  };
  try {
    while (servers.length < count) servers.push(await start(servers[0]?.ports[0] ?? 0));
  } catch (error) {
    await end();
    throw error;
  }
  return {
    ports: servers[0].ports,
    pids: servers.flatMap(({ pids }) => pids),
    async heap() {
      const heaps = await Promise.all(servers.map((server) => server.heap()));
      return heaps.reduce((sum, heap) => sum + heap, 0);
    },
    [Symbol.asyncDispose]: end,
  };
}

function bare(name: string, program: string, ...args: readonly string[]): Peer {
  const start = () => deno([HERE + program, ...args]);
  return { name, wire: "bare", acks: "none", isGateway: false, start };
}

function deno(args: readonly string[], v8Flags: readonly string[] = []): Promise<Server> {
  const flags = ["run", "-A", "--quiet", `--v8-flags=${["--expose-gc", ...v8Flags]}`];
  return listening(Measured.command([Deno.execPath(), ...flags, ...args]));
}

async function listening(process: Measured): Promise<Server> {
  try {
    const port = Number(await process.lineAfter("port "));
    return {
      ports: [port],
      pids: [process.pid],
      async heap() {
        await process.go();
        return Number(await process.lineAfter("heap "));
      },
      [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
    };
  } catch (error) {
    await process[Symbol.asyncDispose]();
    throw error;
  }
}
