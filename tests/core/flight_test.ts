import { assertEquals } from "@std/assert";
import { type Flight, readFlights, writeFlights } from "../../server/session/flight.ts";

Deno.test("readFlights() reads what writeFlights() has made, and leaves out what is anything else", () => {
  const idle: Flight = { epoch: "e", older: [0, 5], newer: [3, 2.5], late: [] };
  const busy: Flight = { ...idle, next: 40, late: [[1, true, 10], [2, false, -3]] };
  const flights = new Map([["a", idle], ["b", busy]]);
  assertEquals(readFlights(writeFlights(flights)), flights);

  const wrong = [
    ["c", null],
    ["c", { ...idle, epoch: 1 }],
    ["c", { ...idle, older: [1] }],
    ["c", { ...idle, newer: ["1", 2] }],
    ["c", { ...idle, next: null }],
    ["c", { ...idle, late: [[1, 1, 1]] }],
    [7, idle],
    "c",
  ];
  assertEquals(readFlights(JSON.stringify([...wrong, ["a", idle]])), new Map([["a", idle]]));
  for (const text of [undefined, "", "{", "null", "{}", "7"]) {
    assertEquals(readFlights(text), new Map());
  }
});
