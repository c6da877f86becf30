/**
 * The command `deno task dev:cluster`: a Redis, gateways over it and a load balancer on this machine,
 * to see how a message crosses nodes and what happens when one of them dies.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Cluster, startCluster } from "./cluster.ts";

const HELP = `\
Starts a Redis, some gateways over it, and a load balancer before them, all on
127.0.0.1. Ctrl-C stops them.

Usage: deno task dev:cluster [flags] [-- flags of the gateways]

  --nodes N         Gateways. 1 to 20; default 3.
  --port N          Port of the balancer; 0 picks a free one. Default 8765.
  --redis-url URL   A Redis that runs; without it one is started, with its data
                    in a temporary folder.
  --no-color        Write without colors; NO_COLOR does the same.
  -h, --help        Print this text.

While it runs, a line on standard input is a command:

  list     which gateways run, and how many connections each has
  kill N   end gateway N as a crash does
  stop N   ask gateway N to stop
  start N  start gateway N again
  quit     stop everything
`;

/** Colors of the gateways' lines, by their ANSI numbers. */
const COLORS = [36, 33, 35, 32, 34, 31];

interface Settings {
  readonly nodes: number;
  readonly port: number | undefined;
  readonly redisUrl: string | undefined;
  readonly color: boolean;
  readonly args: readonly string[];
}

/** Reads the command line; a text if that is all to print. @throws {Error} if it is wrong */
function readSettings(words: string[]): Settings | string {
  const at = words.indexOf("--");
  const { values } = parseArgs({
    args: at < 0 ? words : words.slice(0, at),
    options: {
      nodes: { type: "string", default: "3" },
      port: { type: "string", default: "8765" },
      "redis-url": { type: "string" },
      "no-color": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return HELP;
  return {
    nodes: integer("--nodes", values.nodes, 1, 20),
    port: integer("--port", values.port, 0, 65_535) || undefined,
    redisUrl: values["redis-url"],
    color: !values["no-color"] && !Deno.noColor && Deno.stdout.isTerminal(),
    args: at < 0 ? [] : words.slice(at + 1),
  };
}

function integer(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`Cannot use '${flag} ${text}': it takes an integer from ${min} to ${max}`);
}

function banner({ balancer, gateways, redis }: Cluster, redisUrl: string | undefined): string {
  const [first, last] = [gateways[0], gateways.at(-1)!];
  return [
    "",
    `  balancer   ${balancer.ws}   each connection goes to the next gateway`,
    ...gateways.map(({ name, ws, http }) => `  ${name}  ${ws}   ${http}/health`),
    `  redis      ${redis?.url ?? redisUrl}`,
    "",
    "See a message cross nodes. In a second terminal, listen at one gateway:",
    "",
    `  deno run -A examples/cluster/listen.ts ${first.ws} news`,
    "",
    "and in a third publish at another, or at any of them:",
    "",
    `  curl -X POST ${last.http}/api/push/publish -d '{"channel":"news","data":"hello"}'`,
    `  curl -X POST ${balancer.http}/api/push/publish -d '{"channel":"news","data":"hello"}'`,
    "",
    "Type 'kill 1' and Enter, publish, type 'start 1': what was missed arrives. Others: list,",
    "stop N, quit. Ctrl-C stops everything.",
    "",
  ].join("\n");
}

/** Carries out a line of standard input; resolves to false if that is the end. */
async function obey(line: string, cluster: Cluster): Promise<boolean> {
  const [word, number] = line.trim().split(/\s+/);
  if (word === "") return true;
  if (word === "quit") return false;
  if (word === "list") {
    for (const { name, port, running } of cluster.gateways) {
      const count = cluster.balancer.open.get(port);
      console.log(`${name}  ${running ? "runs" : "does not run"}, ${count} through the balancer`);
    }
    return true;
  }
  try {
    if (!["kill", "stop", "start"].includes(word)) {
      throw new RangeError("Commands are list, kill N, stop N, start N and quit");
    }
    const gateway = cluster.gateway(Number(number));
    await gateway[word as "kill" | "stop" | "start"]();
    console.log(`${gateway.name} ${gateway.running ? "runs" : "does not run"}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
  return true;
}

/** Resolves at the end of standard input that came by a `quit`, or never. */
async function obeyAll(cluster: Cluster): Promise<void> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (!(await obey(line, cluster))) return;
  }
  // Started without a terminal: a signal ends it.
  await new Promise(() => {});
}

async function main(): Promise<number> {
  let settings: Settings | string;
  try {
    settings = readSettings(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  if (typeof settings === "string") {
    console.log(settings);
    return 0;
  }
  const { color, nodes, port, redisUrl, args } = settings;
  const paint = (n: number, text: string) =>
    color ? `\x1b[${COLORS[(n - 1) % COLORS.length]}m${text}\x1b[0m` : text;

  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  let signals = 0;
  const onSignal = () => {
    // Whoever asks twice does not want to wait; what runs ends with this process.
    if (++signals > 1) Deno.exit(130);
    stop();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);

  console.log("Starting…");
  // What gateways say at their first start is all the same.
  let isNews = false;
  let cluster: Cluster;
  try {
    cluster = await startCluster({
      nodes,
      port,
      redisUrl,
      args,
      onLine: (n, line) => {
        if (isNews) console.log(paint(n, `[${n}] ${line}`));
      },
      onConnection: (n) => console.log(n > 0 ? paint(n, `[${n}] ← connection`) : "no gateway"),
    });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
  isNews = true;
  console.log(banner(cluster, redisUrl));
  await Promise.race([stopped, obeyAll(cluster)]);
  console.log("Stopping…");
  await cluster.stop();
  return 0;
}

if (import.meta.main) Deno.exit(await main());
