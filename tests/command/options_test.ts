import { assert, assertEquals, assertMatch } from "@std/assert";
import manifest from "../../deno.json" with { type: "json" };
import { COMMAND_FLAGS } from "../../server/command/flags.ts";
import { facts } from "../../server/options/facts.ts";
import { jsType, type Option, type OptionValue } from "../../server/options/option.ts";
import { OPTION_BY_PATH, OPTIONS } from "../../server/options/table.ts";
import { nestOptions } from "../../server/options/tree.ts";
import { type GatewayOptions, resolveOptions } from "../../server/options/options.ts";
import { FakeRun, run, type Surroundings } from "./fake_world.ts";
import { another, beside, refused } from "../options/samples.ts";

/** What the command would run with; secrets as they are. */
async function settingsOf(args: string[], around?: Surroundings): Promise<unknown> {
  await using command = new FakeRun(args, around);
  await command.until("listens on");
  assertEquals(command.errors, []);
  return command.gateways[0].settings;
}

/** What the command sets where nothing is said. */
const COMMAND: GatewayOptions = { log: { level: "info" }, push: { enabled: true } };

function settingsWith(path: string, value: OptionValue): unknown {
  return resolveOptions(nestOptions(new Map([...besideOf(path), [path, value]])), COMMAND);
}

function besideOf(path: string): [path: string, value: OptionValue][] {
  return beside(OPTION_BY_PATH.get(path)!);
}

/** Flags of what has to be given with an option. */
function flagsBeside(path: string): string[] {
  return besideOf(path).map(([other, value]) => `--${OPTION_BY_PATH.get(other)!.flag}=${value}`);
}

function flagsFor({ type, flag, path }: Option, value: OptionValue): string[] {
  const others = flagsBeside(path);
  if (type === "boolean") return [...others, value === true ? `--${flag}` : `--no-${flag}`];
  return [...others, `--${flag}`, textOf(value)];
}

/** A value as flags and variables have it. */
function textOf(value: OptionValue): string {
  const isRecords = Array.isArray(value) && typeof value[0] === "object";
  return isRecords ? JSON.stringify(value) : String(value);
}

function configWith(path: string, value: unknown): Record<string, string> {
  const values: [string, unknown][] = [...besideOf(path), [path, value]];
  return { "push.json": JSON.stringify(nestOptions(new Map(values))) };
}

async function refusal(args: string[], around?: Surroundings): Promise<string> {
  const command = await run(args, around);
  assertEquals(await command.code, 2, command.printed);
  assertEquals([command.out, command.gateways], [[], []]);
  assertEquals(command.errors.length, 1);
  assertMatch(command.errors[0], /^Cannot [^\n]*$/);
  return command.errors[0];
}

Deno.test("the command without anything runs with the defaults, and with push", async () => {
  assertEquals(await settingsOf([]), resolveOptions(COMMAND));
});

