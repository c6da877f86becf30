// A program of somebody who has installed `@push/client` from npm: it only has to compile.
import { type ClientOptions, type Message, PushClient, PushError, type Schema } from "@push/client";
import { keepPublishes, type StorageLike, storageStore } from "@push/client/outbox";
import { type Code, CODES } from "@push/client/protocol";
import { shared } from "@push/client/tabs";

interface Alert {
  level: "info" | "error";
  text: string;
}

const options: ClientOptions = { authToken: () => "my-token", transports: ["longpoll"] };
const client: PushClient = new PushClient("ws://localhost:8765/ws", options);

const subscription = await client.subscribe<Alert>("alerts", (message: Message<Alert>) => {
  const level: "info" | "error" = message.data.level;
  console.log(level);
});
for await (const { data } of subscription) {
  const text: string = data.text;
  console.log(text);
}

const stop: () => void = client.on("state", ({ state, transport, code }) => {
  const known: Code | undefined = code;
  console.log(state, transport, known);
});
stop();

try {
  const { eventId } = await client.publish("alerts", { level: "info", text: "Fine." });
  const id: string = eventId;
  console.log(id);
} catch (error) {
  if (error instanceof PushError) console.log(error.code, CODES[error.code]);
}

interface Channels {
  prices: number;
  [room: `room:${string}`]: { text: string };
}

declare const schema: Schema<number>;
declare const storage: StorageLike;
const typed = new PushClient<Channels>(
  "ws://localhost:8765/ws",
  shared({ outbox: keepPublishes(storageStore(storage)) }),
);
const price: number = (await typed.waitFor("prices", { schema })).data;
await typed.publish("room:lobby", { text: `It costs ${price}` });
const report: string = `${await typed.diagnose()}`;
console.log(report);
// @ts-expect-error: a price is a number.
await typed.publish("prices", "cheap");

// @ts-expect-error: there is no such option.
new PushClient("ws://localhost:8765/ws", { nonsense: 1 });
// @ts-expect-error: a channel has a name.
await client.subscribe(7);
