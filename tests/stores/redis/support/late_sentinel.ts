/**
 * Answers as a Sentinel does that has not heard of any failover. A real one hears of it within two
 * seconds, at a moment that no test can choose.
 */
export class LateSentinel implements AsyncDisposable {
  readonly #primary: string;
  readonly #says: "epoch" | "nothing" | "no";
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;
  /** How often it was asked for the primary. */
  asked = 0;

  /**
   * @param primary port of the primary that it knows
   * @param says what it answers when asked for more than its address: the number of the last failover,
   *   other things, or that this is not permitted
   */
  constructor(primary: number, says: "epoch" | "nothing" | "no" = "epoch") {
    this.#primary = `${primary}`;
    this.#says = says;
    this.#accepting = this.#accept();
  }

  /** Where it listens. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    const serving = [];
    for await (const connection of this.#listener) serving.push(this.#serve(connection));
    await Promise.all(serving);
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    this.#connections.add(connection);
    const buffer = new Uint8Array(4096);
    let rest = "";
    try {
      for (let size; (size = await connection.read(buffer)) !== null;) {
        rest += new TextDecoder().decode(buffer.subarray(0, size));
        for (let word; (word = /^\*(\d+)\r\n((?:\$\d+\r\n[^\r]*\r\n)+)/.exec(rest)) !== null;) {
          const words = [...word[2].matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, text]) => text);
          const command = words.slice(0, Number(word[1]));
          const length = word[1].length + 3 +
            command.reduce((sum, { length }) => sum + `${length}`.length + length + 5, 0);
          rest = rest.slice(length);
          await connection.write(new TextEncoder().encode(this.#answer(command)));
        }
      }
      connection.close();
    } catch {
      // It was ended.
    }
    this.#connections.delete(connection);
  }

  #answer([first, second]: string[]): string {
    if (first.toLowerCase() !== "sentinel") return "+OK\r\n";
    if (second === "master") {
      if (this.#says === "no") return "-NOPERM this user has no permissions\r\n";
      return this.#says === "epoch" ? bulk("config-epoch", "0") : bulk("name", "primary");
    }
    this.asked++;
    return bulk("127.0.0.1", this.#primary);
  }
}

function bulk(...texts: string[]): string {
  return `*${texts.length}\r\n${texts.map((it) => `$${it.length}\r\n${it}\r\n`).join("")}`;
}
