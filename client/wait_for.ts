import { Deferred } from "./deferred.ts";
import type { Inbox } from "./inbox.ts";
import type { Message } from "./message.ts";
