import { readFileSync, writeFileSync } from "node:fs";

/** A `localStorage` in a file, for programs that have none: it writes at once. */
export class FileStorage {
  #file;

  constructor(file) {
    this.#file = file;
  }

  get length() {
    return Object.keys(this.#read()).length;
  }

  key(index) {
    return Object.keys(this.#read())[index] ?? null;
  }

  getItem(key) {
    return this.#read()[key] ?? null;
  }

  setItem(key, text) {
    writeFileSync(this.#file, JSON.stringify({ ...this.#read(), [key]: text }));
  }

  removeItem(key) {
    const { [key]: _, ...rest } = this.#read();
    writeFileSync(this.#file, JSON.stringify(rest));
  }

  #read() {
    try {
      return JSON.parse(readFileSync(this.#file, "utf8"));
    } catch (error) {
      if (error.code === "ENOENT") return {};
      throw error;
    }
  }
}
