import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { barChart, lineChart } from "../../bench/charts.ts";

/** Elements of an XML text, which is well formed if this does not throw. */
function elementsOf(xml: string): { name: string; attributes: Record<string, string> }[] {
  const found: { name: string; attributes: Record<string, string> }[] = [];
  const open: string[] = [];
  for (const [, end, name, rest, self] of xml.matchAll(/<(\/?)([\w:]+)([^<>]*?)(\/?)>/g)) {
    if (end === "/") {
      assertEquals(open.pop(), name);
      continue;
    }
    const attributes = Object.fromEntries(
      [...rest.matchAll(/\s([\w:-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
    );
    found.push({ name, attributes });
    if (self !== "/") open.push(name);
  }
  assertEquals(open, []);
  assert(!/[<>]/.test(xml.replace(/<[^<>]*>/g, "")), "a bare bracket");
  assert(!/&(?!amp;|lt;|gt;)/.test(xml), "a bare ampersand");
  return found;
}

const BARS = {
  title: "A & <B>",
  unit: "µs",
  series: ["p50", "p99"],
  rows: [
    { name: "bare", values: [1, 4] },
    { name: "gateway <fast>", values: [0.5, 2] },
    { name: "broken", values: [] },
  ],
};

Deno.test("bars are as long as their figures, in proportion", () => {
  const elements = elementsOf(barChart(BARS));
  const bars = elements.filter(({ name }) => name === "rect");
  const widths = bars.map(({ attributes }) => Number(attributes.width));
  const most = Math.max(...widths);
  assert(most > 100);
  for (const [i, value] of [1, 4, 0.5, 2].entries()) {
    assertAlmostEquals(widths[i] / most, value / 4, 0.001);
  }
  assertEquals(bars.map(({ attributes }) => attributes.class), ["s0", "s1", "s0", "s1"]);
});

Deno.test("no bar leaves the picture, and none is on another", () => {
  const [svg, ...elements] = elementsOf(barChart(BARS));
  const bars = elements.filter(({ name }) => name === "rect").map(({ attributes }) => attributes);
  let last = 0;
  for (const { x, y, width, height } of bars) {
    assert(Number(x) + Number(width) <= Number(svg.attributes.width));
    assert(Number(y) >= last);
    last = Number(y) + Number(height);
  }
  assert(last <= Number(svg.attributes.height));
});

Deno.test("a void run has no bar, and the picture says so", () => {
  const svg = barChart(BARS);
  assert(svg.includes(">void</text>"));
  assert(svg.includes("broken: void"));
});

Deno.test("points of a line stand where their figures are", () => {
  const svg = lineChart({
    title: "Memory",
    unit: "MiB",
    across: "minutes",
    at: [1, 2, 4],
    lines: [{ name: "gateway", values: [50, 100, 75] }],
  });
  const line = elementsOf(svg).find(({ name }) => name === "polyline")!;
  const points = line.attributes.points.split(" ").map((point) => point.split(",").map(Number));
  const [[x1, y1], [x2, y2], [x4, y4]] = points;
  assertAlmostEquals((x4 - x2) / (x2 - x1), 2, 0.01);
  // Upwards is less.
  assertAlmostEquals((y1 - y4) / (y1 - y2), 0.5, 0.01);
});

Deno.test("a picture says what it shows without being seen, and runs nothing", () => {
  for (
    const svg of [
      barChart(BARS),
      lineChart({ title: "A & <B>", unit: "µs", across: "s", at: [1], lines: [] }),
    ]
  ) {
    const [root, ...elements] = elementsOf(svg);
    assertEquals([root.name, root.attributes.role], ["svg", "img"]);
    assertEquals(root.attributes["aria-labelledby"], "title desc");
    const names = elements.map(({ name }) => name);
    assertEquals(names.slice(0, 2), ["title", "desc"]);
    assert(svg.includes('<title id="title">A &amp; &lt;B&gt;</title>'));
    assert(svg.includes("prefers-color-scheme: dark"));
    assert(!names.includes("script") && !/\son\w+=|href=|url\(/.test(svg));
  }
  assert(barChart(BARS).includes("bare: p50 1, p99 4; gateway &lt;fast&gt;: p50 0.5, p99 2"));
});

Deno.test("the same figures make the same picture", () => {
  assertEquals(barChart(BARS), barChart(structuredClone(BARS)));
});
