import type { Consumer } from "./consumer.ts";
import { attachHandler, type HandlerOptions, type MessageHandler } from "./handler.ts";
import type { Inbox } from "./inbox.ts";
import type { Json } from "./protocol/frames.ts";

interface Listener {
  readonly handler: MessageHandler<Json>;
  /** Its place in each channel; ends with the channel. */
  readonly consumers: WeakMap<Inbox, Consumer>;
}

/** Listeners of `channel_message`: handlers of every channel there is and will be. */
export class MessageListeners {
  readonly #options: HandlerOptions;
  readonly #inboxes: () => Iterable<readonly [string, Inbox]>;
  readonly #listeners: Set<Listener> = new Set();

  /** @param options how they are run @param inboxes of all channels */
  constructor(options: HandlerOptions, inboxes: () => Iterable<readonly [string, Inbox]>) {
    this.#options = options;
    this.#inboxes = inboxes;
  }

  /** Adds a listener to every channel. @returns what removes it */
  on(handler: MessageHandler<Json>): () => void {
    const listener: Listener = { handler, consumers: new WeakMap() };
    this.#listeners.add(listener);
    for (const [, inbox] of this.#inboxes()) this.#attach(listener, inbox);
    return () => {
      if (!this.#listeners.delete(listener)) return;
      for (const [, inbox] of this.#inboxes()) listener.consumers.get(inbox)?.detach();
    };
  }

  /** Adds every listener to a new channel. */
  opened(inbox: Inbox): void {
    for (const listener of this.#listeners) this.#attach(listener, inbox);
  }

  #attach(listener: Listener, inbox: Inbox): void {
    listener.consumers.set(inbox, attachHandler(inbox, listener.handler, this.#options));
  }
}