for (const option of OPTIONS) {
  const { path, flag, variable, type } = option;
  // One away from what the command would do anyway.
  const value = path === "push.enabled" ? false : another(option);

  Deno.test(`--${flag}, ${variable} and '${path}' in a file set the same`, async () => {
    const wanted = settingsWith(path, value);
    assertEquals(await settingsOf(flagsFor(option, value)), wanted);
    assertEquals(await settingsOf([...flagsBeside(path), `--${flag}=${textOf(value)}`]), wanted);
    const environment = { [variable]: textOf(value) };
    assertEquals(await settingsOf(flagsBeside(path), { environment }), wanted);
    const files = configWith(path, value);
    assertEquals(await settingsOf(["--config", "push.json"], { files }), wanted);
  });

  Deno.test(`--${flag} wins over ${variable}, and that over '${path}' in a file`, async () => {
    const default_ = option.commandDefault ?? option.default ?? option.values?.[0] ??
      "none-of-them";
    const others: Record<string, OptionValue> = {
      "redis-url": "redis://other",
      addresses: "b",
      origins: ["https://other.example"],
      hosts: ["other.example"],
      networks: ["10.1.0.0/16"],
      algorithms: ["EdDSA"],
      tokens: [{ name: "other", token: "another-token" }],
      rules: [{ subjects: ["*"], channels: ["**"], actions: ["publish"] }],
      "key-url": "https://other.example/keys",
      secret: "another-secret-of-32-characters-",
    };
    const other = others[type] ?? default_;
    const files = configWith(path, value);
    const environment = { [variable]: textOf(other), PUSH_CONFIG: "push.json" };
    assertEquals(await settingsOf([], { files, environment }), settingsWith(path, other));
    assertEquals(
      await settingsOf(flagsFor(option, value), { files, environment }),
      settingsWith(path, value),
    );
    const empty = { [variable]: "", PUSH_CONFIG: "push.json" };
    assertEquals(
      await settingsOf([], { files, environment: empty }),
      settingsWith(path, value),
      "an empty variable counts as not set",
    );
  });

  Deno.test(`--${flag}, ${variable} and '${path}' in a file refuse other values`, async () => {
    // As text, "1" is a number and a truth value, and an empty one is none at all.
    const texts = refused(option).filter((value) => typeof value === "string")
      .concat(type === "boolean" ? "maybe" : jsType(option) === "number" ? ["-1e9", "1e400"] : [])
      .map(String).filter((text) => text !== "" && text !== "1" && text !== "true");
    for (const text of texts) {
      const flagged = await refusal([`--${flag}=${text}`]);
      assert(flagged.startsWith(`Cannot use --${flag}: expected `), flagged);
      const set = await refusal([], { environment: { [variable]: text } });
      assert(set.startsWith(`Cannot use variable ${variable}: expected `), set);
    }
    const filed = await refusal(["--config=push.json"], { files: configWith(path, [1]) });
    const column = configWith(path, 0)["push.json"]
      .indexOf(`"${path.split(".").at(-1)}"`) + 1;
    assert(
      filed.startsWith(`Cannot use option '${path}' in push.json:1:${column}: expected `),
      filed,
    );
  });
}

Deno.test("a flag that takes a list may be given again for more", async () => {
  const flags = ["--allowed-origin", "https://a.example", "--allowed-origin=http://b.example, *"];
  const wanted = settingsWith("push.allowedOrigins", [
    "https://a.example",
    "http://b.example",
    "*",
  ]);
  assertEquals(
    await settingsOf(flags, { environment: { PUSH_ALLOWED_ORIGIN: "http://c" } }),
    wanted,
  );
});

Deno.test("--help tells of every flag, its default and its variable, in 80 columns", async () => {
  for (const flag of ["--help", "-h"]) {
    const command = await run([flag, "--nonsense"], { environment: { PUSH_PORT: "nonsense" } });
    assertEquals([await command.code, command.errors], [0, []]);
    const text = command.printed.replace(/\s+/g, " ");
    for (const option of OPTIONS) {
      assert(text.includes(` --${option.flag}`), option.flag);
      if (option.type === "boolean") assert(text.includes(`--no-${option.flag}`), option.flag);
      assert(text.includes(`[${option.variable}]`), option.variable);
      assert(text.includes(facts(option, option.commandDefault)), option.path);
    }
    for (const { name, description } of COMMAND_FLAGS) {
      assert(text.includes(`--${name}`), name);
      assert(text.includes(description), name);
    }
    for (const line of command.printed.split("\n")) assert(line.length <= 80, line);
  }
});

Deno.test("--version prints the version of the package", async () => {
  for (const flag of ["--version", "-V"]) {
    const command = await run([flag]);
    assertEquals([await command.code, command.printed], [0, `push-gateway ${manifest.version}`]);
  }
});

Deno.test("--print-config prints every option, and hides the secrets", async () => {
  const secrets = {
    PUSH_TOKEN: "geheim1",
    PUSH_REDIS_URL: "redis://user:geheim2@redis.example/3",
    PUSH_REDIS_PASSWORD: "geheim3",
  };
  const command = await run(["--print-config", "--ack-timeout=2.5"], { environment: secrets });
  assertEquals([await command.code, command.errors, command.gateways], [0, [], []]);
  assert(!command.printed.includes("geheim"));
  const config = JSON.parse(command.printed);
  assertEquals(config.authToken, "***");
  assertEquals(config.push.enabled, true);
  assertEquals(config.push.delivery.ackTimeout, 2.5);
  assertEquals(config.push.redis.url, "redis://user:***@redis.example/3");
  assertEquals(config.push.redis.password, "***");
  for (const { path } of OPTIONS) {
    assert(command.printed.includes(`"${path.split(".").at(-1)}": `), path);
  }
});

