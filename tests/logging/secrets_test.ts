import { assert, assertEquals } from "@std/assert";
import type { JsonObject } from "@push/client/protocol";
import { ask, PollClient } from "../support/http_client.ts";
import { RunningProgram, TempFolder } from "../support/program.ts";
import { exchange, upgradeRequest } from "../support/tcp_client.ts";
import { WireClient } from "../support/wire_client.ts";

const MOD = new URL("../../mod.ts", import.meta.url).href;

const EVERYTHING = ["subscribe", "publish", "presence", "history", "admin"];

/** Everything that must not be in the log: each is made once, and found wherever it turns up. */
class Secrets {
  readonly #known = new Map<string, string>();

  /** A new one. */
  make(name: string): string {
    const secret = `${name.replaceAll(" ", "-")}-${crypto.randomUUID()}`;
    this.#known.set(name, secret);
    return secret;
  }

  /** One that the gateway has made. */
  keep(name: string, secret: string): string {
    this.#known.set(name, secret);
    return secret;
  }

  /** Names of those that are in a text, as they are or encoded. */
  in(text: string): string[] {
    return [...this.#known].filter(([, secret]) =>
      [secret, encodeURIComponent(secret), btoa(secret)].some((form) => text.includes(form))
    ).map(([name]) => name);
  }
}

/** A gateway in a process of its own that logs everything. */
async function start(
  folder: TempFolder,
  format: string,
  transport: string,
  tokens: { readonly shared: string; readonly named: string },
): Promise<{ program: RunningProgram; port: number }> {
  const config = `${folder.path}/push.json`;
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      port: 0,
      websocket: transport,
      authToken: tokens.shared,
      log: { level: "debug", format },
      push: {
        auth: {
          rules: [{ subjects: ["anonymous"], channels: ["**"], actions: EVERYTHING }],
          tokens: [{
            name: "ann",
            token: tokens.named,
            allow: [{ channels: ["news"], actions: ["subscribe", "publish"] }],
          }],
        },
        limits: { maxMessageBytes: 1024 },
      },
    }),
  );
  const program = new RunningProgram(Deno.execPath(), ["run", "-A", MOD, "--config", config]);
  const [, port] = await program.printed(/listens on 127\.0\.0\.1:(\d+)/);
  return { program, port: Number(port) };
}

