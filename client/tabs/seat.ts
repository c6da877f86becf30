import { type Cancel, randomId } from "../clock.ts";
import { checkOptions, type ClientOptions, type ClientSettings } from "../options.ts";
import type { TabPlatform } from "./platform.ts";
import { addressOf, type Down, readDown, readUp, type Up } from "./post.ts";
import { Relay } from "./relay.ts";
import type { TabSocket } from "./socket.ts";
import { OwnPublishes } from "./tab.ts";

/** What a {@linkcode Seat} needs. */
export interface SeatParts {
  readonly platform: Required<Omit<TabPlatform, "storage">> & Pick<TabPlatform, "storage">;
  /** Options of the connection to the gateway. */
  readonly options: ClientOptions;
  /** Name of the group, beside the address of the gateway. */
  readonly group: string;
  /** There is a new relay. */
  wake(): void;
}

/** Milliseconds in which a relay must answer. */
const PATIENCE = 3000;

/** The place of one client in its group of tabs: it has sockets to the relay, and may become the relay. */
export class Seat {
  /** Names this client among the tabs. */
  readonly id: string;
  /** What it published and does not want back. */
  readonly own: OwnPublishes = new OwnPublishes();
  readonly #parts: SeatParts;
  readonly #settings: ClientSettings;
  readonly #group: string;
  readonly #sockets: Map<number, TabSocket> = new Map();
  #lastSocket = 0;
  #isBegun = false;
  #bus: InstanceType<SeatParts["platform"]["BroadcastChannel"]> | undefined;
  /** Aborted at the end of a stay. */
  #stay: AbortController | undefined;
  /** Fulfills at the end of a stay. */
  #held: Promise<void> = Promise.resolve();
  /** Whether the lock of this tab is held. */
  #isPresent = false;
  #cancelSteal: Cancel | undefined;
  #relay: Relay | undefined;

  /** @param url address of the gateway's WebSocket @param parts what it needs */
  constructor(url: string, parts: SeatParts) {
    this.#parts = parts;
    this.#settings = checkOptions(url, parts.options);
    this.#group = `push:tabs:${url}:${parts.group}`;
    this.id = randomId(this.#settings.random);
  }

  /** The client is to be connected. */
  begin(): void {
    this.#isBegun = true;
    if (this.#stay) return;
    const { locks, BroadcastChannel } = this.#parts.platform;
    const stay = this.#stay = new AbortController();
    const { signal } = stay;
    const bus = this.#bus = new BroadcastChannel(this.#group);
    bus.onmessage = ({ data }: { data: unknown }) => this.#hear(data);
    const held = this.#held = new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve());
    });
    // As long as this is held, the tab lives.
    locks.request(`${this.#group}:${this.id}`, { signal }, () => {
      this.#isPresent = true;
      for (const socket of this.#sockets.values()) this.#announce(socket);
      return held;
    }).catch(() => {});
    this.#queue({ signal }, stay);
  }

  /** The client is closed: leaves the group as soon as its sockets are. */
  end(): void {
    this.#isBegun = false;
    this.#leave();
  }

  /** Sends what waits in this page, at once. */
  flush(): void {
    this.#relay?.flush();
  }

  /** A socket opens. @returns its number */
  open(socket: TabSocket): number {
    const number = ++this.#lastSocket;
    this.#sockets.set(number, socket);
    this.begin();
    const stay = this.#stay!;
    this.#cancelSteal?.();
    this.#cancelSteal = this.#settings.clock.schedule(PATIENCE, () => {
      // Some systems suspend pages that hold a lock.
      const isAlone = this.#sockets.has(number) && socket.relay === undefined;
      if (isAlone && !this.#relay && this.#stay === stay) this.#queue({ steal: true }, stay);
    });
    return number;
  }

  /** Tells the relay of a socket, once it is known by it. */
  announce(socket: TabSocket): void {
    if (this.#isPresent) this.#announce(socket);
  }

  /** Says something to the relay. */
  say(up: Up): void {
    if (this.#relay) this.#relay.receive(up);
    else this.#bus?.postMessage(up);
  }

  /** A socket is closed. */
  closed(number: number): void {
    this.#sockets.delete(number);
    // The client may be about to open the next one.
    queueMicrotask(() => this.#leave());
  }

  /** Becomes the relay as soon as the lock is there, for as long as nobody takes it away. */
  #queue(options: { readonly signal?: AbortSignal; readonly steal?: boolean }, stay: object): void {
    const isHere = (): boolean => this.#stay === stay;
    const held = this.#held;
    this.#parts.platform.locks.request(this.#group, options, () => {
      if (isHere() && !this.#relay) this.#lead();
      return held;
    }).catch(() => {
      const relay = this.#relay;
      if (!isHere() || !relay) return;
      relay.stop();
      this.#relay = undefined;
      for (const socket of [...this.#sockets.values()]) {
        if (socket.relay === relay.id) socket.lost();
      }
      this.#queue({ signal: this.#stay!.signal }, stay);
    });
  }

  #announce({ number }: TabSocket): void {
    this.say({ up: "open", tab: this.id, socket: number, own: [...this.own] });
  }

  #leave(): void {
    if (this.#sockets.size === 0) this.#cancelSteal?.();
    if (this.#isBegun || this.#sockets.size > 0) return;
    this.#relay?.stop();
    this.#bus?.close();
    this.#stay?.abort();
    this.#isPresent = false;
    this.#relay = this.#bus = this.#stay = undefined;
  }

  #lead(): void {
    const { platform } = this.#parts;
    const { locks, storage } = platform;
    const relay = this.#relay = new Relay({
      settings: this.#settings,
      group: this.#group,
      locks,
      storage,
      post: (down) => this.#post(down),
    });
    this.#post({ down: "lead", relay: relay.id });
  }

  #post(down: Down): void {
    this.#bus?.postMessage(down);
    // As from elsewhere, it comes in a later turn.
    queueMicrotask(() => this.#hear(down));
  }

  #hear(value: unknown): void {
    const up = readUp(value);
    if (up) return this.#relay?.receive(up);
    const down = readDown(value);
    if (!down) return;
    if (down.down === "lead") return this.#led(down.relay);
    for (const [number, socket] of [...this.#sockets]) {
      if (down.to.includes(addressOf({ tab: this.id, socket: number }))) socket.hear(down);
    }
  }

  #led(relay: string): void {
    for (const socket of [...this.#sockets.values()]) {
      if (socket.relay === undefined) this.announce(socket);
      else if (socket.relay !== relay) socket.lost();
    }
    this.#parts.wake();
  }
}
