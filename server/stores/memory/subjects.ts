import { subjectOfKey } from "../session_key.ts";
import { Heap } from "./heap.ts";
import type { MemorySession } from "./sessions.ts";

/** What one subject has of all sessions. */
export class Subject {
  /** Its name. */
  readonly name: string;
  /** How many sessions it has. */
  size = 0;
  // Of millions of subjects most have one session, which has a connection.
  #away: Heap<MemorySession> | undefined;

  /** @param name name of the subject */
  constructor(name: string) {
    this.name = name;
  }

  /** Those of its sessions that have no connection, the one longest away first. */
  get away(): Heap<MemorySession> {
    return this.#away ??= new Heap<MemorySession>();
  }

  /** How many of its sessions have no connection. */
  get awaySize(): number {
    return this.#away?.size ?? 0;
  }
}

/** Every subject that has a session in a memory store. */
export class Subjects {
  readonly #subjects = new Map<string, Subject>();

  /** How many there are. */
  get size(): number {
    return this.#subjects.size;
  }

  /** The subject of a session's key, if it has any session. */
  find(key: string): Subject | undefined {
    return this.#subjects.get(subjectOfKey(key));
  }

  /** Counts one more session; returns the subject that has it. */
  enter(key: string): Subject {
    const name = subjectOfKey(key);
    let subject = this.#subjects.get(name);
    if (subject === undefined) this.#subjects.set(name, subject = new Subject(name));
    subject.size++;
    return subject;
  }

  /** Counts one session less; a subject without any is forgotten. */
  leave(subject: Subject): void {
    if (--subject.size === 0) this.#subjects.delete(subject.name);
  }
}
