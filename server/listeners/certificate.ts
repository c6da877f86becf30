import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Cancel, Clock } from "../clock.ts";
import type { Log } from "../logging/log.ts";
import { show } from "../options/wording.ts";

/** Files of a certificate and its key, as PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** A certificate and its key, as PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Milliseconds between two looks at the files. */
const LOOK_INTERVAL = 10_000;

/**
 * Reads a certificate and its key.
 *
 * @throws {TypeError} if a file cannot be read or is no PEM, or the key is another one's
 */
export function readKeyPair(files: CertificateFiles): KeyPair {
  const pair = { cert: read("certificate", files.cert), key: read("key", files.key) };
  const certificate = parsed("certificate", files.cert, () => new X509Certificate(pair.cert));
  const key = parsed("key", files.key, () => createPrivateKey(pair.key));
  if (!certificate.checkPrivateKey(key)) {
    throw new TypeError(
      `Cannot use key ${show(files.key)}: it is not that of certificate ${show(files.cert)}`,
    );
  }
  return pair;
}

/**
 * A certificate that is read again when its files are renewed. The files are looked at from time to
 * time: what renews them may replace a file, a link or a folder, and no way of watching sees all of it.
 * While they do not fit together, the one before stays in use.
 */
export class Certificate {
  readonly #files: CertificateFiles;
  readonly #clock: Clock;
  readonly #log: Log;
  #pair: KeyPair;
  #doubt = "";
  #cancel: Cancel | undefined;

  /** @throws {TypeError} as {@linkcode readKeyPair} */
  constructor(files: CertificateFiles, clock: Clock, log: Log) {
    this.#files = files;
    this.#clock = clock;
    this.#log = log;
    this.#pair = readKeyPair(files);
  }

  /** What to use now. */
  get pair(): KeyPair {
    return this.#pair;
  }

  /** Tells of each renewal, until {@linkcode stop}. */
  watch(renewed: (pair: KeyPair) => void): void {
    this.#cancel = this.#clock.schedule(LOOK_INTERVAL, () => {
      this.watch(renewed);
      this.#look(renewed);
    });
  }

  /** Looks no more. */
  stop(): void {
    this.#cancel?.();
  }

  #look(renewed: (pair: KeyPair) => void): void {
    try {
      const pair = readKeyPair(this.#files);
      this.#doubt = "";
      if (pair.cert === this.#pair.cert && pair.key === this.#pair.key) return;
      const before = this.#pair;
      this.#pair = pair;
      try {
        renewed(pair);
      } catch (error) {
        this.#pair = before;
        throw error;
      }
      this.#log.write("tls.renewed");
    } catch (error) {
      // Told once, not with every look.
      const doubt = String(error);
      if (doubt !== this.#doubt) this.#log.failure("tls.failed", error);
      this.#doubt = doubt;
    }
  }
}

function read(what: string, file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw new TypeError(`Cannot read ${what} ${show(file)}: ${reasonOf(error)}`);
  }
}

function parsed<T>(what: string, file: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new TypeError(`Cannot use ${what} ${show(file)}: it is no ${what} in PEM`);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission is denied";
  if (error instanceof Deno.errors.NotCapable) return "Deno may not read it, see --allow-read";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  return error instanceof Error ? error.message : String(error);
}
