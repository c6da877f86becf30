import { Heap, HeapEntry } from "./heap.ts";
import type { Tally } from "./tally.ts";
import type { DeadLetter, DeadLetterQuery } from "../store.ts";

/** Dead letters of one subscription, in the order in which they were given up. */
class Box {
  readonly session: string;
  readonly channel: string;
  readonly letters = new Map<string, DeadLetter>();
  readonly byAge: HeapEntry<Box> = new HeapEntry<Box>(this);

  constructor(session: string, channel: string) {
    this.session = session;
    this.channel = channel;
  }

  get oldest(): DeadLetter | undefined {
    return this.letters.values().next().value;
  }
}

/** What comes next from one box. */
interface Front {
  letter: DeadLetter;
  readonly rest: Iterator<DeadLetter, undefined>;
  readonly epoch: string | undefined;
}

/** Which subscription a dead letter is of. */
export type Owner = Pick<DeadLetter, "session" | "channel">;

/** Every dead letter of one memory store. */
export class MemoryLetters {
  readonly #tally: Tally;
  readonly #bySession = new Map<string, Map<string, Box>>();
  readonly #byChannel = new Map<string, Map<string, Box>>();
  readonly #byAge = new Heap<Box>();

  /** @param tally where letters are counted */
  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** When the oldest of all was given up; `undefined` if there is none. */
  get oldestAt(): number | undefined {
    return this.#byAge.first?.key;
  }

  /** Adds a letter of a subscription, which then has at most `most`. */
  add(letter: DeadLetter, most: number): void {
    const box = this.#boxOf(letter);
    // A message dies once: who says so again was not sure that it had been heard.
    this.#remove(box, keyOf(letter));
    box.letters.set(keyOf(letter), letter);
    this.#count(1, letter);
    while (box.letters.size > most) this.#evict(box);
    this.#settle(box);
  }

  /**
   * Letters of a query, oldest first.
   *
   * @param epochOf leaves out letters of other epochs than the owner's, and all of an owner without
   */
  find(query: DeadLetterQuery, epochOf?: (owner: Owner) => string | undefined): DeadLetter[] {
    // Boxes are merged, not gathered and sorted: what is asked for bounds what it costs.
    const fronts = new Heap<Front>();
    for (const box of this.#boxes(query)) {
      const epoch = epochOf?.(box);
      if (epochOf !== undefined && epoch === undefined) continue;
      const rest = box.letters.values();
      const letter = rest.next().value!;
      fronts.set(new HeapEntry({ letter, rest, epoch }), letter.at);
    }
    const found: DeadLetter[] = [];
    while (fronts.first !== undefined && found.length < query.limit) {
      const { first } = fronts;
      const { letter, rest, epoch } = first.item;
      const isMeant = query.seq === undefined || query.seq === letter.message.seq;
      if (isMeant && (epoch === undefined || epoch === letter.epoch)) found.push(letter);
      const next = rest.next().value;
      if (next === undefined) {
        fronts.remove(first);
      } else {
        first.item.letter = next;
        fronts.set(first, next.at);
      }
    }
    return found;
  }

  /** Takes a letter out. */
  remove(letter: DeadLetter): void {
    const box = this.#bySession.get(letter.session)?.get(letter.channel);
    if (box === undefined) return;
    this.#remove(box, keyOf(letter));
    this.#settle(box);
  }

  /** Drops the oldest of all; there must be one. */
  evictOldest(): void {
    const box = this.#byAge.first!.item;
    this.#evict(box);
    this.#settle(box);
  }

  /** Lets go of letters that were given up at or before `limit`. */
  expire(limit: number): void {
    while (this.#byAge.first !== undefined && this.#byAge.first.key <= limit) {
      const box = this.#byAge.first.item;
      this.#remove(box, keyOf(box.oldest!));
      this.#settle(box);
    }
  }

  /** A letter is gone. A store that writes letters down listens here. */
  protected removed(_letter: DeadLetter): void {}

  #evict(box: Box): void {
    this.#remove(box, keyOf(box.oldest!));
    this.#tally.evicted++;
  }

  #remove(box: Box, key: string): void {
    const letter = box.letters.get(key);
    if (letter === undefined) return;
    box.letters.delete(key);
    this.#count(-1, letter);
    this.removed(letter);
  }

  #count(sign: 1 | -1, { message }: DeadLetter): void {
    this.#tally.deadLetters += sign;
    this.#tally.held += sign * message.bytes;
  }

  #settle(box: Box): void {
    const { oldest } = box;
    if (oldest !== undefined) {
      if (box.byAge.index < 0 || box.byAge.key !== oldest.at) this.#byAge.set(box.byAge, oldest.at);
      return;
    }
    this.#byAge.remove(box.byAge);
    drop(this.#bySession, box.session, box.channel);
    drop(this.#byChannel, box.channel, box.session);
  }

  #boxOf({ session, channel }: Owner): Box {
    const known = this.#bySession.get(session)?.get(channel);
    if (known !== undefined) return known;
    const box = new Box(session, channel);
    put(this.#bySession, session, channel, box);
    put(this.#byChannel, channel, session, box);
    return box;
  }

  *#boxes({ session, channel }: DeadLetterQuery): IterableIterator<Box> {
    if (session !== undefined && channel !== undefined) {
      const box = this.#bySession.get(session)?.get(channel);
      if (box !== undefined) yield box;
    } else if (session !== undefined) {
      yield* this.#bySession.get(session)?.values() ?? [];
    } else if (channel !== undefined) {
      yield* this.#byChannel.get(channel)?.values() ?? [];
    } else {
      for (const boxes of this.#bySession.values()) yield* boxes.values();
    }
  }
}

function keyOf({ epoch, message }: DeadLetter): string {
  return `${epoch}:${message.seq}`;
}

function put<T>(table: Map<string, Map<string, T>>, a: string, b: string, value: T): void {
  const row = table.get(a);
  if (row === undefined) table.set(a, new Map([[b, value]]));
  else row.set(b, value);
}

function drop<T>(table: Map<string, Map<string, T>>, a: string, b: string): void {
  const row = table.get(a);
  row?.delete(b);
  if (row?.size === 0) table.delete(a);
}
