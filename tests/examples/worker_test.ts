import { assertEquals, assertMatch } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { RunningProgram, runProgram } from "../support/program.ts";
import { until } from "../support/within.ts";

const MAIN = "examples/worker/main.ts";

/** A server that webhooks are sent to. */
class Hooks implements AsyncDisposable {
  /** What came: the body, and the key that tells repeats. */
  readonly calls: { body: string; key: string | null }[] = [];
  /** Says what is answered; a promise keeps the caller waiting. */
  answer: (body: string) => number | Promise<number> = () => 204;
  readonly #server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const body = await request.text();
      this.calls.push({ body, key: request.headers.get("idempotency-key") });
      return new Response(null, { status: await this.answer(body) });
    },
  );

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/hook`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function worker(env: Record<string, string>, ...args: string[]): RunningProgram {
  return new RunningProgram(Deno.execPath(), ["run", "-A", MAIN, ...args], { env });
}

async function metrics(http: string): Promise<string> {
  return await (await fetch(`${http}/metrics`)).text();
}

Deno.test("worker: jobs are done, refused, given up, looked at and put back", async () => {
  await using gateway = await startGateway({ push: { delivery: { maxRetries: 1 } } });
  await using hooks = new Hooks();
  const env = { PUSH_URL: gateway.ws, RETRY_DELAY: "0" };
  const run = (...args: string[]) =>
    runProgram(Deno.execPath(), ["run", "-A", MAIN, ...args], { env });
  {
    await using process = worker(env, "work");
    await process.printed(/Waiting for jobs/);
    process.kill("SIGINT");
    assertEquals(await process.ended(), 0);
  }
  // A job that comes while the worker is away.
  assertMatch(await run("add", hooks.url, "early"), /^Added \S+:1:jobs$/m);

  await using process = worker(env, "work");
  await process.printed(/:1:jobs: done/);
  let isBroken = true;
  hooks.answer = (body) => isBroken && body === "poison" ? 500 : 200;
  await run("add", hooks.url, "poison");
  await run("add", hooks.url, "fine");
  await process.printed(/:3:jobs: done/);
  await process.printed(/:2:jobs: failed 2 times: Error: The answer was 500/);
  await until(async () => (await run("dead")).includes("1 dead letters"), "the job is given up");
  assertMatch(await run("dead"), /:2:jobs: http:\S+\/hook failed 2 times/);

  isBroken = false;
  assertMatch(await run("redrive"), /1 jobs are put back/);
  await process.printed(/:2:jobs: done/);
  assertMatch(await run("dead"), /^0 dead letters$/m);
  assertEquals(
    hooks.calls.map(({ body }) => body).sort(),
    ["early", "fine", "poison", "poison", "poison"],
  );
  process.kill("SIGTERM");
  assertEquals(await process.ended(), 0);
});

Deno.test("worker: a job in which the worker is killed is done again, and no other", async () => {
  await using gateway = await startGateway();
  await using hooks = new Hooks();
  const env = { PUSH_URL: gateway.ws };
  const job = (body: string) => gateway.gateway.publish("jobs", { url: hooks.url, body });
  const held = Promise.withResolvers<number>();
  {
    await using process = worker(env, "work");
    await process.printed(/Waiting for jobs/);
    await job("first");
    await process.printed(/:1:jobs: done/);
    // Acknowledgements gather for a moment; the kill must not take this one along.
    await until(
      async () => /push_acknowledged_total 1$/m.test(await metrics(gateway.http)),
      "the first job is acknowledged",
    );
    hooks.answer = () => held.promise;
    await job("second");
    await until(() => hooks.calls.length === 2, "the second job has begun");
    process.kill("SIGKILL");
    await process.ended();
  }
  held.resolve(200);
  hooks.answer = () => 200;
  await using process = worker(env, "work");
  await process.printed(/:2:jobs: done/);
  assertEquals(hooks.calls.map(({ body }) => body), ["first", "second", "second"]);
  assertEquals(hooks.calls[1].key, hooks.calls[2].key);
});

Deno.test("worker: SIGTERM lets the job that runs finish", async () => {
  await using gateway = await startGateway();
  await using hooks = new Hooks();
  const held = Promise.withResolvers<number>();
  hooks.answer = () => held.promise;
  await using process = worker({ PUSH_URL: gateway.ws }, "work");
  await process.printed(/Waiting for jobs/);
  await gateway.gateway.publish("jobs", { url: hooks.url, body: "slow" });
  await until(() => hooks.calls.length === 1, "the job has begun");
  process.kill("SIGTERM");
  await process.printed(/Stopping after 1 jobs/);
  held.resolve(200);
  await process.printed(/:1:jobs: done/);
  assertEquals(await process.ended(), 0);
});
