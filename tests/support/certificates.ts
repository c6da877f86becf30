import { runProgram, TempFolder } from "./program.ts";

/** A certificate authority of one test, and the files of a gateway's certificate. */
export class Certificates implements AsyncDisposable {
  readonly #folder: TempFolder;

  private constructor(folder: TempFolder) {
    this.#folder = folder;
  }

  /** Makes an authority and a first certificate. */
  static async make(name = "first"): Promise<Certificates> {
    const made = new Certificates(new TempFolder());
    await made.#openssl(
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ["-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca"],
      ["-addext", "basicConstraints=critical,CA:TRUE"],
    );
    await made.renew(name);
    return made;
  }

  /** What the gateway is told. */
  get options(): { readonly cert: string; readonly key: string } {
    return { cert: this.path("cert.pem"), key: this.path("key.pem") };
  }

  /** Certificate of the authority, as PEM. */
  get authority(): string {
    return Deno.readTextFileSync(this.path("ca.pem"));
  }

  /** Path of a file in the folder of the certificates. */
  path(file: string): string {
    return `${this.#folder.path}/${file}`;
  }

  /** Replaces certificate and key; whom it is for tells one from another. */
  async renew(name: string): Promise<void> {
    await this.#openssl(
      ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ["-keyout", "new.key", "-out", "new.csr", "-subj", `/CN=${name}`],
    );
    const names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    await Deno.writeTextFile(this.path("extensions"), names);
    await this.#openssl(
      ["x509", "-req", "-in", "new.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
      ["-days", "2", "-out", "new.pem", "-extfile", "extensions"],
    );
    await Deno.rename(this.path("new.key"), this.options.key);
    await Deno.rename(this.path("new.pem"), this.options.cert);
  }

  /** Removes the files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }

  async #openssl(...args: string[][]): Promise<void> {
    await runProgram("openssl", args.flat(), { cwd: this.#folder.path });
  }
}
