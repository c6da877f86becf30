import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { codeOfClose, isCode } from "../../client/protocol/mod.ts";
import { type Served, startGateway } from "../support/gateway.ts";
import { ask, PollClient } from "../support/http_client.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";
import { mutated } from "./mutate.ts";
import { BODIES, CONNECT, EXTENDED, FIXED } from "./samples.ts";

const SILENT = ["ack", "nack", "renew", "disconnect"];
/**
 * Deno drops a connection whose peer sends something after the close frame, as the frames behind a
 * text that ends the connection do: the close frame may then be lost.
 */
const NO_CODE = 0;
const EVENTS = ["channel_message", "channel.gap", "presence_diff"];

/** A gateway under attack, and a client on it that must notice nothing. */
class Siege implements AsyncDisposable {
  readonly #complaints: unknown[][] = [];
  readonly #error = console.error;
  #witnessed = 0;

  private constructor(readonly served: Served, readonly witness: WireClient) {
    console.error = (...args) => this.#complaints.push(args);
  }

  static async begin(): Promise<Siege> {
    const served = await startGateway({
      push: { presence: { broadcastChanges: false }, polling: { longPollTimeout: 0.05 } },
    });
    const witness = await WireClient.open(`${served.ws}?client_id=witness`);
    await witness.subscribe("witness");
    return new Siege(served, witness);
  }

