/**
 * Many subscribers of one channel in one process, which come, go and come back as `@push/client`
 * does: named, with their position, acknowledging what they get. Each checks that it gets every
 * message, once and in order.
 *
 * Lines on standard input tell them what to do, and each is answered by one line:
 * `come N` (the first N connect and subscribe), `leave` (all connections drop), `wait N` (until each
 * that is there has the messages up to N).
 */
interface Plan {
  readonly url: string;
  /** To the gateway, or to the bare loop. */
  readonly wire: "extended" | "bare";
  readonly clients: number;
  readonly channel: string;
  /** Connections that are being opened at a time. */
  readonly atOnce: number;
}

/** One subscriber. Message `n` of the channel carries `"n":n`, which is its number in the log, too. */
class Member {
  /** Highest number that came. */
  last = 0;
  /** Whatever came that was not the next message. */
  wrong = 0;
  readonly #plan: Plan;
  readonly #name: string;
  #attempt = 0;
  #epoch = "";
  #socket: WebSocket | undefined;

  constructor(plan: Plan, name: string) {
    this.#plan = plan;
    this.#name = name;
  }

  come(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { url, wire } = this.#plan;
    const socket = this.#socket = new WebSocket(url);
    socket.onopen = () => {
      if (wire === "extended") socket.send(this.#connect());
    };
    socket.onerror = () => reject(new Error(`${this.#name} could not connect.`));
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket) throw new Error(`${this.#name} was closed: ${code} ${reason}`);
    };
    socket.onmessage = ({ data }) => {
      if (wire === "bare" || data.includes('"connected"')) resolve();
      this.#take(data);
    };
    return promise;
  }

  /** Drops the connection, which is no leaving on purpose. */
  leave(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return Promise.resolve();
    this.#socket = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.onclose = () => resolve();
    socket.close(3000);
    return promise;
  }

  #connect(): string {
    const subscription = this.#epoch === ""
      ? { channel: this.#plan.channel }
      : { channel: this.#plan.channel, position: { epoch: this.#epoch, seq: this.last } };
    return JSON.stringify({
      type: "connect",
      version: 1,
      client_id: this.#name,
      instance: this.#name,
      attempt: ++this.#attempt,
      subscriptions: [subscription],
    });
  }

  /** Looks for what the publisher wrote, without parsing: the receiver must not be what is measured. */
  #take(text: string): void {
    if (this.#epoch === "") this.#epoch = /"epoch":"(\w+)"/.exec(text)?.[1] ?? "";
    if (text.includes('"error"') || text.includes('"channel.gap"')) this.wrong++;
    const before = this.last;
    for (let at = text.indexOf('"n":'); at >= 0; at = text.indexOf('"n":', at + 4)) {
      const n = parseInt(text.slice(at + 4, at + 20));
      if (n !== this.last + 1) this.wrong++;
      this.last = n;
    }
    if (this.last > before && this.#plan.wire === "extended") {
      const ack = {
        channel: this.#plan.channel,
        epoch: this.#epoch,
        ranges: [before + 1, this.last],
      };
      this.#socket?.send(JSON.stringify({ type: "ack", acks: [ack] }));
    }
  }
}

const plan: Plan = JSON.parse(Deno.args[0]);
const members = Array.from({ length: plan.clients }, (_, i) => new Member(plan, `member-${i}`));
let present: readonly Member[] = [];
let began = 0;

for await (const line of linesIn()) {
  const [word, number] = line.split(" ");
  if (word === "come") await come(Number(number));
  if (word === "leave") await Promise.all(members.map((member) => member.leave()));
  if (word === "wait") await until(Number(number));
  const seconds = (performance.now() - began) / 1000;
  // Whatever comes too often comes now.
  if (word === "wait") await new Promise((resolve) => setTimeout(resolve, 300));
  const wrong = members.reduce((sum, member) => sum + member.wrong, 0);
  const received = present.reduce((sum, { last }) => sum + last, 0);
  console.log(`did ${JSON.stringify({ seconds, received, wrong })}`);
}
Deno.exit();

async function come(count: number): Promise<void> {
  began = performance.now();
  present = members.slice(0, count);
  const waiting = [...present];
  await Promise.all(Array.from({ length: plan.atOnce }, async () => {
    for (let member; (member = waiting.pop());) await member.come();
  }));
}

async function until(n: number): Promise<void> {
  // Looking is cheap beside what is looked at, and costs the messages nothing.
  while (present.some(({ last }) => last < n)) await new Promise((again) => setTimeout(again, 5));
}

async function* linesIn(): AsyncGenerator<string> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
