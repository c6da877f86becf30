/** A program that publishes what it cannot send, and ends without a word. */
import { PushClient } from "@push/client";
import { keepPublishes, storageStore } from "@push/client/outbox";
import { FileStorage } from "./file_storage.mjs";

const storage = new FileStorage(process.env.OUTBOX);
const client = new PushClient(process.env.ADDRESS, {
  outbox: keepPublishes(storageStore(storage)),
});
client.connect().catch(() => {});
for (const n of [1, 2, 3]) client.publish("left-over", n).catch(() => {});
while (storage.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
process.exit(1);
