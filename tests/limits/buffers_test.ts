import { assert, assertEquals } from "@std/assert";
import { type Buffering, Buffers } from "../../server/limits/buffers.ts";
import { seededRandom } from "../../server/testing/mod.ts";

const KIB = 1024;

/** Somebody with bytes that wait. */
class Reader implements Buffering {
  waiting = 0;
  isNoted = false;
  isOver = false;
  readonly #buffers: Buffers;

  constructor(buffers: Buffers) {
    this.#buffers = buffers;
  }

  overflow(): void {
    this.isOver = true;
    this.waiting = 0;
    this.isNoted = false;
    // Closing one tells once more.
    this.has(0);
  }

  has(bytes: number): void {
    this.waiting = bytes;
    this.isNoted = this.#buffers.note(this, bytes, this.isNoted) && !this.isOver;
  }
}

function make(most: number) {
  const time = { now: 0 };
  const buffers = new Buffers(most, () => time.now);
  return { time, buffers, reader: () => new Reader(buffers) };
}

Deno.test("Buffers: who has little is not kept, and who is read is forgotten", () => {
  const { buffers, reader } = make(1024 * KIB);
  const readers = Array.from({ length: 100 }, reader);
  for (const each of readers) each.has(60 * KIB);
  assertEquals([buffers.size, buffers.total], [0, 0]);
  readers[0].has(100 * KIB);
  readers[1].has(200 * KIB);
  readers[0].has(150 * KIB);
  assertEquals([buffers.size, buffers.total], [2, 350 * KIB]);
  for (const each of readers) each.has(0);
  assertEquals([buffers.size, buffers.total], [0, 0]);
});

Deno.test("Buffers: beyond the limit those go that have waited longest with the most", () => {
  const { time, buffers, reader } = make(1000 * KIB);
  const [old, large, small, late] = [reader(), reader(), reader(), reader()];
  old.has(300 * KIB);
  small.has(70 * KIB);
  time.now = 9_000;
  large.has(500 * KIB);
  time.now = 10_000;
  late.has(200 * KIB);
  assertEquals([old, large, small, late].map(({ isOver }) => isOver), [true, false, false, false]);
  assertEquals([buffers.size, buffers.total], [3, 770 * KIB]);
});

Deno.test("Buffers: what was read meanwhile does not count, though nobody told of it", () => {
  const { buffers, reader } = make(1000 * KIB);
  const [one, two, three] = [reader(), reader(), reader()];
  one.has(600 * KIB);
  two.has(300 * KIB);
  one.waiting = 0;
  three.has(400 * KIB);
  assertEquals([one, two, three].some(({ isOver }) => isOver), false);
  assertEquals([buffers.size, buffers.total], [2, 700 * KIB]);
  one.has(0);
  assertEquals([buffers.size, buffers.total], [2, 700 * KIB]);
});

Deno.test("Buffers: a clock that goes back lets nobody off", () => {
  const { time, buffers, reader } = make(1000 * KIB);
  time.now = 1_000_000;
  const [one, two] = [reader(), reader()];
  one.has(900 * KIB);
  time.now = 0;
  two.has(200 * KIB);
  assertEquals([one.isOver, two.isOver, buffers.total], [true, false, 200 * KIB]);
});

Deno.test("Buffers: whatever happens the sum is that of who is left, and below the limit", () => {
  const seed = 11;
  const random = seededRandom(seed).bytes;
  const most = 4000 * KIB;
  const { time, buffers, reader } = make(most);
  let readers = Array.from({ length: 30 }, reader);
  let ended = 0;
  for (let n = 0; n < 20_000; n++) {
    const [who, size, step] = random(3);
    time.now += step;
    readers[who % readers.length].has(size < 100 ? 0 : size * 2 * KIB);
    ended += readers.filter(({ isOver }) => isOver).length;
    readers = readers.map((each) => each.isOver ? reader() : each);
    const noted = readers.filter(({ waiting }) => waiting >= 64 * KIB);
    const sum = noted.reduce((all, { waiting }) => all + waiting, 0);
    assertEquals([buffers.size, buffers.total], [noted.length, sum], `seed ${seed}, step ${n}`);
    assert(sum <= most);
  }
  assert(ended > 10, `${ended}`);
});