/** Uses it in all ways, with right and with wrong secrets. */
async function useInAllWays(port: number, secrets: Secrets, shared: string, named: string) {
  const http = `http://127.0.0.1:${port}`;
  const ws = `ws://127.0.0.1:${port}/ws`;
  const payload = () => ({ text: secrets.make("payload"), [secrets.make("member")]: true });
  const api = `${http}/api/push`;

  // WebSockets: the token in the address, in a header, in the first frame; right and wrong.
  {
    await using query = await WireClient.open(`${ws}?token=${shared}&client_id=query`);
    await query.subscribe("news");
    await query.publish("news", payload());
    await query.ask({ type: "presence.heartbeat", status: "busy", metadata: payload() });
    await query.ask({ type: "channel.create", channel: "plan", metadata: payload() });
    await query.ask(`{"type":"channel.publish","channel":"news","data":${secrets.make("broken")}}`);
    await query.ask({ type: "channel.publish", channel: "n ws", data: payload() });
    const big = secrets.make("big").padEnd(2000, "x");
    await query.ask({ type: "channel.publish", channel: "news", data: big });
    await query.ask({ type: secrets.make("type"), channel: "news" });
  }
  {
    const headers = {
      authorization: `Bearer ${named}`,
      cookie: `session=${secrets.make("cookie")}`,
    };
    await using header = await WireClient.open(ws, headers);
    await header.subscribe("news");
    await header.ask({ type: "channel.subscribe", channel: "forbidden" });
    await header.ask({ type: "channel.publish", channel: "forbidden", data: payload() });
  }
  const connect = async (more: JsonObject) => {
    const [client, frame] = await WireClient.connect(ws, more);
    await client[Symbol.asyncDispose]();
    return frame;
  };
  const minted = await connect({ token: shared });
  assertEquals(minted.type, "connected");
  const { client_id } = minted;
  secrets.keep("resume secret", minted.secret);
  await connect({ token: shared, client_id, secret: minted.secret });
  await connect({ token: shared, client_id, secret: secrets.make("wrong secret") });
  await connect({ token: secrets.make("wrong first frame") });
  await connect({ token: { deep: secrets.make("object token") } });
  const upgrade = (query: string, fields: Record<string, string> = {}) =>
    exchange(port, upgradeRequest(`/ws${query}`, fields));
  await upgrade(`?token=${secrets.make("wrong query")}`);
  await upgrade(`?ticket=${secrets.make("wrong ticket")}`);
  await upgrade("", { Authorization: `Bearer ${secrets.make("wrong header")}` });
  await upgrade("", { Authorization: `Basic ${btoa(secrets.make("basic"))}` });
  const origin = "https://evil.example";
  await upgrade(`?token=${secrets.make("refused page")}`, { Origin: origin });

  // Tickets.
  const ticket = await ask(`${api}/ticket`, { method: "POST", token: shared });
  assertEquals(ticket.status, 200);
  secrets.keep("ticket", ticket.body.ticket);
  for (const _ of ["right", "used"]) await upgrade(`?ticket=${ticket.body.ticket}`);

  // Polling.
  const poller = await PollClient.register(http, { auth_token: shared });
  const poll_token = secrets.keep("poll token", poller.pollToken);
  await ask(`${api}/poll/subscribe`, { body: { poll_token, channel: "news" } });
  await ask(`${api}/poll/publish`, { body: { poll_token, channel: "news", data: payload() } });
  await ask(`${api}/poll/publish`, { body: { poll_token, channel: "-/-", data: payload() } });
  await ask(`${api}/poll/messages`, { body: { poll_token, timeout: 0 } });
  await ask(`${api}/poll/messages`, { body: { poll_token: secrets.make("wrong poll token") } });
  await ask(`${api}/poll/register`, { body: { auth_token: secrets.make("wrong poll register") } });
  await ask(`${api}/poll/unregister`, { body: { poll_token } });

  // Publishing, listening and looking over HTTP.
  const body = () => ({ channel: "news", data: payload(), id: secrets.make("id") });
  await ask(`${api}/publish`, { token: shared, body: body() });
  await ask(`${api}/publish`, { token: named, body: { ...body(), channel: "forbidden" } });
  await ask(`${api}/publish`, { token: secrets.make("wrong publish"), body: body() });
  await ask(`${api}/publish`, { token: shared, body: `{"data": ${secrets.make("bad body")}` });
  await ask(`${api}/publish?token=${secrets.make("query publish")}`, { body: body() });
  await ask(`${api}/sse?channel=news&token=${secrets.make("wrong stream")}`);
  await ask(`${api}/dead-letters`, { token: named });
  await ask(`${api}/revoke`, { token: named, body: { token: secrets.make("revoked token") } });
  await ask(`${api}/revoke`, { token: shared, body: { token: secrets.make("revoked token too") } });
  await ask(`${http}/health`, { token: secrets.make("wrong health") });
  await ask(`${http}/metrics?token=${secrets.make("metrics query")}`);
  await ask(`${http}/${secrets.make("path")}`, { headers: { origin, "x-note": "1" } });
  await ask(`${api}/${secrets.make("api path")}`, { headers: { origin } });
}

for (const [format, transport] of [["json", "deno"], ["text", "ws"]]) {
  Deno.test(`no line of a log at level debug has a secret or a payload: ${format}, ${transport}`, async () => {
    await using folder = new TempFolder();
    const secrets = new Secrets();
    const shared = secrets.make("shared-token");
    const named = secrets.make("named-token");
    const { program, port } = await start(folder, format, transport, { shared, named });
    await using _ = program;
    await useInAllWays(port, secrets, shared, named);
    program.kill("SIGTERM");
    assertEquals(await program.ended(), 0, program.text);

    assertEquals(secrets.in(program.text), [], program.text);
    // What was used and refused is told, or there would be nothing to look through.
    const count = (event: string) => program.text.split(event).length - 1;
    for (const event of ["connection.opened", "connection.closed", "action.refused"]) {
      assert(count(event) > 0, `${event} is not in: ${program.text}`);
    }
    assert(count("identity.refused") >= 10, program.text);
    assert(count("origin.refused") >= 2, program.text);
    assert(count("limit.hit") >= 1, program.text);
  });
}

Deno.test("a secret that is in a text is found, as it is or encoded", () => {
  const secrets = new Secrets();
  const secret = secrets.keep("a b", "a b/c");
  for (const text of [secret, encodeURIComponent(secret), btoa(secret)]) {
    assertEquals(secrets.in(`x ${text} y`), ["a b"]);
  }
  assertEquals(secrets.in("nothing of it"), []);
});