Deno.test("--print-config prints what --config takes, but no masked secret", async () => {
  const first = await run(["--print-config", "--redis-db=2", "--no-polling", "--window=7"]);
  const files = { "push.json": first.printed };
  const second = await run(["--print-config", "--config", "push.json"], { files });
  assertEquals(second.printed, first.printed);

  const secret = await run(["--print-config", "--token", "geheim"]);
  const message = await refusal(["--config", "push.json"], {
    files: { "push.json": secret.printed },
  });
  assertMatch(message, /^Cannot use option 'authToken' in push\.json:\d+:3: expected a secret/);
});

Deno.test("--print-config without Redis and token prints null for both", async () => {
  const config = JSON.parse((await run(["--print-config"])).printed);
  assertEquals([config.authToken, config.push.redis], [null, null]);
});

Deno.test("of one flag given twice the last one counts", async () => {
  const wanted = resolveOptions({ port: 2 }, COMMAND);
  assertEquals(await settingsOf(["--port=1", "--no-polling", "--port", "2", "--polling"]), wanted);
});

Deno.test("the command refuses flags and arguments that it does not know", async () => {
  const all = " (--help lists them all)";
  const unknown: [arg: string, end: string][] = [
    ["--ack-timout", ", did you mean --ack-timeout?"],
    ["--ack_timeout", ", did you mean --ack-timeout?"],
    ["--ackTimeout", ", did you mean --ack-timeout?"],
    ["--auth-token", ", did you mean --token?"],
    ["--store-backend", ", did you mean --store?"],
    ["--no-presense", ", did you mean --no-presence?"],
    ["--no-port", ", did you mean --port?"],
    ["--hlep", ", did you mean --help?"],
    ["--xyzzy", all],
    ["--__proto__", all],
    ["-x", all],
    ["-p", all],
  ];
  for (const [arg, end] of unknown) {
    const message = `Cannot use flag "${arg}": there is no such flag${end}`;
    assertEquals(await refusal([arg]), message);
    assertEquals(await refusal([arg, "3"]), message);
  }
  const stray = "every argument is a flag or its value";
  assertEquals(
    await refusal(["start"]),
    `Cannot use argument "start": ${stray} (--help lists all flags)`,
  );
  assertEquals(
    await refusal(["port=1"]),
    `Cannot use argument "port=1": ${stray}, did you mean --port?`,
  );
  assertMatch(await refusal(["--", "--port"]), /^Cannot use argument "--port"/);
  assertMatch(await refusal([""]), /^Cannot use argument ""/);
});

Deno.test("the command refuses flags without their value, and values where none belong", async () => {
  const port = "Cannot use --port: expected an integer from 0 to 65535, found";
  assertEquals(await refusal(["--port"]), `${port} nothing`);
  assertEquals(await refusal(["--port="]), `${port} nothing`);
  assertEquals(await refusal(["--port", "--host", "localhost"]), `${port} "--host"`);
  assertEquals(await refusal(["--port", "-1"]), `${port} "-1"`);
  assertEquals(
    await refusal(["--token", "--port=1"]),
    "Cannot use --token without a value: write --token=VALUE if the value begins with a dash",
  );
  assertMatch(await refusal(["--config", "--port=1"]), /^Cannot use --config without a value/);
  assertMatch(await refusal(["--config"]), /^Cannot use --config: expected a value, found nothing/);
  assertMatch(await refusal(["--no-polling=true"]), /^Cannot use --no-polling: expected no value/);
  assertMatch(await refusal(["--polling=perhaps"]), /^Cannot use --polling: expected true, false/);
  assertMatch(await refusal(["--print-config=x"]), /^Cannot use --print-config: expected no value/);
  await using command = new FakeRun(["--token=-starts-with-a-dash"]);
  await command.until("listens on");
  assertEquals(command.gateways[0].settings.authToken, "-starts-with-a-dash");
});

