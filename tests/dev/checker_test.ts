import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { check, INVARIANTS, violationsOf } from "../../dev/chaos/checker.ts";
import type { Entry, Note } from "../../dev/chaos/history.ts";

const CHANNEL = "news";
const payload = (id: string) => JSON.stringify({ id });
const place = (seq: number, epoch = "e1") => ({ epoch, seq });

/** Notes with the times at which they were made, one millisecond after the other. */
function entries(notes: readonly Note[]): Entry[] {
  return notes.map((note, at) => ({ ...note, at }));
}

function joins(client: string, more: { sees?: "handler"; policy?: "nack" } = {}): Note[] {
  return [
    { type: "client", client, sees: "frames", policy: "ack", ...more },
    { type: "subscribe", phase: "invoke", client, channel: CHANNEL },
    { type: "subscribe", phase: "ok", client, channel: CHANNEL },
  ];
}

function publishes(seq: number, { client = "pub", id = `m${seq}`, epoch = "e1" } = {}): Note[] {
  const op = { type: "publish", client, channel: CHANNEL, id, payload: payload(id) } as const;
  return [{ ...op, phase: "invoke" }, { ...op, phase: "ok", place: place(seq, epoch) }];
}

function delivers(seq: number, { client = "sub", id = `m${seq}`, retry = 0, epoch = "e1" } = {}) {
  const at = place(seq, epoch);
  return {
    type: "deliver",
    client,
    channel: CHANNEL,
    place: at,
    id,
    payload: payload(id),
    retry,
  } as const;
}

function settles(id: string, type: "ack" | "nack" = "ack", client = "sub"): Note {
  return { type, phase: "ok", client, channel: CHANNEL, id };
}

const gap = (seq: number, epoch = "e1"): Note => (
  { type: "gap", client: "sub", channel: CHANNEL, epoch, seq }
);
const dead = (id: string): Note => (
  { type: "dead", client: "sub", channel: CHANNEL, id, attempts: 4 }
);
const fault = (forgets = 0): Note => ({ type: "fault", what: "a crash", forgets });
const heal: Note = { type: "heal", what: "a crash" };
const use = (moment: "before" | "after", mib: number, fds: number): Note => (
  { type: "resource", node: "gateway 1", moment, rss: mib << 20, fds }
);
const present = (...listed: string[]): Note => (
  { type: "present", observer: "gateway 1", channel: CHANNEL, listed, expected: ["a", "b"] }
);

function broken(notes: readonly Note[]): string[] {
  const terms = { patience: 10, mayLose: true, growth: { rss: 1 << 20, fds: 2 } };
  const findings = check(entries(notes), terms);
  return findings.filter(({ violations }) => violations.length > 0).map((it) => it.invariant);
}

const GOOD: Record<string, Note[]> = {
  "what is published arrives and is acknowledged": [
    ...joins("sub"),
    ...publishes(1),
    ...publishes(2),
    delivers(1),
    settles("m1"),
    delivers(2),
    settles("m2"),
  ],
  "who was not there yet is owed nothing": [...publishes(1), ...joins("sub")],
  "who leaves is owed nothing from then on": [
    ...joins("sub"),
    { type: "unsubscribe", phase: "invoke", client: "sub", channel: CHANNEL },
    ...publishes(1),
    { type: "unsubscribe", phase: "ok", client: "sub", channel: CHANNEL },
  ],
  "one's own messages do not come, and leave no hole": [
    ...joins("sub"),
    ...publishes(1),
    ...publishes(2, { client: "sub" }),
    ...publishes(3),
    delivers(1),
    delivers(3),
  ],
  "a loss that was told": [...joins("sub"), ...publishes(1), ...publishes(2), gap(1), delivers(2)],
  "a loss that was told with the log that is new": [
    ...joins("sub"),
    ...publishes(1),
    ...publishes(2),
    delivers(1),
    gap(1, "e2"),
    ...publishes(2, { id: "n2", epoch: "e2" }),
    delivers(2, { id: "n2", epoch: "e2" }),
  ],
  "numbers that go on in a new epoch": [
    ...joins("sub"),
    ...publishes(1),
    delivers(1),
    ...publishes(2, { epoch: "e2" }),
    delivers(2, { epoch: "e2" }),
  ],
  "what came before is not handed out again in a new epoch": [
    ...joins("sub"),
    ...[1, 2, 3].flatMap((n) => publishes(n)),
    delivers(1),
    delivers(2),
    gap(1, "e2"),
    delivers(3, { epoch: "e2" }),
  ],
  "a message that comes again before its acknowledgement": [
    ...joins("sub"),
    ...publishes(1),
    delivers(1),
    delivers(1, { retry: 1 }),
    settles("m1"),
  ],
  "a crash that forgets an acknowledgement": [
    ...joins("sub"),
    ...publishes(1),
    delivers(1),
    settles("m1"),
    fault(5),
    delivers(1),
    heal,
  ],
  "a refused message that ends as a dead letter": [
    ...joins("sub", { policy: "nack" }),
    ...publishes(1),
    ...[0, 1, 2, 3].map((retry) => delivers(1, { retry })),
    dead("m1"),
  ],
  "a message that comes back from the dead letters": [
    ...joins("sub"),
    ...publishes(1),
    ...[0, 1, 2, 3].map((retry) => delivers(1, { retry })),
    { ...delivers(1), redriven: true },
    settles("m1"),
  ],
  "a publish without an outcome, stored or not": [
    ...joins("sub"),
    ...["m1", "m2"].flatMap((id): Note[] => {
      const op = { type: "publish", client: "pub", channel: CHANNEL, id } as const;
      return [
        { ...op, phase: "invoke", payload: payload(id) },
        { ...op, phase: "unknown", payload: payload(id), code: "outcome_unknown" },
      ];
    }),
    delivers(1),
  ],
  "a list of all who are there": [present("b", "a")],
  "a process that grows a little": [use("before", 100, 10), use("after", 101, 12)],
};

