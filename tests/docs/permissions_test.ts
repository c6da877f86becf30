import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { freePort } from "../support/gateway_process.ts";
import { RunningProgram, TempFolder } from "../support/program.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { WireClient } from "../support/wire_client.ts";
import { codeBlocks } from "./blocks.ts";

const ROOT = new URL("../../", import.meta.url);
const TLS = new URL("../command/tls/", import.meta.url);
const TOKEN = "a-token-of-permissions";
const PASSWORD = "a-password-of-redis";
const TASK = "deno run ";
const PACKAGE = "jsr:@push/gateway";

/** The commands that a document gives. */
async function commandsOf(document: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(document, ROOT));
  const [, section] = /<!-- permissions -->([\s\S]*)<!-- \/permissions -->/.exec(text)!;
  return codeBlocks(section, "sh").map((code) => code.replaceAll(/\\\n\s*/g, "").trim());
}

const COMMANDS = await commandsOf("SECURITY.md");

let redis: RedisServer;
let jwks: string;
let jwt: string;

Deno.test.beforeAll(async () => {
  redis = await startRedis({ appendonly: false });
  await redis.ask("config", "set", "requirepass", PASSWORD);
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  jwks = JSON.stringify({ keys: [{ ...await exportJWK(publicKey), kid: "1", alg: "ES256" }] });
  jwt = await new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: "1" }).setSubject("ann")
    .setIssuedAt().setExpirationTime("1h").sign(privateKey);
});

Deno.test.afterAll(() => redis[Symbol.asyncDispose]());

/** A permission in the smallest part that can be left out. */
interface Permission {
  readonly flag: string;
  readonly entry: string | undefined;
}

/** A command of the document, to be run in a folder that has what it needs. */
class Trial implements AsyncDisposable {
  readonly port: number = freePort();
  readonly #folder = new TempFolder();
  readonly #flags: readonly string[];
  readonly #args: readonly string[];

  constructor(command: string) {
    assert(command.startsWith(TASK), command);
    const words = command.slice(TASK.length).split(" ").filter((word) => word !== "");
    const at = words.indexOf(PACKAGE);
    assert(at > 0, command);
    this.#flags = words.slice(0, at).map((flag) => this.#here(flag));
    const ports = ["--port", String(this.port), "--redis-port", String(redis.port)];
    this.#args = [...words.slice(at + 1), ...ports.slice(0, command.includes("redis") ? 4 : 2)];
  }

  get usesTls(): boolean {
    return this.#args.includes("--tls-cert");
  }

  /** What clients show. */
  get token(): string {
    return this.#args.includes("--jwt-jwks-file") ? jwt : TOKEN;
  }

  /** Permissions without which it does not start. */
  get needed(): Permission[] {
    return this.#flags.filter((flag) => /^--allow-(?!env)/.test(flag)).flatMap(
      (flag): Permission[] => {
        const [name, list] = flag.split("=");
        return list === undefined
          ? [{ flag: name, entry: undefined }]
          : list.split(",").map((entry) => ({ flag: name, entry }));
      },
    );
  }

  /** Makes what the command finds. */
  async prepare(): Promise<void> {
    const write = (file: string, text: string) =>
      Deno.writeTextFile(`${this.#folder.path}/${file}`, text);
    await Deno.mkdir(`${this.#folder.path}/data`);
    await write("push.jsonc", '{ "path": "/ws", /* with a comment */ }');
    await write("keys.json", jwks);
    for (const file of ["cert.pem", "key.pem"]) {
      await Deno.copyFile(new URL(file, TLS), `${this.#folder.path}/${file}`);
    }
    // What a checkout switches on is off for whoever has the package: the built-in KV.
    const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
    const wire = new URL("client/protocol/mod.ts", ROOT).href;
    await write(
      "deno.json",
      JSON.stringify({
        imports: { ...imports, "@push/client/protocol": wire },
        nodeModulesDir: "none",
        lock: false,
      }),
    );
  }

  /** Starts it, without some permission if that is said. */
  start(without?: Permission): RunningProgram {
    const flags = this.#flags.flatMap((flag) => {
      const [name, list] = flag.split("=");
      if (name !== without?.flag) return [flag];
      const rest = list?.split(",").filter((entry) => entry !== without.entry) ?? [];
      return rest.length === 0 ? [] : [`${name}=${rest.join(",")}`];
    });
    const secrets: Record<string, string> = this.token === jwt ? {} : { PUSH_TOKEN: TOKEN };
    return new RunningProgram(
      Deno.execPath(),
      ["run", "--quiet", "--config", "deno.json", ...flags, MOD, ...this.#args],
      { cwd: this.#folder.path, env: { ...secrets, PUSH_REDIS_PASSWORD: PASSWORD } },
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#folder[Symbol.asyncDispose]();
  }

  /** A flag with the ports of this machine. */
  #here(flag: string): string {
    return flag.replace(":8765", `:${this.port}`).replace(":6379", `:${redis.port}`);
  }
}

