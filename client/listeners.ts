import type { Consumer } from "./consumer.ts";
import { attachHandler, type MessageHandler } from "./handler.ts";
import type { Inbox } from "./inbox.ts";
import type { Json } from "./protocol/frames.ts";
import type { Session } from "./session.ts";

/** Listeners of `channel_message`: handlers of every channel there is and will be. */
export interface MessageListeners {
  /** Adds a listener to every channel. @returns what removes it */
  listen(handler: MessageHandler<Json>): () => void;
  /** Adds every listener to a new channel. */
  opened(inbox: Inbox): void;
}

/** Makes the listeners of a session. */
export function listenersOf(session: Session): MessageListeners {
  const attachings: Set<(inbox: Inbox) => void> = new Set();
  return {
    listen(handler) {
      // Each ends with its channel.
      const consumers: WeakMap<Inbox, Consumer> = new WeakMap();
      const attach = (inbox: Inbox): void =>
        void consumers.set(inbox, attachHandler(session, inbox, handler, {}));
      attachings.add(attach);
      session.channels.forEach(attach);
      return () => {
        if (attachings.delete(attach)) {
          session.channels.forEach((inbox) => consumers.get(inbox)?.detach());
        }
      };
    },
    opened: (inbox) => attachings.forEach((attach) => attach(inbox)),
  };
}