/** A history that breaks an invariant, and others that it cannot help breaking. */
const BAD: Record<string, { readonly breaks: string[]; readonly notes: Note[] }> = {
  "an answered message is lost": {
    breaks: ["I1"],
    notes: [...joins("sub"), ...publishes(1), ...publishes(2), delivers(1)],
  },
  "the notice tells of less than is lost": {
    breaks: ["I1", "I7"],
    notes: [...joins("sub"), ...[1, 2, 3].flatMap((n) => publishes(n)), gap(1), delivers(3)],
  },
  "the notice of a new log came before the message that it lost": {
    breaks: ["I1"],
    notes: [...joins("sub"), gap(5, "e2"), ...publishes(6)],
  },
  "the notice is of the log that the lost message came after": {
    breaks: ["I1", "I7"],
    notes: [
      ...publishes(1),
      ...joins("sub"),
      ...publishes(2, { epoch: "e2" }),
      ...publishes(3, { epoch: "e2" }),
      gap(1, "e1"),
      delivers(3, { epoch: "e2" }),
    ],
  },
  "nobody published what arrives": { breaks: ["I2"], notes: [...joins("sub"), delivers(1)] },
  "the payload is another": {
    breaks: ["I2"],
    notes: [...joins("sub"), ...publishes(1), { ...delivers(1), payload: "0" }],
  },
  "what was refused arrives": {
    breaks: ["I2"],
    notes: [
      ...joins("sub"),
      {
        type: "publish",
        phase: "fail",
        client: "pub",
        channel: CHANNEL,
        id: "m1",
        payload: payload("m1"),
        code: "unavailable",
      },
      delivers(1),
    ],
  },
  "a message of another channel arrives": {
    breaks: ["I2", "I3"],
    notes: [...publishes(1), { ...delivers(1), channel: "other" }],
  },
  "something arrives after leaving": {
    breaks: ["I3"],
    notes: [
      ...joins("sub"),
      ...publishes(1),
      { type: "unsubscribe", phase: "invoke", client: "sub", channel: CHANNEL },
      { type: "unsubscribe", phase: "ok", client: "sub", channel: CHANNEL },
      delivers(1),
    ],
  },
  "a later message comes first": {
    breaks: ["I4"],
    notes: [...joins("sub"), ...publishes(1), ...publishes(2), delivers(2), delivers(1)],
  },
  "one number is two messages": {
    breaks: ["I4"],
    notes: [...publishes(1), ...publishes(1, { client: "pub2", id: "other" })],
  },
  "one number is another message to another client": {
    breaks: ["I4"],
    notes: [
      ...publishes(1),
      ...publishes(2),
      ...joins("sub"),
      ...joins("sub2"),
      delivers(1),
      delivers(1, { client: "sub2", id: "m2" }),
    ],
  },
  "a client's messages are stored in another order": {
    breaks: ["I4"],
    notes: [...publishes(2), ...publishes(1)],
  },
  "what is acknowledged comes again": {
    breaks: ["I5"],
    notes: [...joins("sub"), ...publishes(1), delivers(1), settles("m1"), delivers(1)],
  },
  "a crash undoes an older acknowledgement": {
    breaks: ["I5"],
    notes: [
      ...joins("sub"),
      ...publishes(1),
      delivers(1),
      settles("m1"),
      ...publishes(2),
      delivers(2),
      fault(2),
      delivers(1),
    ],
  },
  "a handler gets again what it has done": {
    breaks: ["I5"],
    notes: [
      ...joins("sub", { sees: "handler" }),
      ...publishes(1),
      delivers(1),
      settles("m1"),
      fault(1000),
      delivers(1),
    ],
  },
  "a retry too many": {
    breaks: ["I6"],
    notes: [
      ...joins("sub"),
      ...publishes(1),
      ...[0, 1, 2, 3, 4].map((retry) => delivers(1, { retry })),
    ],
  },
  "the count of retries goes back": {
    breaks: ["I6"],
    notes: [...joins("sub"), ...publishes(1), delivers(1, { retry: 1 }), delivers(1)],
  },
  "two dead letters of one message": {
    breaks: ["I6"],
    notes: [...joins("sub"), ...publishes(1), delivers(1), dead("m1"), dead("m1")],
  },
  "a dead letter of what was acknowledged": {
    breaks: ["I6"],
    notes: [...joins("sub"), ...publishes(1), delivers(1), settles("m1"), dead("m1")],
  },
  "a refused message is nowhere": {
    breaks: ["I6"],
    notes: [...joins("sub", { policy: "nack" }), ...publishes(1), delivers(1)],
  },
  "a number is missing, of a publish without an outcome": {
    breaks: ["I7"],
    notes: [...joins("sub"), ...publishes(1), ...publishes(3), delivers(1), delivers(3)],
  },
  "a number is missing between two epochs": {
    breaks: ["I7"],
    notes: [
      ...joins("sub"),
      ...publishes(1),
      delivers(1),
      ...publishes(3, { epoch: "e2" }),
      delivers(3, { epoch: "e2" }),
    ],
  },
  "a number of a new epoch is missing that was another message's before": {
    breaks: ["I1", "I7"],
    notes: [
      ...joins("sub"),
      ...publishes(1),
      ...publishes(2),
      delivers(1),
      delivers(2),
      gap(1, "e2"),
      ...publishes(2, { id: "n2", epoch: "e2" }),
      ...publishes(3, { epoch: "e2" }),
      delivers(3, { epoch: "e2" }),
    ],
  },
  "somebody is missing in a list": { breaks: ["I8"], notes: [present("a")] },
  "somebody is listed who is gone": { breaks: ["I8"], notes: [present("a", "b", "ghost")] },
  "somebody is listed twice": { breaks: ["I8"], notes: [present("a", "a", "b")] },
  "a process keeps memory": { breaks: ["I9"], notes: [use("before", 9, 9), use("after", 11, 9)] },
  "a process keeps files": { breaks: ["I9"], notes: [use("before", 9, 9), use("after", 9, 12)] },
  "a message is late": {
    breaks: ["I10"],
    notes: [
      ...joins("sub"),
      ...publishes(1),
      ...Array.from({ length: 11 }, (): Note => present("a", "b")),
      delivers(1),
    ],
  },
  "a message is late after what was broken is whole": {
    breaks: ["I10"],
    notes: [
      ...joins("sub"),
      fault(),
      ...publishes(1),
      heal,
      ...Array.from({ length: 11 }, (): Note => present("a", "b")),
      delivers(1),
    ],
  },
  "a process ends": {
    breaks: ["I11"],
    notes: [{ type: "node", node: "gateway 1", what: "ended", detail: "code 1" }],
  },
  "a client is turned away": {
    breaks: ["I11"],
    notes: [{ type: "closed", client: "sub", code: "replaced" }],
  },
  "a forbidden publish is answered": {
    breaks: ["I12"],
    notes: publishes(1).map((note) => ({ ...note, forbidden: true }) as Note),
  },
  "a forbidden publish arrives": {
    breaks: ["I2", "I12"],
    notes: [
      ...joins("sub"),
      ...publishes(1).map((note) => {
        return { ...note, phase: "fail", code: "token_invalid", forbidden: true } as Note;
      }),
      delivers(1),
    ],
  },
  "somebody else's message is settled": {
    breaks: ["I12"],
    notes: [...joins("sub"), { ...settles("m1"), foreign: true } as Note],
  },
};

