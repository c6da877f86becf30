import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PushClient } from "@push/client";
import { type Served, startGateway } from "../support/gateway.ts";
import { RunningProgram } from "../support/program.ts";
import { until, within } from "../support/within.ts";

const TOKEN = "let-me-in";

/** What an agent asks a model, as OpenAI's API has it. */
interface Question {
  readonly model: string;
  readonly stream: boolean;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

/** Speaks as much of OpenAI's API as an agent needs: it answers chat completions, in pieces. */
class Model implements AsyncDisposable {
  readonly asked: Question[] = [];
  readonly keys: (string | null)[] = [];
  /** What it says; a status refuses, and a promise keeps the agent waiting. */
  answer: (question: string) => string | number | Promise<string> = (question) =>
    `In short: ${question}`;
  readonly #server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => this.#complete(request),
  );

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/v1`;
  }

  async #complete(request: Request): Promise<Response> {
    if (!request.url.endsWith("/v1/chat/completions")) return new Response(null, { status: 404 });
    const question: Question = await request.json();
    this.asked.push(question);
    this.keys.push(request.headers.get("authorization"));
    const answer = await this.answer(question.messages.at(-1)!.content);
    if (typeof answer === "number") return Response.json({ error: {} }, { status: answer });
    const half = Math.floor(answer.length / 2);
    const pieces = [answer.slice(0, half), answer.slice(half)];
    const events = pieces.map((content) => {
      const choice = { index: 0, delta: { content }, finish_reason: null };
      return `data: ${JSON.stringify({ object: "chat.completion.chunk", choices: [choice] })}\n\n`;
    });
    return new Response([...events, "data: [DONE]\n\n"].join(""), {
      headers: { "content-type": "text/event-stream" },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** The example without a key, which says so and ends. */
function startKeyless(): RunningProgram {
  return new RunningProgram(
    Deno.execPath(),
    ["run", "-A", "examples/agent/main.ts"],
    { env: { OPENAI_API_KEY: "" } },
  );
}

Deno.test.beforeAll(async () => {
  // Deno 2.9 may wait for itself for ever while it loads a large package for the first time on a busy
  // machine, before any code of it runs. What it has analysed until then it knows the next time.
  for (let attempts = 4; attempts > 0; attempts--) {
    await using agent = startKeyless();
    if (await agent.ended(30_000).then(() => true, () => false)) return;
  }
});

/** The example as a process. */
async function startAgent(gateway: Served, model: Model): Promise<RunningProgram> {
  const agent = new RunningProgram(
    Deno.execPath(),
    ["run", "-A", "examples/agent/main.ts", gateway.ws],
    {
      env: {
        OPENAI_API_KEY: "secret",
        OPENAI_BASE_URL: model.url,
        OPENAI_MODEL_NAME: "small",
        PUSH_TOKEN: TOKEN,
      },
    },
  );
  await agent.printed(/Watching alerts/, 120_000);
  return agent;
}

/** Somebody who reads summaries. */
class Reader implements AsyncDisposable {
  readonly summaries: { alert: string; summary: string }[] = [];
  readonly #client: PushClient;

  constructor(gateway: Served) {
    this.#client = new PushClient(gateway.ws, { authToken: TOKEN });
  }

  async start(): Promise<this> {
    await this.#client.connect();
    await this.#client.subscribe<Reader["summaries"][number]>(
      "summaries",
      ({ data }) => this.summaries.push(data),
    );
    return this;
  }

  async has(count: number): Promise<void> {
    await until(() => this.summaries.length >= count, `there are ${count} summaries`, 60_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.disconnect();
  }
}

Deno.test("agent: every alert is summarised by the model, once, in order", async () => {
  await using gateway = await startGateway({ authToken: TOKEN });
  await using model = new Model();
  await using reader = await new Reader(gateway).start();
  await using agent = await startAgent(gateway, model);
  const first = await gateway.gateway.publish("alerts", { disk: "/", free: "2 %" });
  await gateway.gateway.publish("alerts", "The oven is hot");
  await reader.has(2);
  const question = 'Summarise this alert: {"disk":"/","free":"2 %"}';
  assertEquals(reader.summaries.map(({ summary }) => summary), [
    `In short: ${question}`,
    'In short: Summarise this alert: "The oven is hot"',
  ]);
  assertEquals(reader.summaries[0].alert, first.eventId);
  assertEquals(model.keys, ["Bearer secret", "Bearer secret"]);
  assertEquals(model.asked[0].model, "small");
  assertEquals(model.asked[0].messages, [
    {
      role: "system",
      content: "Watch the 'alerts' channel and summarise incoming events",
    },
    { role: "user", content: question },
  ]);
  assertMatch(agent.text, /In short: Summarise this alert/);
});

Deno.test("agent: an alert that the model refuses is summarised later", async () => {
  await using gateway = await startGateway({ authToken: TOKEN });
  await using model = new Model();
  await using reader = await new Reader(gateway).start();
  await using _agent = await startAgent(gateway, model);
  let refusals = 1;
  model.answer = () => refusals-- > 0 ? 400 : "All is well";
  await gateway.gateway.publish("alerts", 1);
  await reader.has(1);
  assertEquals(reader.summaries.map(({ summary }) => summary), ["All is well"]);
  assertEquals(model.asked.length, 2);
});

Deno.test("agent: an alert during which the agent is killed is summarised by the next", async () => {
  await using gateway = await startGateway({ authToken: TOKEN });
  await using model = new Model();
  await using reader = await new Reader(gateway).start();
  const held = Promise.withResolvers<string>();
  {
    await using _agent = await startAgent(gateway, model);
    model.answer = () => held.promise;
    await gateway.gateway.publish("alerts", "now");
    await until(() => model.asked.length === 1, "the model is asked");
  }
  await gateway.gateway.publish("alerts", "while it is away");
  held.resolve("Never read");
  model.answer = (question) => question;
  await using _agent = await startAgent(gateway, model);
  await reader.has(2);
  assertEquals(reader.summaries.map(({ summary }) => summary), [
    'Summarise this alert: "now"',
    'Summarise this alert: "while it is away"',
  ]);
});

Deno.test("agent: without a key it says so and ends", async () => {
  await using agent = startKeyless();
  assertEquals(await within(agent.ended(), "the end of the agent"), 1);
  assertStringIncludes(agent.text, "OPENAI_API_KEY");
});
