import { assertEquals } from "@std/assert";
import { ROWS } from "./rows.ts";

Deno.test("every row of hostile input is shown by tests that are there", async () => {
  const missing: string[] = [];
  for (const [row, shown] of Object.entries(ROWS)) {
    if (shown.length === 0) missing.push(row);
    for (const [file, title] of shown) {
      const source = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
      const titles = [...source.matchAll(/Deno\.test\(\s*(["`])(.*?)\1/g)].map(([, , found]) =>
        found
      );
      if (!titles.some((found) => found.includes(title))) missing.push(`${row}: ${file}: ${title}`);
    }
  }
  assertEquals(missing, []);
  const numbers = Object.keys(ROWS).map(parseFloat).filter((row) => !Number.isNaN(row));
  assertEquals(numbers, Array.from({ length: 20 }, (_, i) => 63 + i));
});
