import { assertEquals } from "@std/assert";
import { SharedText } from "../../server/transports/shared_text.ts";

Deno.test("SharedText: objects and arrays of them become one array, in order", () => {
  const text = new SharedText((array) => array);
  assertEquals(text.of([]), "[]");
  assertEquals(text.of(['{"a":1}']), '[{"a":1}]');
  assertEquals(text.of(['[{"a":1},{"a":2}]']), '[{"a":1},{"a":2}]');
  assertEquals(text.of(['{"a":1}', '[{"a":2},{"a":3}]', "[{}]"]), '[{"a":1},{"a":2},{"a":3},{}]');
});

Deno.test("SharedText: who is sent the same as the one before shares what was made of it", () => {
  const made: string[] = [];
  const text = new SharedText((array) => {
    made.push(array);
    return `<${array}>`;
  });
  const batch = '[{"a":1},{"a":2}]';
  const frames = [[batch], [batch], [], [batch], ['{"a":3}'], ['{"a":3}'], [batch, '{"a":3}'], []];
  assertEquals(frames.map((each) => text.of(each)), [
    ...Array(2).fill(`<${batch}>`),
    "<[]>",
    `<${batch}>`,
    ...Array(2).fill('<[{"a":3}]>'),
    '<[{"a":1},{"a":2},{"a":3}]>',
    "<[]>",
  ]);
  assertEquals(made, ["[]", batch, '[{"a":3}]', '[{"a":1},{"a":2},{"a":3}]']);
});
