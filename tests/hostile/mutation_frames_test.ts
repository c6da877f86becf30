import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { mutated } from "./mutate.ts";
import { CONNECT, EXTENDED, FIXED } from "./samples.ts";
import { type Frame, WireClient } from "../support/wire_client.ts";
import { assertAnswers, assertClosed, runs, Siege, TRANSPORTS } from "./siege.ts";

/** Frames that are sent at once. */
const BATCH = 10;
/** Those without an answer. */
const SILENT = ["ack", "nack", "renew", "disconnect"];
/** What comes without being asked for. */
const EVENTS = ["channel_message", "channel.gap", "presence_diff"];

/** Runs of each wire, by the transport. */
const FRAMES = { deno: 2500, ws: 500 };
const OPENINGS = { deno: 600, ws: 200 };

/** What texts were answered with, up to the close if they ended the connection. */
async function answersOf(client: WireClient, texts: readonly string[]): Promise<Frame[]> {
  const frames: Frame[] = [];
  for (const text of texts) client.send(text);
  // What is done asynchronously is done once a publish behind it is, and its answer is there when
  // a ping behind that is answered.
  for (const mark of [{ type: "channel.publish", channel: "mark", data: 1 }, { type: "ping" }]) {
    if (!client.isOpen) break;
    client.send(mark);
    const end = mark.type === "ping" ? "pong" : "channel.published";
    while (true) {
      const frame = await client.next().catch(() => undefined);
      if (frame === undefined) return frames;
      if (frame.type === end && (frame.channel ?? "mark") === "mark") {
        // Pings among the texts are answered before.
        if (end !== "pong" || client.unread.length === 0) break;
      }
      if (!EVENTS.includes(frame.type)) frames.push(frame);
    }
  }
  return frames;
}

/** How many answers a text has, as far as that can be told from outside. */
function hasAnswer(text: string): boolean {
  if (text.trimStart().startsWith("[")) return false;
  try {
    return !SILENT.includes(JSON.parse(text)?.type);
  } catch {
    return true;
  }
}

async function besiege(
  siege: Siege,
  samples: readonly object[],
  open: () => Promise<WireClient>,
  count: number,
): Promise<void> {
  const texts = fc.array(mutated(samples), { minLength: BATCH, maxLength: BATCH });
  let client = await open();
  try {
    await fc.assert(
      fc.asyncProperty(texts, async (texts) => {
        const frames = await answersOf(client, texts);
        assertAnswers(frames);
        if (client.isOpen) {
          const least = texts.filter(hasAnswer).length;
          assert(frames.length >= least, `${frames.length} answers to ${least} frames`);
        } else {
          assertClosed((await client.closed).code);
          client = await open();
        }
        await siege.check();
      }),
      runs(count / BATCH),
    );
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

for (const websocket of TRANSPORTS) {
  Deno.test(`mutated frames of the fixed wire are answered; others notice nothing (${websocket})`, async () => {
    await using siege = await Siege.begin({ websocket });
    const open = () => WireClient.open(siege.served.ws);
    await besiege(siege, FIXED, open, FRAMES[websocket]);
  });

  Deno.test(`mutated frames of the extended wire are answered; others notice nothing (${websocket})`, async () => {
    await using siege = await Siege.begin({ websocket });
    const open = async () => (await WireClient.connect(siege.served.ws))[0];
    await besiege(siege, EXTENDED, open, FRAMES[websocket]);
  });

  Deno.test(`mutated openings are answered or closed; others notice nothing (${websocket})`, async () => {
    await using siege = await Siege.begin({ websocket });
    let n = 0;
    await fc.assert(
      fc.asyncProperty(mutated(CONNECT), async (text) => {
        await using client = await WireClient.open(siege.served.ws);
        client.send(text);
        const first = await client.next();
        assertAnswers([first]);
        if (!client.isOpen) assertClosed((await client.closed).code);
        if (++n % BATCH === 0) await siege.check();
      }),
      runs(OPENINGS[websocket]),
    );
    assertEquals(siege.witness.unread, []);
  });
}