for (const [what, notes] of Object.entries(GOOD)) {
  Deno.test(`checker: nothing is wrong with ${what}`, () => assertEquals(broken(notes), []));
}

for (const [what, { breaks, notes }] of Object.entries(BAD)) {
  Deno.test(`checker: ${breaks.join(" and ")} is broken where ${what}`, () => {
    assertEquals(broken(notes), breaks);
  });
}

Deno.test("checker: I7 is broken where a loss is told, and nothing can be lost", () => {
  const notes = [...joins("sub"), ...publishes(1), gap(1)];
  const findings = check(entries(notes));
  assertEquals(violationsOf(findings), ["I7: sub on news was told of a loss up to e1:1"]);
});

Deno.test("checker: every invariant is broken by some history", () => {
  const seen = new Set(Object.values(BAD).flatMap(({ breaks }) => breaks));
  assertEquals(INVARIANTS.map(({ name }) => name).filter((name) => !seen.has(name)), []);
});

Deno.test("checker: a delivery taken out of a good history, or put in a second time, is found", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 30 }), fc.nat(), fc.boolean(), (count, n, out) => {
      const numbers = Array.from({ length: count }, (_, i) => i + 1);
      const notes: Note[] = [
        ...joins("sub"),
        ...numbers.flatMap((seq) => publishes(seq)),
        ...numbers.flatMap((seq): Note[] => [delivers(seq), settles(`m${seq}`)]),
      ];
      assertEquals(violationsOf(check(entries(notes))), []);
      const at = notes.findIndex((it) => it.type === "deliver") + 2 * (n % count);
      if (out) notes.splice(at, 1);
      else notes.push(notes[at]);
      assert(violationsOf(check(entries(notes))).length > 0);
    }),
  );
});