  /** The witness still gets everything, and nothing that is not its own. */
  async check(): Promise<void> {
    const n = ++this.#witnessed;
    await this.served.gateway.publish("witness", n);
    const { data, event_id } = await this.witness.next();
    assertEquals(data, n);
    assertEquals((await this.witness.ask({ type: "message_ack", event_id })).ok, true);
    assertEquals(this.#complaints, [], "the gateway complained");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    console.error = this.#error;
    await this.witness[Symbol.asyncDispose]();
    await this.served[Symbol.asyncDispose]();
  }
}

/** What a text was answered with: everything up to the answers to later frames, or to the close. */
async function answers(client: WireClient, text: string): Promise<Frame[]> {
  const frames: Frame[] = [];
  const gather = async (...marks: string[]) => {
    while (marks.length > 0) {
      const frame = await client.next().catch(() => undefined);
      if (frame === undefined) return;
      const index = marks.indexOf(`${frame.type} ${frame.channel ?? ""}`);
      // What comes twice is the answer to the text.
      if (index >= 0) marks.splice(index, 1);
      else if (!EVENTS.includes(frame.type)) frames.push(frame);
    }
  };
  client.send(text);
  client.send({ type: "ping" });
  client.send({ type: "channel.publish", channel: "marker", data: 1 });
  await gather("pong ", "channel.published marker");
  // An answer that took longer than the others' is there before one to a frame sent now.
  if (client.isOpen) client.send({ type: "ping" });
  await gather("pong ");
  return frames;
}

function typeOf(text: string): unknown {
  try {
    return JSON.parse(text)?.type;
  } catch {
    return undefined;
  }
}

function assertAnswered(text: string, frames: Frame[], closed: number | undefined): void {
  for (const frame of frames) {
    if (frame.type !== "error") continue;
    assert(isCode(frame.code) && frame.code !== "internal", JSON.stringify(frame));
    assert(frame.message.length < 400, `a long message: ${frame.message}`);
  }
  if (closed !== undefined) {
    assert(closed === 1000 || codeOfClose(closed) !== undefined, `closed with ${closed}`);
    assert(codeOfClose(closed) !== "internal", text);
  } else if (!SILENT.includes(typeOf(text) as string) && !text.trimStart().startsWith("[")) {
    assertEquals(frames.length, 1, `${text.slice(0, 300)}: ${JSON.stringify(frames)}`);
  }
}

async function besiege(
  siege: Siege,
  samples: readonly object[],
  open: () => Promise<WireClient>,
  numRuns: number,
): Promise<void> {
  let client = await open();
  try {
    await fc.assert(
      fc.asyncProperty(mutated(samples), async (text) => {
        const frames = await answers(client, text);
        let closed = client.isOpen ? undefined : (await client.closed).code;
        if (closed === NO_CODE) {
          client = await open();
          client.send(text);
          closed = (await client.closed).code;
        }
        assertAnswered(text, frames, closed);
        if (closed !== undefined) client = await open();
        await siege.check();
      }),
      { numRuns },
    );
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

Deno.test("any frame of the fixed wire, mutated, gets one answer; others notice nothing", async () => {
  await using siege = await Siege.begin();
  await besiege(siege, FIXED, () => WireClient.open(siege.served.ws), 300);
});

Deno.test("any frame of the extended wire, mutated, gets one answer; others notice nothing", async () => {
  await using siege = await Siege.begin();
  const open = async () => (await WireClient.connect(siege.served.ws))[0];
  await besiege(siege, EXTENDED, open, 300);
});

Deno.test("any connect frame, mutated, is answered or closed; others notice nothing", async () => {
  await using siege = await Siege.begin();
  await fc.assert(
    fc.asyncProperty(mutated(CONNECT), async (text) => {
      await using client = await WireClient.open(siege.served.ws);
      client.send(text);
      const first = await client.next();
      assertAnswered(text, [first], client.isOpen ? undefined : (await client.closed).code);
      await siege.check();
    }),
    { numRuns: 250 },
  );
});

Deno.test("any body, mutated, is answered with a code and never with 500; others notice nothing", async () => {
  await using siege = await Siege.begin();
  const { http } = siege.served;
  const connect = { type: "connect", version: 1, instance: "i", attempt: 1, client_id: "poller" };
  const { pollToken } = await PollClient.register(http, { connect });
  const withToken = (body: object) =>
    "poll_token" in body && body.poll_token === "" ? { ...body, poll_token: pollToken } : body;
  const requests = fc.oneof(
    ...BODIES.map(([path, body]) =>
      mutated([withToken(body)]).map((text) => [path, text] as const)
    ),
  );
  await fc.assert(
    fc.asyncProperty(requests, async ([path, text]) => {
      const { status, body } = await ask(`${http}/api/push/${path}`, { body: text });
      if (status !== 200) {
        assert(status >= 400 && status < 500, `${status} for ${path} ${text.slice(0, 300)}`);
        assertEquals(Object.keys(body).sort(), ["code", "error", "ok"]);
        assert(body.ok === false && isCode(body.code) && body.error.length < 400, body.error);
      }
      await siege.check();
    }),
    { numRuns: 500 },
  );
});

Deno.test("any query, whatever it holds, is answered with a code and never with 500", async () => {
  await using siege = await Siege.begin();
  const names = fc.constantFrom("channel", "session", "seq", "limit", "client_id", "token", "x");
  const query = fc.array(fc.tuple(names, fc.string({ unit: "binary" })), { maxLength: 4 })
    .map((pairs) => new URLSearchParams(pairs).toString());
  const path = fc.constantFrom("presence", "dead-letters", "poll/presence", "channels");
  await fc.assert(
    fc.asyncProperty(path, query, async (path, query) => {
      const { status, body } = await ask(`${siege.served.http}/api/push/${path}?${query}`);
      assert(status === 200 || status === 400 && isCode(body.code), `${status} ${query}`);
      await siege.check();
    }),
    { numRuns: 150 },
  );
});

Deno.test("a body of any bytes is answered with a code and never with 500", async () => {
  await using siege = await Siege.begin();
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
  const path = fc.constantFrom(...BODIES.map(([path]) => path));
  await fc.assert(
    fc.asyncProperty(path, bytes, async (path, bytes) => {
      const { status, body } = await ask(`${siege.served.http}/api/push/${path}`, {
        body: new Uint8Array(bytes),
      });
      assert(status >= 400 && status < 500 && isCode(body.code), `${status}`);
    }),
    { numRuns: 150 },
  );
  await siege.check();
});