Deno.test("the command says of options that contradict each other where they come from", async () => {
  assertEquals(
    await refusal(["--heartbeat-interval", "60"]),
    "Cannot use --heartbeat-interval: expected less than --offline-timeout (45), found 60",
  );
  assertEquals(
    await refusal(["--heartbeat-interval=9"], { environment: { PUSH_OFFLINE_TIMEOUT: "5" } }),
    "Cannot use variable PUSH_OFFLINE_TIMEOUT: " +
      "expected more than --heartbeat-interval (9), found 5",
  );
  const files = { "push.json": `{"push": {"delivery": {"storeBackend": "kv"}}}` };
  assertEquals(
    await refusal(["--config", "push.json", "--redis-url=redis://localhost"], { files }),
    `Cannot use option 'push.delivery.storeBackend' in push.json:1:24: expected "redis" or "memory", ` +
      `as Redis is configured (push.redis, --redis-url), found "kv"`,
  );
});

Deno.test("the command reads a configuration with comments and trailing commas", async () => {
  const text = `\ufeff{
    // Where to listen.
    "port": 1, /* only here */
    "push": { "redis": {}, "polling": { "enabled": false, }, },
  }`;
  assertEquals(
    await settingsOf(["--config", "push.jsonc"], { files: { "push.jsonc": text } }),
    resolveOptions({ port: 1, push: { redis: {}, polling: { enabled: false } } }, COMMAND),
  );
  assertEquals(
    await settingsOf(["--config=a"], {
      files: { a: `{"port": 1}`, b: `{"port": 2}` },
      environment: { PUSH_CONFIG: "b" },
    }),
    resolveOptions({ port: 1 }, COMMAND),
  );
});

Deno.test("the command names file, line and column of what is wrong in a configuration", async () => {
  const wrong: [text: string, place: string, rest: string][] = [
    ["", "push.json:1:1", "it is not JSON (value expected)"],
    ["{\n  port: 1\n}", "push.json:2:3", "it is not JSON (invalid symbol)"],
    [`{"port": 1`, "push.json:1:11", "it is not JSON (close brace expected)"],
    [`{"port": 1}}`, "push.json:1:12", "it is not JSON (end of file expected)"],
    ["[]", "push.json:1:1", "it is no JSON object"],
    ["3", "push.json:1:1", "it is no JSON object"],
    [`{"port": 1,\r\n "port": 1}`, "push.json:2:2", `"port" is there twice`],
    [
      `{"push": {\n "polling": {"a": 1, "a": 1}}}`,
      "push.json:2:22",
      `"a" is there twice`,
    ],
    [
      `{\n "prot": 1}`,
      "option 'prot' in push.json:2:2",
      "there is no such option, did you mean 'port'?",
    ],
    [
      `{"__proto__": {}}`,
      "option '__proto__' in push.json:1:2",
      "there is no such option",
    ],
    [
      `{"port":\n\n   "80"}`,
      "option 'port' in push.json:1:2",
      'expected an integer from 0 to 65535, found "80"',
    ],
    [
      `{"port": 1e400}`,
      "option 'port' in push.json:1:2",
      "expected an integer from 0 to 65535, found Infinity",
    ],
    [`{"push": 1}`, "option 'push' in push.json:1:2", "expected an object, found 1"],
    [`{"push": []}`, "option 'push' in push.json:1:2", "expected a plain object, found an array"],
  ];
  for (const [text, place, rest] of wrong) {
    const message = await refusal(["--config", "push.json"], { files: { "push.json": text } });
    assertEquals(message, `Cannot use ${place}: ${rest}`);
  }
  assertEquals(
    await refusal(["--config", "no.json"]),
    'Cannot read configuration "no.json": there is no such file',
  );
  assertEquals(
    await refusal([], { environment: { PUSH_CONFIG: "no.json" } }),
    'Cannot read configuration "no.json": there is no such file',
  );
});

Deno.test("the command warns of a variable that no option has, and goes on", async () => {
  const environment = {
    PUSH_ACK_TIMOUT: "1",
    PUSH_AUTH_TOKEN: "geheim",
    PUSH_XYZZY: "1",
    PUSHY: "1",
    push_port: "1",
    PUSH_NOTHING: "",
  };
  await using command = new FakeRun([], { environment });
  await command.until("listens on");
  const warning = (name: string, hint: string) =>
    `Warning: variable ${name} is ignored: no option has it${hint}`;
  assertEquals(command.errors, [
    warning("PUSH_ACK_TIMOUT", ", did you mean PUSH_ACK_TIMEOUT?"),
    warning("PUSH_AUTH_TOKEN", ", did you mean PUSH_TOKEN?"),
    warning("PUSH_XYZZY", ""),
  ]);
});
