import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { FakeRun, run } from "./fake_world.ts";
import { STOP_DEADLINE } from "../../server/command/run.ts";

Deno.test("the command says where it listens, how it is protected, what is kept, how to connect", async () => {
  await using command = new FakeRun(["--port", "0"]);
  await command.until("PushClient");
  assertEquals(command.errors, []);
  const { printed } = command;
  assertMatch(printed, /^Push gateway \d+\.\d+\.\d+ listens on 127\.0\.0\.1:4242\n/);
  assertMatch(printed, / ws:\/\/127\.0\.0\.1:4242\/ws\n/);
  assertMatch(printed, / http:\/\/127\.0\.0\.1:4242\/api\/push/);
  assertMatch(printed, /no token; only programs on this machine can connect/);
  assertMatch(printed, /memory: what is published is kept through a test/);
  assertMatch(printed, /new PushClient\("ws:\/\/127\.0\.0\.1:4242\/ws"\);\n/);
  // deno-lint-ignore no-control-regex
  assertNotMatch(printed, /\u001b/);
});

Deno.test("the command shows no token, and addresses that a client of this machine can use", async () => {
  const hosts = [
    ["0.0.0.0", "127.0.0.1:9", "other machines can connect"],
    ["::", "[::1]:9", "other machines can connect"],
    ["::1", "[::1]:9", "only programs on this machine can connect"],
    ["push.example", "push.example:9", "other machines can connect"],
  ];
  for (const [host, address, reach] of hosts) {
    const args = ["--host", host, "--port", "9", "--path", "/p", "--token", "geheim"];
    await using command = new FakeRun(args);
    await command.until("PushClient");
    const { printed } = command;
    assert(printed.includes(`new PushClient("ws://${address}/p", { authToken: "…" })`), printed);
    assert(printed.includes(`token required; ${reach}`), printed);
    assertNotMatch(printed, /geheim/);
  }
});

Deno.test("the command shows addresses of TLS where it is spoken, and refuses half of it", async () => {
  const cert = ["--port", "9", "--tls-cert", "cert.pem"];
  await using command = new FakeRun([...cert, "--tls-key", "key.pem"]);
  await command.until("PushClient");
  assert(command.printed.includes(`new PushClient("wss://127.0.0.1:9/ws")`), command.printed);
  assert(command.printed.includes("https://127.0.0.1:9/api/push"), command.printed);

  await using half = new FakeRun(cert);
  assertEquals(await half.code, 2);
  assertMatch(half.errors[0], /^Cannot use option 'tls.cert' without 'tls.key' \(--tls-key/);
});

Deno.test("the command says that push is off", async () => {
  await using command = new FakeRun(["--no-push"]);
  await command.until("listens on");
  assertMatch(command.printed, /push +off/);
  assertNotMatch(command.printed, /PushClient|ws:/);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`the command stops its gateway on ${signal} and leaves nothing behind`, async () => {
    let stops = 0;
    const command = new FakeRun([], {
      stop: () => {
        stops++;
        return Promise.resolve();
      },
    });
    await command.until("listens on");
    assertEquals(command.listening, ["SIGINT", "SIGTERM"]);
    command.signal(signal);
    assertEquals(await command.code, 0);
    assertEquals(command.out.slice(-2), [
      `Stopping after ${signal}; the next one stops at once.`,
      "Stopped.",
    ]);
    assertEquals([stops, command.exited, command.errors], [1, undefined, []]);
    assertEquals([command.listening, command.scheduled.size], [[], 0]);
  });
}

Deno.test("the command ends at once on a second signal", async () => {
  for (
    const [first, second, code] of [
      ["SIGTERM", "SIGINT", 130],
      ["SIGINT", "SIGTERM", 143],
    ] as const
  ) {
    const stopped = Promise.withResolvers<void>();
    const command = new FakeRun([], { stop: () => stopped.promise });
    await command.until("listens on");
    command.signal(first);
    command.signal(second);
    assertEquals([command.exited, await command.code], [code, code]);
    assertEquals(command.listening, []);
    stopped.resolve();
  }
});

Deno.test("the command gives up on a gateway that does not stop", async () => {
  const stopped = Promise.withResolvers<void>();
  const command = new FakeRun([], { stop: () => stopped.promise });
  await command.until("listens on");
  command.signal("SIGTERM");
  command.scheduled.get(STOP_DEADLINE)!();
  assertEquals([command.exited, await command.code], [1, 1]);
  assertEquals(command.errors, ["Cannot stop cleanly: it took more than 9 seconds"]);
  stopped.resolve();
});

Deno.test("the command says in one line that its gateway did not stop cleanly", async () => {
  const command = new FakeRun([], { stop: () => Promise.reject(new Error("no\n  room")) });
  await command.until("listens on");
  command.signal("SIGINT");
  assertEquals(await command.code, 1);
  assertEquals(command.errors, ["Cannot stop cleanly: no room"]);
});

for (const outcome of ["fails", "succeeds"]) {
  Deno.test(`the command stops a gateway whose start then ${outcome}`, async () => {
    const started = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<void>();
    const command = new FakeRun([], { start: () => started.promise, stop: () => stopped.promise });
    while (command.listening.length === 0) await Promise.resolve();
    command.signal("SIGTERM");
    if (outcome === "fails") started.reject(new Error("stopped while starting"));
    else started.resolve();
    await started.promise.catch(() => {});
    stopped.resolve();
    assertEquals(await command.code, 0);
    assertEquals(command.errors, []);
    assertEquals(command.out, ["Stopping after SIGTERM; the next one stops at once.", "Stopped."]);
  });
}

Deno.test("the command says in one sentence why it cannot start, and ends with code 1", async () => {
  const reasons: [error: unknown, args: string[], sentence: string][] = [
    [
      new Deno.errors.AddrInUse("Address already in use (os error 98)"),
      [],
      "Cannot listen on 127.0.0.1:8765: the port is in use, " +
      "choose another with --port (0 picks a free one)",
    ],
    [
      new Deno.errors.AddrNotAvailable("Cannot assign requested address (os error 99)"),
      ["--host", "::5", "--token", "t"],
      "Cannot listen on [::5]:8765: this machine has no such address",
    ],
    [
      new Deno.errors.PermissionDenied("Permission denied (os error 13)"),
      ["--port", "80"],
      "Cannot listen on 127.0.0.1:80: permission is denied for a port below 1024",
    ],
    [new Error("the store is\nlocked"), [], "Cannot start: the store is locked"],
    ["odd", [], 'Cannot start: "odd"'],
  ];
  for (const [error, args, sentence] of reasons) {
    const command = await run(args, { start: () => Promise.reject(error) });
    assertEquals(await command.code, 1);
    assertEquals([command.out, command.errors], [[], [sentence]]);
    assertEquals(command.listening, []);
  }
});

Deno.test("the command starts no gateway that others could reach without a token", async () => {
  const command = await run(["--host", "0.0.0.0"]);
  assertEquals(await command.code, 2);
  assertEquals(command.errors, [
    'Cannot listen on "0.0.0.0" without a token, as anybody could connect: ' +
    "set 'authToken' (--token, PUSH_TOKEN), or 'host' to 127.0.0.1",
  ]);
  assertEquals([command.gateways, command.listening], [[], []]);
});
