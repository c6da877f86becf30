import { assertEquals } from "@std/assert";
import { count, summary, verdict } from "../../dev/test.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="11" failures="3" errors="2" time="0.219">
    <testsuite name="./a_test.ts" tests="8" disabled="2" errors="0" failures="3">
        <testcase name="says &lt;testsuites tests=&quot;9&quot;&gt;" time="0.001">
        </testcase>
    </testsuite>
    <testsuite name="./c_test.ts" tests="3" disabled="0" errors="2" failures="0">
    </testsuite>
</testsuites>`;

Deno.test("count() takes failures and errors as failed, and skipped tests as neither", () => {
  assertEquals(count(REPORT), { passed: 4, failed: 5 });
});

Deno.test("count() takes no text for a report that is none", () => {
  assertEquals(count(""), undefined);
});

Deno.test("verdict() is a failure where nothing was proved", () => {
  assertEquals(verdict(0, { passed: 3, failed: 0 }), { passed: 3, failed: 0 });
  assertEquals(verdict(1, { passed: 3, failed: 2 }), { passed: 3, failed: 2 });
  assertEquals(
    verdict(1, { passed: 3, failed: 0 }),
    { passed: 3, failed: 1 },
    "a file did not load",
  );
  assertEquals(verdict(0, { passed: 0, failed: 0 }), { passed: 0, failed: 1 }, "nothing ran");
  assertEquals(verdict(0, undefined), { passed: 0, failed: 1 }, "no report");
});

Deno.test("summary() is the line that CI reads", () => {
  assertEquals(summary({ passed: 12, failed: 1 }), "12 passed, 1 failed");
});