const MOD = new URL("mod.ts", ROOT).href;

/** Publishes a message and receives it, by polling and where there is no TLS over a WebSocket. */
async function carries({ port, usesTls, token }: Trial): Promise<void> {
  const ca = await Deno.readTextFile(new URL("ca.pem", TLS));
  using client = Deno.createHttpClient({ caCerts: [ca] });
  const http = `${usesTls ? "https" : "http"}://${usesTls ? "localhost" : "127.0.0.1"}:${port}`;
  const post = async (path: string, body: object) => {
    const response = await fetch(`${http}/api/push/${path}`, {
      client,
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    assertEquals(response.status, 200, JSON.stringify(answer));
    return answer;
  };
  const { poll_token } = await post("poll/register", {});
  await post("poll/subscribe", { poll_token, channel: "alerts" });
  await post("publish", { channel: "alerts", data: { n: 1 } });
  const { messages } = await post("poll/messages", { poll_token });
  assertEquals(messages.map(({ data }: { data: unknown }) => data), [{ n: 1 }]);
  await post("poll/unregister", { poll_token });
  if (usesTls) return;
  await using wire = await WireClient.open(`ws://127.0.0.1:${port}/ws`, {
    authorization: `Bearer ${token}`,
  });
  await wire.subscribe("alerts");
  await post("publish", { channel: "alerts", data: { n: 2 } });
  assertEquals((await wire.next("channel_message")).data, { n: 2 });
}

assert(COMMANDS.length >= 8, "SECURITY.md has lost its commands");

for (const command of COMMANDS) {
  const what = command.slice(command.indexOf(PACKAGE) + PACKAGE.length).trim() || "in memory";
  const how = command.includes("--allow-ffi") ? ", npm:@deno/kv" : "";

  Deno.test(`the permissions of SECURITY.md are enough: ${what}${how}`, async () => {
    await using trial = new Trial(command);
    await trial.prepare();
    await using gateway = trial.start();
    await gateway.printed(/listens on/);
    await carries(trial);
    gateway.kill("SIGTERM");
    assertEquals(await gateway.ended(), 0, gateway.text);
  });

  Deno.test(`none of them can be left out: ${what}${how}`, async () => {
    await using trial = new Trial(command);
    await Promise.all(trial.needed.map((_, index) => failsWithout(command, index)));
  });
}

/** Asserts that a command does not run without one of its permissions, and says which it is. */
async function failsWithout(command: string, index: number): Promise<void> {
  await using trial = new Trial(command);
  await trial.prepare();
  const without = trial.needed[index];
  await using gateway = trial.start(without);
  const code = await gateway.ended(20_000);
  assert(code !== 0, `${without.flag}=${without.entry}: ${gateway.text}`);
  assertStringIncludes(gateway.text, without.flag);
  assertEquals(gateway.text.trim().split("\n").length, 1, gateway.text);
}

Deno.test("README.md gives commands of SECURITY.md, and one for each store", async () => {
  const given = await commandsOf("README.md");
  assertEquals(given.filter((command) => !COMMANDS.includes(command)), []);
  assertEquals(given.map((command) => /--store (\S+)/.exec(command)?.[1]), [
    undefined,
    "kv",
    "redis",
  ]);
});

Deno.test("a variable that may not be read counts as not set, and the gateway says so", async () => {
  await using trial = new Trial(COMMANDS[0]);
  await trial.prepare();
  await using gateway = trial.start({ flag: "--allow-env", entry: "PUSH_TOKEN" });
  await gateway.printed(/protection {2}no token/);
});
