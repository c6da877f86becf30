import { assertEquals, assertMatch } from "@std/assert";
import { freePort } from "../../dev/cluster/ports.ts";
import { startRedis } from "../support/redis.ts";

const MOD = new URL("../../mod.ts", import.meta.url);

/** What the command says of a Redis that it cannot use, and its exit code. */
async function refusal(...args: string[]): Promise<[code: number, errors: string]> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", MOD.href, "--port=0", ...args],
    env: { NO_COLOR: "1" },
    stdout: "null",
  }).output();
  return [code, new TextDecoder().decode(stderr)];
}

Deno.test("the command says in one line why it cannot start over Redis, and shows no password", async () => {
  const url = "--redis-url=redis://ann:s3cret@127.0.0.1:1";
  const away = "Cannot start: Redis at 127.0.0.1:1 cannot be used: it refuses connections.\n";
  assertEquals(await refusal("--store=redis", url), [1, away]);
  assertEquals(await refusal("--store=memory", url), [1, away]);
  await using redis = await startRedis();
  await redis.ask("config", "set", "maxmemory-policy", "allkeys-lru");
  const [code, errors] = await refusal("--store=redis", `--redis-port=${redis.port}`);
  assertEquals(code, 2);
  assertMatch(errors, /^Cannot start: Cannot use Redis at .* Set it to 'noeviction'\n$/);
});

/** Files of the certificate of a server on this machine. They are for this test, and secret to nobody. */
function tls(name: string): string {
  return decodeURIComponent(new URL(`./tls/${name}.pem`, import.meta.url).pathname);
}

Deno.test("the command reaches Redis over TLS, and only one whose certificate it trusts", async () => {
  const port = freePort();
  await using redis = await startRedis({
    config: [
      `tls-port ${port}`,
      `tls-cert-file ${tls("cert")}`,
      `tls-key-file ${tls("key")}`,
      "tls-auth-clients no",
    ],
  });
  const url = `--redis-url=rediss://localhost:${port}/3`;
  const [code, errors] = await refusal("--store=redis", url);
  assertEquals(code, 1);
  assertMatch(
    errors,
    /^Cannot start: Redis at localhost:\d+ cannot be used: .*(certificate|issuer)/i,
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--cert", tls("ca"), MOD.href, "--port=0", "--store=redis", url],
    env: { PUSH_LOG_LEVEL: "error" },
    stdout: "piped",
  }).spawn();
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said.includes("listens on")) break;
  }
  child.kill("SIGTERM");
  await child.status;
  assertMatch(String(await redis.ask("info", "keyspace")), /^db3:/m);
});
